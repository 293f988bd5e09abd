package daemon

import (
	"context"
	"path/filepath"
	"slices"

	"neurotriage/worklist"
)

// openPage makes what stands behind the pages.
func (d *Daemon) openPage(known visitors) (*mirror, worklist.Options) {
	mirror := newMirror(d.bus)
	d.background("the mirror of the worklist", mirror.follow)
	ctx, stop := context.WithCancel(context.Background())
	looked := *d.library
	looked.options.Parallel = 2 // people wait for the first slice, triage for all of them
	views := &stack{bus: d.bus, reader: &looked, dir: filepath.Join(d.cfg.StateDir, "spool"), guard: d.disk.check, ctx: ctx}
	patients := newRegistry(ctx, d.bus, &looked)
	d.stack.add("studies that are looked at", func(context.Context) error {
		stop()
		views.work.Wait()
		patients.work.Wait()
		return nil
	})
	options := worklist.Options{
		Model: d.modelRef, Evaluation: d.evaluation, Version: d.deps.Version, Now: d.deps.Now, Logger: d.deps.Logger.With("component", "worklist"),
		Desk: desk{d.bus, mirror}, Stack: views, Room: room{d}, Trouble: mirror.trouble, Patients: patients,
		Auditor: d.book, Visitor: known.visitor, Archive: d.cfg.HTTP.Viewer, Identity: identity(d.cfg.HTTP.Access.Identity),
	}
	if known.login != nil { // a nil *login.Gate is no nil Login
		options.Login = known.login
	}
	return mirror, options
}

func (d *Daemon) evaluation() map[string]any {
	card, _ := d.classifier.Model()
	return card.Evaluation
}

// identity says who may see patients: roles that the configuration names, and
// those whom nobody knows only where it says so.
func identity(roles []string) func(worklist.Visitor) bool {
	return func(who worklist.Visitor) bool {
		name := who.Role.String()
		if who.Anonymous {
			name = "anonymous"
		}
		return slices.Contains(roles, name)
	}
}
