package onnx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/onnx/library"
)

// Options of a runner.
type Options struct {
	Library   string       // path of ONNX Runtime's shared library; empty: library.Find
	Model     []byte       // the ONNX file with card and golden scores in its metadata
	Providers []string     // of cuda, webgpu, cpu in the order to try; empty: all three
	Workers   int          // callers at once on the CPU; 0: one a core that Go may use
	Logger    *slog.Logger // nil: silent
}

// Runner runs the model on the best provider that was accepted.
type Runner struct {
	pkg    classifier.Package
	order  []Provider
	open   func(Provider, classifier.Package) (engine, error)
	look   func(Provider) string // why a provider cannot be there, or ""
	logger *slog.Logger
	leave  func() error // gives the environment back

	calls  sync.RWMutex // held for reading by Run, for writing by Close
	closed bool

	mutex     sync.Mutex // of what follows
	current   Provider
	engine    engine
	cpu       engine // the reference, and the last resort
	cpuMillis float64
	spent     []engine // lost ones: closed with the runner, when no call can be in them
	report    Report
}

// Open reads the model's card, checks the runtime against its golden scores and
// chooses a provider. The caller closes the runner.
func Open(options Options) (*Runner, neurotriage.Model, error) {
	fail := func(err error) (*Runner, neurotriage.Model, error) {
		return nil, neurotriage.Model{}, fmt.Errorf("opening the model: %w", err)
	}
	pkg, err := classifier.Unpack(options.Model)
	if err != nil {
		return fail(err)
	}
	order, err := parseProviders(options.Providers)
	if err != nil {
		return fail(err)
	}
	path, err := library.Find(options.Library)
	if err != nil {
		return fail(err)
	}
	if err := acquireEnvironment(path); err != nil {
		return fail(err)
	}
	r := newRunner(pkg, order, options)
	r.report.Library, r.report.Version, r.leave = path, ort.GetVersion(), releaseEnvironment
	if err := r.start(); err != nil {
		return fail(errors.Join(err, r.Close()))
	}
	trimHeap()
	r.logger.Info("model opened", "model", pkg.Model.Name, "version", pkg.Model.Version, "runtime", r.Report())
	return r, pkg.Model, nil
}

func newRunner(pkg classifier.Package, order []Provider, options Options) *Runner {
	r := &Runner{pkg: pkg, order: order, open: openSession, logger: options.Logger, leave: func() error { return nil }}
	r.look = func(p Provider) string { return p.missing(systemRoot()) }
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	r.report.Workers = options.Workers
	if r.report.Workers <= 0 {
		r.report.Workers = runtime.GOMAXPROCS(0)
	}
	r.report.Lost, r.report.Attempts = []Attempt{}, []Attempt{}
	return r
}

// start opens the CPU's engine, which every other is held against, and chooses.
func (r *Runner) start() error {
	cpu, err := r.open(CPU, r.pkg)
	if err != nil {
		return err
	}
	r.cpu = cpu
	if _, err := r.pkg.Golden.Verify(context.Background(), r.pkg.Model, plain{cpu}); err != nil {
		return fmt.Errorf("checking the golden scores on the CPU: %w", err)
	}
	one, err := warmMillis(cpu, r.pkg)
	if err != nil {
		return fmt.Errorf("warming up the CPU: %w", err)
	}
	r.cpuMillis = one / float64(r.report.Workers) // as if the cores did not share anything
	return r.choose(r.order)
}

// choose takes the first provider of order that is accepted.
func (r *Runner) choose(order []Provider) error {
	for _, provider := range order {
		attempt := Attempt{Provider: provider}
		candidate := r.cpu
		if provider == CPU {
			attempt.SliceMillis = r.cpuMillis
		} else {
			candidate, attempt.SliceMillis, attempt.Reason = r.try(provider)
		}
		attempt.Accepted = attempt.Reason == ""
		r.report.Attempts = append(r.report.Attempts, attempt)
		if attempt.Accepted {
			r.current, r.engine, r.report.Provider = provider, candidate, provider
			return nil
		}
	}
	var reasons []error
	for _, a := range r.report.Attempts {
		reasons = append(reasons, fmt.Errorf("%s: %s", a.Provider, a.Reason))
	}
	return fmt.Errorf("no provider of %v works; add cpu to the list: %w", r.order, errors.Join(reasons...))
}

// try opens a provider and judges it; one that is refused is closed again.
func (r *Runner) try(provider Provider) (e engine, millis float64, reason string) {
	if reason := r.look(provider); reason != "" {
		return nil, 0, reason
	}
	err := keepingSignals(func() (err error) {
		if e, err = r.open(provider, r.pkg); err != nil {
			return err
		}
		millis, reason = judge(e, r.cpu, r.cpuMillis, r.pkg)
		return nil
	})
	if err != nil {
		return nil, 0, plainly(err)
	}
	if reason != "" {
		if err := e.close(); err != nil {
			reason += "; " + err.Error()
		}
	}
	return e, millis, reason
}

// Run scores n tensors, in several batches when there are more than the provider
// wants. When the provider fails, the next one takes over and scores them.
func (r *Runner) Run(ctx context.Context, tensors []float32, n int) (classifier.Output, error) {
	side := r.pkg.Model.Input.Size
	if n < 1 || len(tensors) < n*side*side {
		return classifier.Output{}, fmt.Errorf("running %d slices: %d values do not hold them at %d×%d", n, len(tensors), side, side)
	}
	r.calls.RLock()
	defer r.calls.RUnlock()
	if r.closed {
		return classifier.Output{}, errors.New("running slices: the runner is closed")
	}
	for {
		if err := ctx.Err(); err != nil {
			return classifier.Output{}, context.Cause(ctx)
		}
		r.mutex.Lock()
		used, provider := r.engine, r.current
		r.mutex.Unlock()
		out, err := inChunks(used, tensors, n, side)
		if err == nil && provider != CPU && !finite(out) {
			err = errors.New("scores came that are not finite numbers")
		}
		if err == nil || provider == CPU {
			return out, err
		}
		if err := r.replace(used, provider, err); err != nil {
			return classifier.Output{}, err
		}
	}
}

// replace puts the next provider in the place of one that failed; of several
// callers who saw it fail, the first does it.
func (r *Runner) replace(failed engine, provider Provider, cause error) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.engine != failed {
		return nil
	}
	rest := r.order[slices.Index(r.order, provider)+1:]
	if err := r.choose(rest); err != nil {
		return fmt.Errorf("%w: %s failed (%w) and nothing takes its place: %w", neurotriage.ErrSurroundings, provider, cause, err)
	}
	r.spent = append(r.spent, failed)
	r.report.Lost = append(r.report.Lost, Attempt{Provider: provider, Reason: plainly(cause)})
	r.logger.Warn("provider lost", "provider", provider, "error", cause, "replaced_by", r.current)
	return nil
}

// Info says how the provider in use likes to be called.
func (r *Runner) Info() classifier.RunnerInfo {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	info := classifier.RunnerInfo{Runtime: string(r.current), Batch: r.engine.batch(), Workers: r.report.Workers}
	if r.current != CPU {
		info.Gather, info.Workers = true, 2*info.Batch // one batch waits while one runs
	}
	return info
}

// Report says what the runner works on at present.
func (r *Runner) Report() Report {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	report := r.report
	report.Attempts, report.Lost = slices.Clone(report.Attempts), slices.Clone(report.Lost)
	return report
}

// Trim gives memory that the network freed back to the system. It is for quiet
// times: the next run asks for some of it again.
func (r *Runner) Trim() { trimHeap() }

// Close waits for calls in flight and releases everything. It may be called
// twice.
func (r *Runner) Close() error {
	r.calls.Lock()
	defer r.calls.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var errs []error
	for _, e := range append(r.spent, r.engine) {
		if e != nil && e != r.cpu {
			errs = append(errs, e.close())
		}
	}
	if r.cpu != nil {
		errs = append(errs, r.cpu.close())
	}
	return errors.Join(append(errs, r.leave())...)
}

func finite(out classifier.Output) bool {
	for _, values := range [][]float32{out.Logits, out.OOD, out.CAMs} {
		for _, v := range values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return false
			}
		}
	}
	return true
}

// plain is an engine as a runner, for the golden check.
type plain struct{ engine }

func (p plain) Run(_ context.Context, tensors []float32, n int) (classifier.Output, error) {
	return p.run(tensors, n)
}
func (plain) Info() classifier.RunnerInfo { return classifier.RunnerInfo{Batch: 1, Workers: 1} }
func (plain) Close() error                { return nil }
