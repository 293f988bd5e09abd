package daemon

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"neurotriage/pacs"
)

// openWatches begins to look at the watched roots.
func (d *Daemon) openWatches(context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(d.cfg.PACS.Watch)) {
		c := d.cfg.PACS.Watch[name]
		watch, err := pacs.OpenWatch(pacs.WatchOptions{
			Name: name, Root: c.Root, Folder: d.cfg.Roots[c.Root], Quiet: c.Quiet, State: filepath.Join(d.cfg.StateDir, "watched"),
			Limits: limits(d.cfg.Limits), Devices: d.library.options.OwnDevices, Logger: d.deps.Logger.With("component", "pacs"),
			Office: d.office(), Metrics: d.in.metrics,
		})
		if err != nil {
			return err
		}
		d.in.show(func() { d.in.watches = append(d.in.watches, watched{name, c.Root, watch}) })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			watch.Run(ctx)
		}()
		d.stack.add("the watch "+name, func(ctx context.Context) error {
			cancel()
			select {
			case <-done:
				return watch.Close()
			case <-ctx.Done(): // a share whose server died lets nobody go
				return fmt.Errorf("the root does not answer: %w", context.Cause(ctx))
			}
		})
	}
	return nil
}

// watched is a watch and what it is called.
type watched struct {
	name, root string
	watch      *pacs.Watch
}

// part tells what the watch sees.
func (w watched) part() Part {
	name := "watch " + w.name
	seen, err := w.watch.Seen()
	if err != nil {
		return broken(name, err, "mount the share, or give the daemon's user the right to read root "+w.root)
	}
	return Part{Name: name, OK: true, Detail: fmt.Sprintf("root %s, %d studies in %d files, %d still changing", w.root, seen.Studies, seen.Files, seen.Changing)}
}
