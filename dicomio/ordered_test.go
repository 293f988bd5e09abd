package dicomio

import (
	"context"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestOrdered(t *testing.T) {
	defer goleak.VerifyNone(t)
	cases := []struct{ n, workers, window, stop int }{
		{0, 1, 1, 99}, {1, 1, 1, 99}, {100, 1, 1, 999}, {100, 4, 8, 999}, {100, 8, 4, 999}, {3, 8, 64, 999},
		{100, 4, 8, 0}, {100, 4, 8, 50}, {100, 0, 0, 999},
	}
	for _, c := range cases {
		var started, taken atomic.Int64
		next := 0
		for i, v := range ordered(t.Context(), c.n, c.workers, c.window, func(_ context.Context, i int) int {
			if lead := started.Add(1) - taken.Load(); lead > int64(max(1, c.window))+1 {
				t.Errorf("%+v: %d results ahead of the receiver", c, lead)
			}
			return i * i
		}) {
			taken.Add(1)
			if i != next || v != i*i {
				t.Fatalf("%+v: got %d, %d in place %d", c, i, v, next)
			}
			if next++; i == c.stop {
				break
			}
		}
		if want := min(c.n, c.stop+1); next != want {
			t.Errorf("%+v: %d results, want %d", c, next, want)
		}
	}
}
