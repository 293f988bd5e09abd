package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
)

// defaultWait is what --wait alone stands for.
const defaultWait = "10m"

// submitFlags are the command's own.
type submitFlags struct {
	nats     string
	wait     time.Duration
	priority string
	json     bool
}

func (a *app) submitCommand() *cobra.Command {
	var flags submitFlags
	cmd := &cobra.Command{
		Use:   "submit PATH...",
		Short: "Announce studies to a daemon",
		Long: `Announces each study in files, folders and zip archives to the daemon: one event
per study. A study below one of the daemon's roots is named by its place there,
any other goes up as a zip of its files to the object bucket imaging_inbox.

With --wait each finding is printed as it comes: for a person on a terminal, as
one JSON object a line otherwise or with --json. The wait outlives a restart of
the daemon. Without --wait the announced events are printed.

Exit code 1 if a study was refused or the wait ran out, 3 if there was no DICOM.`,
		Example: `  neurotriage submit study.zip --wait
  neurotriage submit /srv/dicom/1.2.3/ --priority stat
  neurotriage submit inbox/ --wait=2m --nats nats://nats.example.org:4222 | jq .disposition`,
		Args: somePaths,
		RunE: command(func(ctx context.Context, args []string) error {
			return a.submit(ctx, args, flags)
		}),
	}
	a.natsFlag(cmd, &flags.nats)
	cmd.Flags().DurationVar(&flags.wait, "wait", 0, "wait for the findings, at most this `duration` (--wait alone: "+defaultWait+")")
	cmd.Flags().Lookup("wait").NoOptDefVal = defaultWait
	cmd.Flags().StringVar(&flags.priority, "priority", string(neurotriage.Routine), "how urgent: `level` is routine, urgent, asap or stat")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print JSON on a terminal too, one object a line")
	_ = cmd.RegisterFlagCompletionFunc("priority", cobra.FixedCompletions(
		[]string{"routine", "urgent", "asap", "stat"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for flags that do not exist
	return cmd
}

func (a *app) submit(ctx context.Context, paths []string, flags submitFlags) (err error) {
	settings, err := a.settings(overrides{keyNATSURL: flags.nats})
	if err != nil {
		return err
	}
	if err := checkPriority(flags.priority); err != nil {
		return usage(err)
	}
	planner, errands, err := a.plan(ctx, paths, settings)
	defer func() { err = errors.Join(err, planner.close()) }()
	if err != nil {
		return err
	}
	if planner.skipped > 0 {
		a.note("skipped %s that are not DICOM", plural(planner.skipped, "file", "files"))
	}
	if len(errands) == 0 {
		a.warn("no DICOM found")
		return quiet(exitNothing)
	}
	bus, err := a.connect(ctx, settings)
	if err != nil {
		return err
	}
	defer bus.Close()
	jobs, err := a.announce(ctx, bus, errands, flags)
	if err != nil {
		return err
	}
	if flags.wait <= 0 {
		return a.writeJobs(jobs, flags.json)
	}
	return a.await(ctx, bus, jobs, flags)
}

func checkPriority(priority string) error {
	switch neurotriage.Priority(priority) {
	case neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat:
		return nil
	}
	return fmt.Errorf("--priority %q: allowed are routine, urgent, asap and stat", priority)
}

func (a *app) plan(ctx context.Context, paths []string, settings config.Config) (*planner, []errand, error) {
	bar := a.progress(ctx, "looking", "files", 0)
	defer bar.done()
	planner := &planner{roots: settings.Roots, limits: limits(settings), step: bar.step}
	errands, err := planner.plan(ctx, paths)
	return planner, errands, err
}

// announce sends what has to be sent, and one event per study.
func (a *app) announce(ctx context.Context, bus *events.Bus, errands []errand, flags submitFlags) ([]neurotriage.Job, error) {
	var jobs []neurotriage.Job
	for _, errand := range errands {
		if errand.location.Kind == "" {
			location, err := a.upload(ctx, bus, errand)
			if err != nil {
				return nil, fmt.Errorf("send study %s: %w", errand.uid, err)
			}
			errand.location = location
		}
		job, err := bus.Submit(ctx, neurotriage.Job{
			StudyInstanceUID: errand.uid, Location: errand.location,
			AccessionNumber: errand.accession, Priority: neurotriage.Priority(flags.priority),
		})
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// upload sends the study's files as one zip, streamed.
func (a *app) upload(ctx context.Context, bus *events.Bus, errand errand) (neurotriage.Location, error) {
	bar := a.bytes(ctx, "sending")
	defer bar.done()
	archive := zipped(errand.files)
	defer archive.Close()
	return bus.Upload(ctx, bar.reader(archive), errand.uid+".zip")
}

// writeJobs prints what was announced.
func (a *app) writeJobs(jobs []neurotriage.Job, asJSON bool) error {
	if asJSON || !a.outIsTerm {
		for _, job := range jobs {
			if err := writeLine(a.out, job); err != nil {
				return err
			}
		}
		return nil
	}
	view := table{head: []string{"STUDY", "EVENT", "PLACE"}}
	for _, job := range jobs {
		place := job.Location.Root + ":" + job.Location.Path
		if job.Location.Kind == neurotriage.Object {
			place = job.Location.Bucket + "/" + job.Location.Name
		}
		view.add(plainCell(job.StudyInstanceUID), plainCell(job.EventID), plainCell(place))
	}
	return view.write(a.out, a.style)
}

// errWaited ends a wait that took too long.
var errWaited = errors.New("the wait ran out")

// await prints the findings as they come.
func (a *app) await(ctx context.Context, bus *events.Bus, jobs []neurotriage.Job, flags submitFlags) error {
	if a.errIsTerm {
		a.note("%s", a.errStyle.faint("announced "+plural(len(jobs), "study", "studies")+", waiting; Ctrl-C stops the wait and not the work"))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, flags.wait, errWaited)
	defer cancel()
	var findings []neurotriage.Finding
	var broken error
	err := bus.WaitFor(ctx, jobs, func(_ neurotriage.Job, finding neurotriage.Finding) {
		findings = append(findings, finding)
		broken = errors.Join(broken, a.writeFinding(finding, flags.json || !a.outIsTerm))
	})
	missing := len(jobs) - len(findings)
	switch {
	case broken != nil:
		return broken
	case missing > 0 && errors.Is(context.Cause(ctx), errWaited):
		return fmt.Errorf("%w after %s with %s outstanding, which are still being worked on: "+
			"'neurotriage watch' shows them as they come, 'neurotriage doctor' what holds them up",
			errWaited, flags.wait, plural(missing, "study", "studies"))
	case err != nil:
		return err
	case anyRefused(findings):
		return quiet(exitFailed)
	}
	return nil
}
