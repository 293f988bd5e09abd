package classifier

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"neurotriage"
)

// Tensors of several studies share batches: while the first batch runs, all
// others pile up, and go together.
func TestBatchesAreGatheredAcrossStudies(t *testing.T) {
	s := newStage(t, RunnerInfo{Runtime: "cuda", Batch: 8, Workers: 4, Gather: true})
	s.add(neurotriage.T1C, times(4, normal)...)
	c := s.classifier()
	var first sync.Once
	release := make(chan struct{})
	s.script.hook = func(context.Context, int) error {
		first.Do(func() { <-release })
		return nil
	}
	var studies sync.WaitGroup
	for range 3 {
		studies.Go(func() {
			if _, err := c.Classify(t.Context(), s.study, s.thresholds(), s.seq()); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for { // until the 12 tensors but for those in the first batch wait
		c.gate.mutex.Lock()
		waiting := len(c.gate.waiting)
		c.gate.mutex.Unlock()
		s.script.mutex.Lock()
		running := 0
		if len(s.script.batches) > 0 {
			running = s.script.batches[0]
		}
		s.script.mutex.Unlock()
		if running > 0 && running+waiting == 12 {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the tensors never came together")
		}
		runtime.Gosched()
	}
	close(release)
	studies.Wait()
	batches := s.script.batches
	if rest := 12 - batches[0]; len(batches) < 2 || batches[1] != min(8, rest) {
		t.Errorf("batches of %v, want a first one, then all that waited, up to 8", batches)
	}
}

// Several studies at once do not put more callers into the runner than it wants.
func TestCallersAreLimited(t *testing.T) {
	s := newStage(t, RunnerInfo{Runtime: "cpu", Batch: 2, Workers: 3})
	s.add(neurotriage.T1C, times(20, normal)...)
	c := s.classifier()
	var inside, most atomic.Int32
	s.script.hook = func(context.Context, int) error {
		now := inside.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		inside.Add(-1)
		return nil
	}
	var studies sync.WaitGroup
	for range 5 {
		studies.Go(func() {
			if _, err := c.Classify(t.Context(), s.study, s.thresholds(), s.seq()); err != nil {
				t.Error(err)
			}
		})
	}
	studies.Wait()
	if most.Load() > 3 || slices.Max(s.script.batches) != 2 {
		t.Errorf("%d callers at once, batches of up to %d", most.Load(), slices.Max(s.script.batches))
	}
}

// A caller that gives up leaves the batch to the others.
func TestOneCallersEndIsNotTheBatchs(t *testing.T) {
	s := newStage(t, RunnerInfo{Runtime: "cuda", Batch: 8, Workers: 4, Gather: true})
	s.add(neurotriage.T1C, normal)
	c := s.classifier()
	entered, release := make(chan struct{}, 9), make(chan struct{})
	s.script.hook = func(ctx context.Context, _ int) error {
		entered <- struct{}{}
		<-release
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone, stays := make(chan error, 1), make(chan error, 1)
	go func() { _, err := c.Score(ctx, s.slices[0]); gone <- err }()
	<-entered
	go func() { _, err := c.Score(t.Context(), s.slices[0]); stays <- err }()
	cancel()
	if err := <-gone; err == nil {
		t.Error("the caller whose context ended got a score")
	}
	close(release)
	if err := <-stays; err != nil {
		t.Errorf("the other caller: %v", err)
	}
}

func TestOutputsOfTheWrongShapeAreErrors(t *testing.T) {
	right := func() Output {
		return Output{Logits: make([]float32, 4), CAMs: make([]float32, 16), OOD: make([]float32, 1), MapRows: 2, MapColumns: 2}
	}
	for name, spoil := range map[string]func(o *Output){
		"logits": func(o *Output) { o.Logits = o.Logits[1:] }, "maps": func(o *Output) { o.CAMs = append(o.CAMs, 0) },
		"no map": func(o *Output) { o.CAMs, o.MapRows, o.MapColumns = nil, 0, 0 }, "domain": func(o *Output) { o.OOD = nil },
	} {
		out := right()
		spoil(&out)
		g := newGate(fixed{out}, 2, 4)
		if _, err := g.run(t.Context(), make([]float32, 4), 1); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := newGate(fixed{right()}, 2, 4).run(t.Context(), make([]float32, 4), 1); err != nil {
		t.Error(err)
	}
}

type fixed struct{ out Output }

func (fixed) Info() RunnerInfo { return onCPU }
func (fixed) Close() error     { return nil }
func (f fixed) Run(context.Context, []float32, int) (Output, error) {
	return f.out, nil
}
