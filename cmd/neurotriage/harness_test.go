package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/daemon"
	"neurotriage/internal/kit"
)

// result is what a command line left behind.
type result struct {
	code     int
	out, err string
}

// bench runs command lines in this process, each as a process of its own would:
// with an environment that knows nothing of the machine's.
type bench struct {
	t       testing.TB
	state   string
	environ []string
	open    daemon.OpenRunner // a network that answers always the same, if the test does not want the real one
	person  bool              // sits before a terminal
}

// newBench gives a bench whose network says glioma to everything.
func newBench(t testing.TB) *bench {
	state := t.TempDir()
	return &bench{t: t, state: state, environ: []string{"HOME=" + state, "XDG_STATE_HOME=" + state}, open: answering(6, 0, 0, 0)}
}

// locked is a buffer that a daemon may write to while the test reads.
type locked struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

func (b *bench) run(args ...string) result { return b.runWith(b.t.Context(), args...) }

func (b *bench) runWith(ctx context.Context, args ...string) result {
	b.t.Helper()
	var out, err locked
	code := b.start(ctx, &out, &err, args)
	return result{code, out.String(), err.String()}
}

// app is the program before its command line.
func (b *bench) app() *app {
	a := newApp(strings.NewReader(""), &locked{}, &locked{}, b.environ)
	a.open = b.open
	return a
}

func (b *bench) start(ctx context.Context, out, err *locked, args []string) int {
	a := b.app()
	a.out, a.err = out, err
	if b.person {
		a.outIsTerm, a.errIsTerm = true, true
		a.style, a.errStyle = style{colour: true}, style{colour: true}
	}
	return a.run(ctx, args)
}

// want fails the test unless the command ended with the code.
func (r result) want(t testing.TB, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	return r
}

// decode reads the results as JSON.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var value T
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if decoder.More() {
		t.Fatalf("more than one JSON value in %s", text)
	}
	return value
}

// card is a sound card with round numbers.
func card() neurotriage.Model {
	even := map[string]float64{"glioma": 0.5, "meningioma": 0.5, "normal": 0.5, "pituitary": 0.5}
	return neurotriage.Model{
		Schema: "model.v1", Name: "always-the-same", Version: "1.0.0", Labels: []string{"glioma", "meningioma", "normal", "pituitary"},
		Input:       neurotriage.ModelInput{Name: "input", Size: 32},
		Outputs:     neurotriage.ModelOutputs{Logits: "logits", CAMs: "cams", OOD: "ood"},
		Recipe:      neurotriage.Recipe{Kind: "head-crop.v1", PercentileLow: 0.005, PercentileHigh: 0.995, Thumbnail: 96, HeadThreshold: 0.1, Margin: 0.04, MinHeadAreaMM2: 4000},
		Temperature: 1,
		Pooling:     neurotriage.Pooling{Rule: "top-mean.v1", Smooth: 3, Fraction: 0.1, MinSlices: 3},
		Thresholds:  neurotriage.CardThresholds{GliomaReview: 0.2, GliomaReviewSlice: 0.3, NormalBar: 0.9, OutOfDomain: 10},
		Conformal:   neurotriage.Conformal{Coverage: 0.95, Quantiles: even},
		IntendedUse: neurotriage.IntendedUse{
			Modality: "MR", BodyPart: "brain", Read: []neurotriage.SequenceKind{neurotriage.T1C},
			RaiseOnly: []neurotriage.SequenceKind{neurotriage.T1}, Statement: "Tests.",
		},
		Digest: "sha256:" + strings.Repeat("ab", 32),
	}
}

// fixed is a network that gives every slice the same logits.
type fixed struct{ logits [4]float32 }

func (f fixed) Run(_ context.Context, _ []float32, n int) (classifier.Output, error) {
	out := classifier.Output{MapRows: 2, MapColumns: 2, OOD: make([]float32, n)}
	for range n {
		out.Logits = append(out.Logits, f.logits[:]...)
		for range f.logits {
			out.CAMs = append(out.CAMs, 0, 1, 2, 3)
		}
	}
	return out, nil
}

func (f fixed) Info() classifier.RunnerInfo {
	return classifier.RunnerInfo{Runtime: "cpu", Batch: 1, Workers: 2}
}

func (f fixed) Close() error { return nil }

// answering opens a network of fixed logits in the card's order.
func answering(logits ...float32) daemon.OpenRunner {
	return func(context.Context, daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
		return fixed{[4]float32(logits)}, card(), nil
	}
}

// brain is a small study of a head, with contrast agent if one is named.
func brain(name, agent string) kit.Study {
	return kit.Study{Name: name, PatientName: "Doe^Jane", PatientID: "MRN-77", Series: []kit.Series{{Agent: agent, Images: kit.Heads(8, 48, 48)}}}
}

// place writes a study into a new folder.
func place(t testing.TB, study kit.Study) string {
	t.Helper()
	dir := t.TempDir()
	if err := study.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write puts a file into a folder and gives its path.
func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
