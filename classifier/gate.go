package classifier

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"neurotriage"
)

// gate stands before the runner and is shared by all studies. Without Gather it
// lets as many callers in as the runner wants workers, so that several studies
// at once do not oversubscribe the cores. With Gather it fills batches: while
// one batch runs, tensors pile up, and all that wait go into the next. No timer
// is involved: a lone slice does not wait, and a crowd fills the device.
type gate struct {
	runner Runner
	size   int // values of one tensor
	labels int
	slots  chan struct{}

	mutex   sync.Mutex
	waiting []*request
	busy    bool // a drain is at work
}

// request is one tensor on its way through a shared batch.
type request struct {
	tensor []float32
	out    Output
	err    error
	done   chan struct{}
}

func newGate(runner Runner, side, labels int) *gate {
	slots := runtime.GOMAXPROCS(0)
	if info := runner.Info(); !info.Gather {
		slots = info.Workers
	}
	return &gate{runner: runner, size: side * side, labels: labels, slots: make(chan struct{}, max(1, slots))}
}

// run scores n tensors and checks the shape of what comes back.
func (g *gate) run(ctx context.Context, tensors []float32, n int) (Output, error) {
	if n == 1 && g.runner.Info().Gather {
		return g.join(ctx, tensors)
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return Output{}, context.Cause(ctx)
	}
	return g.checked(ctx, tensors, n)
}

// join adds one tensor to the next shared batch and waits for it. When ctx ends
// first the batch still reads the tensor: the caller must not touch it again.
func (g *gate) join(ctx context.Context, tensor []float32) (Output, error) {
	mine := &request{tensor: tensor, done: make(chan struct{})}
	g.mutex.Lock()
	g.waiting = append(g.waiting, mine)
	if !g.busy {
		g.busy = true
		go g.drain(context.WithoutCancel(ctx)) // others' tensors must not die with this caller
	}
	g.mutex.Unlock()
	select {
	case <-mine.done:
		return mine.out, mine.err
	case <-ctx.Done():
		return Output{}, context.Cause(ctx)
	}
}

// drain runs batches until nobody waits, and ends.
func (g *gate) drain(ctx context.Context) {
	var tensors []float32
	for {
		g.mutex.Lock()
		n := min(len(g.waiting), max(1, g.runner.Info().Batch))
		if n == 0 {
			g.busy = false
			g.mutex.Unlock()
			return
		}
		batch := append([]*request(nil), g.waiting[:n]...)
		g.waiting = append(g.waiting[:0], g.waiting[n:]...)
		g.mutex.Unlock()

		tensors = tensors[:0]
		for _, r := range batch {
			tensors = append(tensors, r.tensor[:g.size]...)
		}
		out, err := g.checked(ctx, tensors, n)
		for i, r := range batch {
			if r.err = err; err == nil {
				r.out = out.row(i, g.labels)
			}
			close(r.done)
		}
	}
}

// checked runs one batch and refuses an output of the wrong shape.
func (g *gate) checked(ctx context.Context, tensors []float32, n int) (Output, error) {
	out, err := g.runner.Run(ctx, tensors[:n*g.size], n)
	if err != nil {
		return Output{}, fmt.Errorf("running the network on %d slices: %w", n, err)
	}
	cells := out.MapRows * out.MapColumns
	if len(out.Logits) != n*g.labels || len(out.OOD) != n || cells <= 0 || len(out.CAMs) != n*g.labels*cells {
		return Output{}, fmt.Errorf("running the network on %d slices: %d logits, %d map values of %d×%d and %d domain scores came back",
			n, len(out.Logits), len(out.CAMs), out.MapRows, out.MapColumns, len(out.OOD))
	}
	return out, nil
}

// errNotFinite marks scores that are no numbers: NaN in gives NaN out, and ONNX
// Runtime says nothing.
var errNotFinite = errors.New("the network's output is not a finite number")

// checkFinite looks at all that the network said of one slice.
func checkFinite(slice neurotriage.Slice, out Output) error {
	for _, part := range []struct {
		name   string
		values []float32
	}{{"logits", out.Logits}, {"activation maps", out.CAMs}, {"domain score", out.OOD}} {
		for i, v := range part.values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("scoring slice %s frame %d: %s[%d] is %v: %w",
					slice.SOPInstanceUID, slice.Frame, part.name, i, v, errNotFinite)
			}
		}
	}
	return nil
}

// preparers hands out preparers that are warm.
type preparers struct {
	recipe neurotriage.Recipe
	size   int
	idle   sync.Pool
}

func (p *preparers) get() *Preparer {
	if preparer, ok := p.idle.Get().(*Preparer); ok {
		return preparer
	}
	return NewPreparer(p.recipe, p.size)
}

func (p *preparers) put(preparer *Preparer) { p.idle.Put(preparer) }
