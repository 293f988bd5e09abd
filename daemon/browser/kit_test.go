// Package browser tests the pages of a whole daemon in a real browser.
package browser_test

import (
	"bytes"
	"context"
	"image"
	"image/draw"
	"image/png"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// patience is how long anything may take: far more than it does on a machine
// that does other things as well.
const patience = 90 * time.Second

// side is the stand-in model's input, cells its activation map, in pixels.
const (
	side  = 64
	cells = 16
)

func card() neurotriage.Model {
	labels := []string{neurotriage.Glioma, neurotriage.Meningioma, neurotriage.Normal, neurotriage.Pituitary}
	quantiles := map[string]float64{}
	for _, label := range labels {
		quantiles[label] = 0.9
	}
	return neurotriage.Model{
		Schema: "model.v1", Name: "stand-in", Version: "2026.1", Labels: labels, Digest: "sha256:" + strings.Repeat("5e", 32),
		Input:   neurotriage.ModelInput{Name: "input", Size: side},
		Outputs: neurotriage.ModelOutputs{Logits: "logits", CAMs: "cams", OOD: "ood"},
		Recipe: neurotriage.Recipe{
			Kind: "head-crop.v1", PercentileLow: 0.005, PercentileHigh: 0.995, Thumbnail: 96, HeadThreshold: 0.1, Margin: 0.04, MinHeadAreaMM2: 1000,
		},
		Temperature: 1, Pooling: neurotriage.Pooling{Rule: "top-mean.v1", Smooth: 3, Fraction: 0.2, MinSlices: 2},
		Thresholds: neurotriage.CardThresholds{GliomaReview: 0.2, GliomaReviewSlice: 0.2, NormalBar: 0.9, OutOfDomain: 100},
		Conformal:  neurotriage.Conformal{Coverage: 0.95, Quantiles: quantiles},
		IntendedUse: neurotriage.IntendedUse{
			Modality: "MR", BodyPart: "brain", Read: []neurotriage.SequenceKind{neurotriage.T1C}, RaiseOnly: []neurotriage.SequenceKind{neurotriage.T1},
		},
		Evaluation: map[string]any{"studies": map[string]any{"glioma_recall": 0.93, "flagged_share": 0.21}},
	}
}

// brightness is a stand-in for a network: what is brightest inside the head is
// a glioma on the left of the picture and a meningioma on the right.
type brightness struct{}

func (brightness) Run(_ context.Context, tensors []float32, n int) (classifier.Output, error) {
	out := classifier.Output{MapRows: cells, MapColumns: cells}
	for i := range n {
		tensor := tensors[i*side*side : (i+1)*side*side]
		warm, best, sum, inner, at := make([]float32, cells*cells), float32(0), float32(0), float32(0), 0
		for cell := range warm {
			for k := range 16 {
				warm[cell] += tensor[(cell/cells*4+k/4)*side+cell%cells*4+k%4] / 16
			}
			row, column := float64(cell/cells)-7.5, float64(cell%cells)-7.5
			if row*row+column*column > 5*5 {
				continue
			}
			sum, inner = sum+warm[cell], inner+1
			if warm[cell] > best {
				best, at = warm[cell], cell
			}
		}
		lump := 20 * (best - sum/inner - 0.25)
		glioma, meningioma := lump, lump-4
		if at%cells >= cells/2 {
			glioma, meningioma = meningioma, glioma
		}
		out.Logits = append(out.Logits, glioma, meningioma, 1.5, -3)
		for range 4 {
			for cell, v := range warm {
				row, column := float64(cell/cells-at/cells), float64(cell%cells-at%cells)
				out.CAMs = append(out.CAMs, v*float32(math.Exp(-(row*row+column*column)/8)))
			}
		}
		out.OOD = append(out.OOD, 0)
	}
	return out, nil
}

func (brightness) Info() classifier.RunnerInfo {
	return classifier.RunnerInfo{Runtime: "cpu", Batch: 1, Workers: 2}
}
func (brightness) Close() error { return nil }

// head is one slice of a generated head; with a lump it has a bright ring.
func head(size int, z, lump float64, right bool) kit.Image {
	image := kit.Grey(size, size, func(row, column int) int {
		y, x := 2*float64(row)/float64(size)-1, 2*float64(column)/float64(size)-1
		r := math.Hypot(x/(0.76-0.25*z*z), y/(0.9-0.3*z*z))
		noise := math.Sin(23*x+5*z)*math.Cos(19*y-3*z)*60 + math.Sin(51*x)*math.Sin(47*y)*35
		side := 1.0
		if !right {
			side = -1
		}
		d := math.Hypot(x-side*0.28, y+0.15)
		switch {
		case r > 1:
			return int(math.Abs(math.Sin(float64(row*column)))*14) + 4
		case r > 0.93:
			return 700
		case r > 0.87:
			return 120
		case lump > 0 && math.Abs(d-0.17*lump) < 0.06:
			return 1500
		case lump > 0 && d < 0.17*lump:
			return 300
		case math.Hypot((math.Abs(x)-0.13)/0.07, (y+0.02)/0.26) < 1:
			return 190
		}
		return 560 + int(noise)
	})
	image.Bits = 12
	return image
}

// study is a T1 with contrast of n slices.
func study(name, agent string, n int, lump, right bool) kit.Study {
	series := kit.Series{Agent: agent}
	for i := range n {
		z := 2*float64(i)/float64(max(1, n-1)) - 1
		size := 0.0
		if lump {
			size = max(0, 1-math.Abs(z-0.1)*2.5)
		}
		series.Images = append(series.Images, head(256, z, size, right))
	}
	series.Stack.Between = 120 / float64(max(1, n-1))
	return kit.Study{Name: name, Accession: "A-" + name, Series: []kit.Series{series}}
}

// house is a running daemon with a root of studies.
type house struct {
	t    testing.TB
	root string
	url  string
	bus  *events.Bus
}

func open(t testing.TB, change ...func(*config.Config)) *house {
	t.Helper()
	root := t.TempDir()
	cfg := config.Default()
	cfg.PACS.Receive.Listen, cfg.PACS.Receive.MinFree = "127.0.0.1:0", 0
	cfg.StateDir, cfg.HTTP.Listen, cfg.NATS.Embedded.Listen = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	cfg.Roots = map[string]string{"incoming": root}
	cfg.Work.NotFoundGrace, cfg.Work.ShutdownTimeout = 0, 5*time.Second
	for _, fn := range change {
		fn(&cfg)
	}
	d, err := daemon.New(cfg, daemon.Deps{
		OpenRunner: func(context.Context, daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
			return brightness{}, card(), nil
		},
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "1.0.0",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Errorf("stopping the daemon: %v", err)
		}
	})
	bus, err := events.Connect(t.Context(), events.Options{URL: d.Addresses().NATS, Instance: "browser-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return &house{t: t, root: root, url: strings.TrimSuffix(d.Addresses().HTTP, "/"), bus: bus}
}

// send announces a study and gives its UID.
func (h *house) send(s kit.Study, priority neurotriage.Priority) neurotriage.Job {
	h.t.Helper()
	if err := s.WriteDir(filepath.Join(h.root, s.Name)); err != nil {
		h.t.Fatal(err)
	}
	return h.announce(kit.UID(s.Name), s.Name, s.Accession, priority)
}

func (h *house) announce(uid, path, accession string, priority neurotriage.Priority) neurotriage.Job {
	h.t.Helper()
	job, err := h.bus.Submit(h.t.Context(), neurotriage.Job{
		StudyInstanceUID: uid, AccessionNumber: accession, Priority: priority,
		Location: neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: path},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return job
}

// settle waits until the jobs have their findings.
func (h *house) settle(jobs ...neurotriage.Job) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.bus.WaitFor(ctx, jobs, func(neurotriage.Job, neurotriage.Finding) {}); err != nil {
		h.t.Fatalf("waiting for findings: %v", err)
	}
}

// chrome starts a browser with nothing remembered; it ends with the test.
func chrome(t testing.TB, width, height int) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here: apt-get install chromium fonts-liberation")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); end() })
	if err := chromedp.Do(ctx); err != nil { // the context of the first run is the browser's, so it has no deadline
		t.Fatalf("starting chromium: %v", err)
	}
	return ctx
}

func do(t testing.TB, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// until waits for a script to become true, over reloads of the page.
func until(t testing.TB, ctx context.Context, what, script string) {
	t.Helper()
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
		if there {
			return
		}
		select {
		case <-ctx.Done():
			shoot(t, context.WithoutCancel(ctx), "fault")
			t.Fatalf("%s: not in time (%v)", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ask gives a script's value.
func ask[T any](t testing.TB, ctx context.Context, script string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return value
}

// shoot keeps a picture of what is seen, as something to look at afterwards.
func shoot(t testing.TB, ctx context.Context, name string) image.Image {
	t.Helper()
	dir := os.Getenv("NEUROTRIAGE_SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "screenshots")
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatalf("screenshot %s: %v", name, err)
	}
	drawn, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatalf("screenshot %s: %v", name, err)
	}
	var small bytes.Buffer // chromium packs in haste
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, coarse(drawn)); err == nil && small.Len() < len(picture) {
		picture = small.Bytes()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil { //nolint:gosec // pictures of generated studies
		t.Fatal(err)
	}
	return drawn
}

// coarse drops the two lowest bits of each colour, which nobody sees: pictures of
// noise become a third smaller.
func coarse(drawn image.Image) image.Image {
	box := drawn.Bounds()
	out := image.NewRGBA(box)
	draw.Draw(out, box, drawn, box.Min, draw.Src)
	for i := range out.Pix {
		if i%4 != 3 {
			out.Pix[i] &^= 3
		}
	}
	return out
}
