package onnx_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/model"
	"neurotriage/classifier/onnx"
	"neurotriage/classifier/onnx/library"
)

// openShipped opens the shipped model, or skips.
func openShipped(t testing.TB, options onnx.Options) (*onnx.Runner, neurotriage.Model) {
	t.Helper()
	if _, err := library.Find(""); err != nil {
		t.Skip(err)
	}
	options.Model = model.ONNX()
	runner, card, err := onnx.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runner.Close(); err != nil {
			t.Error(err)
		}
	})
	return runner, card
}

// heads is a study in memory: n slices of a bright ellipse with noise.
func heads(n, rows, columns int) (neurotriage.Study, iter.Seq2[neurotriage.Slice, error]) {
	series := neurotriage.Series{UID: "1.2.3", Sequence: neurotriage.T1C, Eligible: true, Complete: true}
	random := rand.New(rand.NewPCG(1, 2))
	pixels := make([]float32, rows*columns)
	for i := range pixels {
		dy, dx := (float64(i/columns)/float64(rows)-0.5)/0.4, (float64(i%columns)/float64(columns)-0.5)/0.4
		if d := dx*dx + dy*dy; d < 1 {
			pixels[i] = float32(600 + math.Round(300*math.Cos(6*d)) + float64(random.IntN(80)))
		}
	}
	for i := range n {
		series.Slices = append(series.Slices, neurotriage.Slice{
			SeriesInstanceUID: series.UID, SOPInstanceUID: fmt.Sprintf("1.2.3.%d", i), Index: i, Frame: 1,
			Rows: rows, Columns: columns, Spacing: [2]float64{0.7, 0.7},
		})
	}
	return neurotriage.Study{UID: "1.2", Series: []neurotriage.Series{series}}, func(yield func(neurotriage.Slice, error) bool) {
		for _, slice := range series.Slices {
			slice.Pixels = pixels
			if !yield(slice, nil) {
				return
			}
		}
	}
}

func BenchmarkRun(b *testing.B) {
	for _, callers := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			runner, card := openShipped(b, onnx.Options{Providers: []string{"cpu"}})
			b.ReportAllocs()
			elapsed := bare(b.Context(), b, runner, card, callers, b.N)
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "slices/s")
		})
	}
}

// bare runs n tensors on the runner alone, by the batch it wants.
func bare(ctx context.Context, t testing.TB, runner *onnx.Runner, card neurotriage.Model, callers, n int) time.Duration {
	batch := runner.Info().Batch
	tensors := classifier.Golden{Count: batch}.Tensors(card.Input.Size)
	var next atomic.Int64
	var crew sync.WaitGroup
	started := time.Now()
	for range callers {
		crew.Go(func() {
			for next.Add(int64(batch)) <= int64(n+batch-1) {
				if _, err := runner.Run(ctx, tensors, batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	crew.Wait()
	return time.Since(started)
}

// cpuTime is what this process has used, which neighbours on the machine disturb
// less than the clock on the wall.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it cannot fail for oneself
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkClassify reads studies from memory and reports how much of the bare
// runner's speed is left, both measured in turns: by the clock, and by CPU time.
func BenchmarkClassify(b *testing.B) {
	const slices = 96
	runner, card := openShipped(b, onnx.Options{Providers: []string{"cpu"}})
	c, err := classifier.New(card, runner, classifier.Options{})
	if err != nil {
		b.Fatal(err)
	}
	study, seq := heads(slices, 384, 274)
	thresholds := neurotriage.Thresholds{GliomaReview: card.Thresholds.GliomaReview}
	var whole, alone, wholeCPU, aloneCPU time.Duration
	b.ReportAllocs()
	for b.Loop() {
		started, used := time.Now(), cpuTime()
		if _, err := c.Classify(b.Context(), study, thresholds, seq); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(started)
		wholeCPU += cpuTime() - used
		b.StopTimer()
		used = cpuTime()
		alone += bare(b.Context(), b, runner, card, runner.Info().Workers, slices)
		aloneCPU += cpuTime() - used
		b.StartTimer()
	}
	b.ReportMetric(float64(slices*b.N)/whole.Seconds(), "slices/s")
	b.ReportMetric(float64(slices*b.N)/alone.Seconds(), "bare-slices/s")
	b.ReportMetric(alone.Seconds()/whole.Seconds(), "of-bare")
	b.ReportMetric(aloneCPU.Seconds()/wholeCPU.Seconds(), "of-bare-cpu")
}
