package classifier

import "context"

// Runner runs the network. Implementations are safe for concurrent use.
type Runner interface {
	// Run scores n tensors of the card's size, laid one after another. The tensors
	// are the caller's again when Run returns, and the output is the caller's to
	// keep. An error concerns the call, not one of its tensors; ctx is heeded
	// before the work starts, since a network cannot be stopped half-way.
	Run(ctx context.Context, tensors []float32, n int) (Output, error)
	// Info says how the runner likes to be called. It may change between calls,
	// when a lost device is replaced.
	Info() RunnerInfo
	// Close waits for calls in flight and releases the network. It may be called
	// twice.
	Close() error
}

// RunnerInfo is how a runner likes to be called.
type RunnerInfo struct {
	Runtime string // cuda, webgpu or cpu
	Batch   int    // most tensors of one Run; at least 1
	Workers int    // goroutines of one study that should call Run at once; at least 1
	// Gather asks for full batches: tensors of several callers, of several
	// studies, go into one Run. Without it each worker fills its own batch.
	Gather bool
}

// Output is what the network said of n tensors, row by row.
type Output struct {
	Logits              []float32 // n × labels
	CAMs                []float32 // n × labels × MapRows × MapColumns, not negative
	OOD                 []float32 // n, higher is more foreign
	MapRows, MapColumns int
}

// row cuts out what was said of tensor i.
func (o Output) row(i, labels int) Output {
	cells := labels * o.MapRows * o.MapColumns
	return Output{
		Logits: o.Logits[i*labels : (i+1)*labels], CAMs: o.CAMs[i*cells : (i+1)*cells], OOD: o.OOD[i : i+1],
		MapRows: o.MapRows, MapColumns: o.MapColumns,
	}
}
