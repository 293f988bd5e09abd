package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/classifier"
)

// fake is an engine that answers the golden inputs as the package says, off by
// offset, after a while, until it fails.
type fake struct {
	p       classifier.Package
	most    int
	offset  float32
	perCall time.Duration
	failAt  int32 // calls until it fails; 0: never
	nan     bool  // fail with NaN instead of an error
	calls   atomic.Int32
	closed  atomic.Int32
}

func (f *fake) run(tensors []float32, n int) (classifier.Output, error) {
	time.Sleep(f.perCall) // the fake's speed, which is judged by the clock
	side, labels := f.p.Model.Input.Size, len(f.p.Model.Labels)
	call := f.calls.Add(1)
	failing := f.failAt > 0 && call >= f.failAt
	if failing && !f.nan {
		return classifier.Output{}, errors.New("device fell off the bus")
	}
	golden := f.p.Golden.Tensors(side)
	out := classifier.Output{MapRows: 1, MapColumns: 1, CAMs: make([]float32, n*labels), OOD: make([]float32, n)}
	for i := range n {
		k := 0
		for k < f.p.Golden.Count-1 && tensors[i*side*side+side+1] != golden[k*side*side+side+1] {
			k++
		}
		for _, logit := range f.p.Golden.Logits[k] {
			out.Logits = append(out.Logits, float32(logit))
		}
		out.Logits[i*labels] += f.offset
		out.OOD[i] = float32(f.p.Golden.OOD[k])
		if failing {
			out.Logits[i*labels] = float32(math.NaN())
		}
	}
	return out, nil
}
func (f *fake) batch() int   { return f.most }
func (f *fake) close() error { f.closed.Add(1); return nil }

// bench makes a runner over fakes; a provider without one cannot be opened.
func fakeRunner(t *testing.T, engines map[Provider]*fake, order ...Provider) (*Runner, error) {
	t.Helper()
	p := unpack(t, tiny(t, nil))
	if len(order) == 0 {
		order = DefaultProviders()
	}
	r := newRunner(p, order, Options{Workers: 1})
	r.look = func(Provider) string { return "" }
	r.open = func(provider Provider, p classifier.Package) (engine, error) {
		e := engines[provider]
		if e == nil {
			return nil, fmt.Errorf("opening a session on %s: not built in", provider)
		}
		e.p = p
		return e, nil
	}
	return r, r.start()
}

const slow, fast = 4 * time.Millisecond, time.Millisecond

func cpu() *fake { return &fake{most: 1, perCall: slow} }

func TestProviderIsChosen(t *testing.T) {
	for name, test := range map[string]struct {
		engines map[Provider]*fake
		order   []Provider
		want    Provider
		reasons map[Provider]string
	}{
		"first that works": {
			engines: map[Provider]*fake{CUDA: {most: 4, perCall: fast}, WebGPU: {most: 4, perCall: fast}, CPU: cpu()}, want: CUDA,
		},
		"not built in": {
			engines: map[Provider]*fake{WebGPU: {most: 4, perCall: fast}, CPU: cpu()}, want: WebGPU,
			reasons: map[Provider]string{CUDA: "not built in"},
		},
		"slower than the CPU": {
			engines: map[Provider]*fake{WebGPU: {most: 2, perCall: 3 * slow}, CPU: cpu()}, want: CPU,
			reasons: map[Provider]string{WebGPU: "no faster than the CPU"},
		},
		"far slower": {
			engines: map[Provider]*fake{WebGPU: {most: 2, perCall: 40 * slow}, CPU: cpu()}, want: CPU,
			reasons: map[Provider]string{WebGPU: "far slower than the CPU"},
		},
		"probabilities off": {
			engines: map[Provider]*fake{CUDA: {most: 4, perCall: fast, offset: 0.02}, CPU: cpu()}, want: CPU,
			reasons: map[Provider]string{CUDA: "p(glioma) is"},
		},
		"fails as it runs": {
			engines: map[Provider]*fake{CUDA: {most: 4, perCall: fast, failAt: 1}, CPU: cpu()}, want: CPU,
			reasons: map[Provider]string{CUDA: "fell off the bus"},
		},
		"not a number": {
			engines: map[Provider]*fake{CUDA: {most: 4, perCall: fast, failAt: 1, nan: true}, CPU: cpu()}, want: CPU,
			reasons: map[Provider]string{CUDA: "is NaN"},
		},
		"configured order": {
			engines: map[Provider]*fake{CUDA: {most: 4, perCall: fast}, WebGPU: {most: 4, perCall: fast}, CPU: cpu()},
			order:   []Provider{WebGPU, CUDA}, want: WebGPU,
		},
		"CPU first": {
			engines: map[Provider]*fake{CUDA: {most: 4, perCall: fast}, CPU: cpu()}, order: []Provider{CPU, CUDA}, want: CPU,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := fakeRunner(t, test.engines, test.order...)
			if err != nil {
				t.Fatal(err)
			}
			report := r.Report()
			if report.Provider != test.want || r.Info().Runtime != string(test.want) {
				t.Errorf("works on %s, want %s: %+v", report.Provider, test.want, report.Attempts)
			}
			for provider, reason := range test.reasons {
				found := false
				for _, a := range report.Attempts {
					found = found || a.Provider == provider && !a.Accepted && strings.Contains(a.Reason, reason)
				}
				if !found {
					t.Errorf("%s was not refused for %q: %+v", provider, reason, report.Attempts)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			for provider, e := range test.engines {
				if e.p.ONNX != nil && e.closed.Load() != 1 {
					t.Errorf("%s was closed %d times", provider, e.closed.Load())
				}
			}
		})
	}
}

func TestNoProviderLeft(t *testing.T) {
	r, err := fakeRunner(t, map[Provider]*fake{CPU: cpu()}, CUDA)
	if err == nil || !strings.Contains(err.Error(), "add cpu to the list") || !strings.Contains(err.Error(), "not built in") {
		t.Errorf("err = %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestLostProviderIsReplaced(t *testing.T) {
	for name, nan := range map[string]bool{"by an error": false, "by scores that are no numbers": true} {
		t.Run(name, func(t *testing.T) {
			gpu := &fake{most: 4, perCall: fast, nan: nan}
			engines := map[Provider]*fake{CUDA: gpu, CPU: cpu()}
			r, err := fakeRunner(t, engines)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if info := r.Info(); !info.Gather || info.Batch != 4 || info.Runtime != "cuda" {
				t.Errorf("info %+v", info)
			}
			gpu.failAt = gpu.calls.Load() + 3
			tensors := r.pkg.Golden.Tensors(32)
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					out, err := r.Run(t.Context(), tensors, 4)
					if err != nil || len(out.Logits) != 16 || math.Abs(float64(out.Logits[5])-r.pkg.Golden.Logits[1][1]) > 1e-6 {
						t.Errorf("logits %v, err %v", out.Logits, err)
					}
				})
			}
			callers.Wait()
			report := r.Report()
			if report.Provider != CPU || len(report.Lost) != 1 || report.Lost[0].Provider != CUDA {
				t.Errorf("report %+v", report)
			}
			if !strings.Contains(report.Degraded(), "cuda was lost and cpu took over") {
				t.Errorf("degraded: %q", report.Degraded())
			}
			if info := r.Info(); info.Gather || info.Runtime != "cpu" || info.Batch != 1 {
				t.Errorf("info %+v", info)
			}
		})
	}
}

func TestNothingReplacesTheLastProvider(t *testing.T) {
	gpu := &fake{most: 4, perCall: fast}
	r, err := fakeRunner(t, map[Provider]*fake{CUDA: gpu, CPU: cpu()}, CUDA)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	gpu.failAt = 1
	_, err = r.Run(t.Context(), r.pkg.Golden.Tensors(32), 1)
	if !errors.Is(err, neurotriage.ErrSurroundings) || !strings.Contains(err.Error(), "fell off the bus") {
		t.Errorf("err = %v, want one of the surroundings", err)
	}
}

func TestMissingDevicesAreNotTried(t *testing.T) {
	root := t.TempDir()
	for _, p := range []Provider{CUDA, WebGPU} {
		if p.missing(root) == "" {
			t.Errorf("%s is not missed in an empty tree", p)
		}
	}
	if CPU.missing(root) != "" {
		t.Error("the CPU is missed")
	}
}

func TestReasonsArePlain(t *testing.T) {
	for text, want := range map[string]string{
		"device lost": "device lost",
		"setting up a session on cuda: /onnxruntime_src/x.cc:1988 onnxruntime::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library a.so with error: a.so: cannot open": "a.so: cannot open",
		"/onnxruntime_src/y.cc:65 f()::<lambda()> status == Success was false. Failed to get a WebGPU adapter":                                                                  "Failed to get a WebGPU adapter",
	} {
		if got := plainly(errors.New(text)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReportForTheLog(t *testing.T) {
	r, err := fakeRunner(t, map[Provider]*fake{CUDA: {most: 4, perCall: fast, offset: 1}, CPU: cpu()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := r.Report().LogValue().String()
	for _, want := range []string{"provider=cpu", "workers=1", "tried_cuda=golden input 0", "tried_webgpu=opening a session on webgpu: not built in", "ms a slice"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}
