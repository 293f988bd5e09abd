package onnx_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"neurotriage/classifier"
	"neurotriage/classifier/onnx"
)

// A tensor that Go's collector frees while the runtime reads it gives wrong
// scores and no error. The shipped model runs for milliseconds, the collector
// never rests, and garbage of the tensors' own size takes their place: with
// tensors in Go memory that nothing holds on to, this fails within a second (tried).
func TestScoresHoldUnderTheCollector(t *testing.T) {
	const callers, rounds = 3, 60
	runner, card := openShipped(t, onnx.Options{Providers: []string{"cpu"}})
	values := card.Input.Size * card.Input.Size
	tensors := classifier.Golden{Count: callers}.Tensors(card.Input.Size)
	want := make([]classifier.Output, callers)
	for i := range want {
		out, err := runner.Run(t.Context(), tensors[i*values:], 1)
		if err != nil {
			t.Fatal(err)
		}
		want[i] = out
	}
	stop := make(chan struct{})
	var litter, crew sync.WaitGroup
	litter.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				garbage := make([][]float32, 8)
				for i := range garbage {
					garbage[i] = slices.Repeat([]float32{1e6}, values)
				}
				runtime.GC()
				runtime.KeepAlive(garbage)
			}
		}
	})
	for caller := range callers {
		crew.Go(func() {
			for range rounds {
				out, err := runner.Run(t.Context(), slices.Clone(tensors[caller*values:][:values]), 1)
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(out.Logits, want[caller].Logits) || !slices.Equal(out.CAMs, want[caller].CAMs) {
					t.Errorf("caller %d: logits %v, want %v", caller, out.Logits, want[caller].Logits)
					return
				}
			}
		})
	}
	crew.Wait()
	close(stop)
	litter.Wait()
}
