package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// lateGrace is what a clean-up gets when the time of the stop is used up by
// those before it: enough to close a file, not enough to hang.
const lateGrace = 250 * time.Millisecond

// cleanups undo what a start made. Each is registered where the thing is made,
// with its name; they run in reverse, all of them, and their errors are joined.
type cleanups struct {
	log  *slog.Logger
	list []cleanup
}

type cleanup struct {
	name string
	undo func(context.Context) error
}

func (c *cleanups) add(name string, undo func(context.Context) error) {
	c.list = append(c.list, cleanup{name, undo})
}

// run empties the list. ctx bounds the whole: a clean-up that does not end in
// time is left behind and reported, and the next one still runs.
func (c *cleanups) run(ctx context.Context) error {
	var errs []error
	for len(c.list) > 0 {
		last := c.list[len(c.list)-1]
		c.list = c.list[:len(c.list)-1]
		start := time.Now()
		if err := last.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", last.name, err))
		}
		c.log.Debug("stopped", "what", last.name, "took", time.Since(start).Round(time.Microsecond))
	}
	return errors.Join(errs...)
}

func (c cleanup) run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- c.undo(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(lateGrace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("it does not end: %w", context.Cause(ctx))
	}
}
