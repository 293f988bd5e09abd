package dicomio

import (
	"context"
	"iter"
	"sync"
)

// ordered computes make(0) … make(n-1) on several goroutines and yields the
// results in order. At most window results are finished or under way beyond the
// one that the receiver holds. When the receiver stops, or ctx ends, it waits
// for the goroutines and leaves none behind; make gets a context that ends then.
func ordered[T any](ctx context.Context, n, workers, window int, produce func(context.Context, int) T) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()

		slots := make([]chan T, max(1, window))
		for i := range slots {
			slots[i] = make(chan T, 1)
		}
		tickets := make(chan int, len(slots))
		defer close(tickets)
		for range min(max(1, workers), n) {
			group.Go(func() {
				for i := range tickets {
					slots[i%len(slots)] <- produce(ctx, i)
				}
			})
		}
		given := 0
		for i := range n {
			for given < n && given < i+len(slots) {
				tickets <- given
				given++
			}
			// produce returns early once ctx ends, so this wait is bounded.
			if !yield(i, <-slots[i%len(slots)]) {
				return
			}
		}
	}
}
