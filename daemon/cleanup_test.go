package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanupsRunInReverseAndAll(t *testing.T) {
	c := cleanups{log: slog.New(slog.DiscardHandler)}
	var order []string
	broken := errors.New("broken")
	for _, name := range []string{"first", "second", "third"} {
		c.add(name, func(context.Context) error {
			order = append(order, name)
			if name == "first" {
				return nil
			}
			return broken
		})
	}
	err := c.run(t.Context())
	if want := []string{"third", "second", "first"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "stopping third") || !strings.Contains(err.Error(), "stopping second") {
		t.Errorf("error %v", err)
	}
	if err := c.run(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("a second run gives %v after %v", err, order)
	}
}

// A clean-up that hangs takes its time and no more, and the others still run.
func TestCleanupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cleanups{log: slog.New(slog.DiscardHandler)}
		release := make(chan struct{})
		ran := false
		c.add("the lock", func(context.Context) error { ran = true; return nil })
		c.add("the stuck one", func(context.Context) error { <-release; return nil })
		used := errors.New("used up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, used)
		defer cancel()
		start := time.Now()
		err := c.run(ctx)
		if took := time.Since(start); took != time.Second+lateGrace {
			t.Errorf("it took %s", took)
		}
		if !ran || !errors.Is(err, used) || !strings.Contains(err.Error(), "the stuck one") {
			t.Errorf("ran %v, error %v", ran, err)
		}
		close(release)
	})
}
