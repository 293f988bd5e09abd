package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/dicomio"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childState) != "" {
		os.Exit(child())
	}
	// nats.go leaves this one behind when media are published while the connection closes: it waits on a nil channel.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(
		"github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// card is a small model card: 32 pixels, threshold 0.2.
func card() neurotriage.Model {
	labels := []string{neurotriage.Glioma, neurotriage.Meningioma, neurotriage.Normal, neurotriage.Pituitary}
	quantiles := map[string]float64{}
	for _, label := range labels {
		quantiles[label] = 0.9
	}
	return neurotriage.Model{
		Schema: "model.v1", Name: "fake", Version: "2026.1", Labels: labels, Digest: "sha256:" + strings.Repeat("ab", 32),
		Input:   neurotriage.ModelInput{Name: "input", Size: 32},
		Outputs: neurotriage.ModelOutputs{Logits: "logits", CAMs: "cams", OOD: "ood"},
		Recipe: neurotriage.Recipe{
			Kind: "head-crop.v1", PercentileLow: 0.005, PercentileHigh: 0.995, Thumbnail: 96, HeadThreshold: 0.1, Margin: 0.04,
			MinHeadAreaMM2: 1000,
		},
		Temperature: 1, Pooling: neurotriage.Pooling{Rule: "top-mean.v1", Smooth: 1, Fraction: 0.1, MinSlices: 1},
		Thresholds: neurotriage.CardThresholds{GliomaReview: 0.2, GliomaReviewSlice: 0.2, NormalBar: 0.9, OutOfDomain: 100},
		Conformal:  neurotriage.Conformal{Coverage: 0.95, Quantiles: quantiles},
		IntendedUse: neurotriage.IntendedUse{
			Modality: "MR", BodyPart: "brain", Read: []neurotriage.SequenceKind{neurotriage.T1C}, RaiseOnly: []neurotriage.SequenceKind{neurotriage.T1},
		},
	}
}

// runner is a network of one rule: a slice whose middle is twice as bright as
// what lies beside it shows a glioma.
type runner struct {
	delay  time.Duration
	hold   chan struct{} // when set, Run waits for it
	begun  chan struct{} // takes a token at each Run, if there is room
	fail   func() error
	closed sync.Once
}

func (r *runner) Run(ctx context.Context, tensors []float32, n int) (classifier.Output, error) {
	select {
	case r.begun <- struct{}{}:
	default:
	}
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return classifier.Output{}, ctx.Err()
		}
	}
	time.Sleep(r.delay)
	if r.fail != nil {
		if err := r.fail(); err != nil {
			return classifier.Output{}, err
		}
	}
	out := classifier.Output{MapRows: 1, MapColumns: 1}
	for i := range n {
		row := tensors[i*32*32+16*32:]
		logits := []float32{0, 0, 6, 0}
		if row[16] > 2*row[24] {
			logits = []float32{6, 0, 0, 0}
		}
		out.Logits, out.CAMs, out.OOD = append(out.Logits, logits...), append(out.CAMs, 1, 1, 1, 1), append(out.OOD, 0)
	}
	return out, nil
}

func (r *runner) Info() classifier.RunnerInfo {
	return classifier.RunnerInfo{Runtime: "cpu", Batch: 1, Workers: 2}
}

func (r *runner) Close() error { r.closed.Do(func() {}); return nil }

func opener(r classifier.Runner) daemon.OpenRunner {
	return func(context.Context, daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
		return r, card(), nil
	}
}

// image is a slice of a head; with a lesion its middle is bright.
func image(lesion bool) kit.Image {
	return kit.Grey(64, 64, func(row, column int) int {
		y, x := row-32, column-32
		switch {
		case x*x+y*y > 28*28:
			return 0
		case lesion && x*x+y*y < 8*8:
			return 1000
		}
		return 300 + (row*31+column*17)%64
	})
}

// headStudy is a T1 with contrast of n slices.
func headStudy(name string, n int, lesion bool) kit.Study {
	series := kit.Series{Agent: "GADOLINIUM"}
	for range n {
		series.Images = append(series.Images, image(lesion))
	}
	series.Stack.Between = 60 / float64(max(1, n-1)) // the whole head, or it counts as incomplete
	return kit.Study{Name: name, Series: []kit.Series{series}}
}

// house is a place for daemons: a root with studies, and the configuration.
type house struct {
	t    testing.TB
	root string
	cfg  config.Config
	log  *lockedBuffer
	// pictures asks for real key images; most tests leave them out, since drawing
	// them takes most of a small study's time, the more so under the race detector.
	pictures bool
	stow     string // address of a destination of children; empty: none
	reports  bool   // small report objects instead of pictures
}

func newHouse(t testing.TB) *house {
	t.Helper()
	cfg := config.Default()
	cfg.StateDir = t.TempDir()
	cfg.HTTP.Listen, cfg.NATS.Embedded.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.PACS.Receive.Listen, cfg.PACS.Receive.MinFree = "127.0.0.1:0", 0 // whatever the machine's disk
	cfg.Work.NotFoundGrace, cfg.Work.ShutdownTimeout = 0, 5*time.Second
	root := t.TempDir()
	cfg.Roots = map[string]string{"incoming": root}
	if err := os.WriteFile(filepath.Join(root, "README"), []byte("not empty"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &house{t: t, root: root, cfg: cfg, log: &lockedBuffer{}}
}

// quick shortens the times of NATS, so that a lost worker is missed soon.
func quick(o *events.Options) {
	o.AckWait, o.ScanEvery, o.CallTimeout = 2*time.Second, 200*time.Millisecond, 2*time.Second
}

// start starts a daemon that ends with the test.
func (h *house) start(r classifier.Runner, change ...func(*daemon.Daemon)) *daemon.Daemon {
	h.t.Helper()
	level := &slog.LevelVar{}
	d, err := daemon.New(h.cfg, daemon.Deps{
		OpenRunner: opener(r), Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: level})), Level: level, Version: "1.2.3",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	d.Tune(func(o *events.Options) {
		quick(o)
		switch {
		case h.reports:
			o.Media = smallReports
		case !h.pictures:
			o.Media = events.SliceTable
		}
	})
	for _, fn := range change {
		fn(d)
	}
	if err := d.Start(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			h.t.Errorf("stop: %v", err)
		}
	})
	return d
}

// put writes a study below the root, and gives its announcement.
func (h *house) put(s kit.Study) neurotriage.Job {
	h.t.Helper()
	if err := s.WriteDir(filepath.Join(h.root, s.Name)); err != nil {
		h.t.Fatal(err)
	}
	return neurotriage.Job{
		StudyInstanceUID: kit.UID(s.Name),
		Location:         neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: s.Name},
	}
}

// client is another program on the same NATS.
type client struct {
	t   testing.TB
	bus *events.Bus
	nc  *nats.Conn
	js  jetstream.JetStream
}

func connect(t testing.TB, url string) *client {
	t.Helper()
	bus, err := events.Connect(t.Context(), events.Options{URL: url, Instance: "client"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, bus, nc, js}
}

func (c *client) submit(job neurotriage.Job) neurotriage.Job {
	c.t.Helper()
	job, err := c.bus.Submit(c.t.Context(), job)
	if err != nil {
		c.t.Fatal(err)
	}
	return job
}

// outcome waits until the jobs are settled, and gives each study's finding in force.
func (c *client) outcome(jobs ...neurotriage.Job) []neurotriage.Finding {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 90*time.Second)
	defer cancel()
	got := map[string]neurotriage.Finding{}
	err := c.bus.WaitFor(ctx, jobs, func(job neurotriage.Job, f neurotriage.Finding) { got[job.EventID] = f })
	if err != nil {
		c.t.Fatalf("waiting for %d findings, have %d: %v", len(jobs), len(got), err)
	}
	findings := make([]neurotriage.Finding, len(jobs))
	for i, job := range jobs {
		findings[i] = got[job.EventID]
	}
	return findings
}

// messages reads a whole stream: subject to the data of its events.
func (c *client) messages(stream, filter string) map[string][]json.RawMessage {
	c.t.Helper()
	ctx := c.t.Context()
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		c.t.Fatal(err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	found := map[string][]json.RawMessage{}
	for sequence := info.State.FirstSeq; sequence <= info.State.LastSeq && sequence > 0; sequence++ {
		msg, err := s.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if filter != "" && !strings.HasPrefix(msg.Subject, filter) {
			continue
		}
		var event struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(msg.Data, &event); err != nil {
			c.t.Fatal(err)
		}
		found[msg.Subject] = append(found[msg.Subject], event.Data)
	}
	return found
}

// findingsOf lists every finding of a study on the stream, oldest first.
func (c *client) findingsOf(uid string) []neurotriage.Finding {
	c.t.Helper()
	var findings []neurotriage.Finding
	for _, list := range c.messages("TRIAGE", "triage.finding.") {
		for _, data := range list {
			var f neurotriage.Finding
			if err := json.Unmarshal(data, &f); err != nil {
				c.t.Fatal(err)
			}
			if f.StudyInstanceUID == uid {
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// get asks the daemon's HTTP server.
func get(t testing.TB, d *daemon.Daemon, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Addresses().HTTP+strings.TrimPrefix(path, "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *lockedBuffer) count(word string) int { return strings.Count(b.String(), word) }

// raw is everything a stream holds, as text.
func (c *client) raw(stream string) string {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	var text strings.Builder
	state := s.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		if msg, err := s.GetMsg(c.t.Context(), sequence); err == nil {
			text.Write(msg.Data)
		}
	}
	return text.String()
}

// allMedia gives every object of the media bucket by name.
func (c *client) allMedia() map[string]string {
	c.t.Helper()
	store, err := c.js.ObjectStore(c.t.Context(), "triage_media")
	if err != nil {
		c.t.Fatal(err)
	}
	list, err := store.List(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	media := map[string]string{}
	for _, info := range list {
		data, err := store.GetBytes(c.t.Context(), info.Name)
		if err != nil {
			c.t.Fatal(err)
		}
		media[info.Name] = string(data)
	}
	return media
}

func failingOpener(context.Context, daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
	return nil, neurotriage.Model{}, errors.New("no such model")
}

// fails gives the error of a start.
func (h *house) fails() error {
	h.t.Helper()
	d, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: opener(&runner{})})
	if err != nil {
		return err
	}
	d.Tune(quick)
	if err := d.Start(h.t.Context()); err != nil {
		return err
	}
	return d.Stop()
}

// smallReports are objects of the kinds that a finding has, without the time
// that drawing takes.
func smallReports(r neurotriage.Reading) ([]events.Media, error) {
	media, err := events.SliceTable(r)
	for _, kind := range []string{"sr", "key_image", "key_object"} {
		uid := neurotriage.DerivedUID(r.Finding.ID, kind)
		data, encoding := dicomio.Encode(dicomio.Dataset{
			{Tag: 0x00080016, VR: "UI", Value: "1.2.840.10008.5.1.4.1.1.88.34"}, {Tag: 0x00080018, VR: "UI", Value: uid},
			{Tag: 0x0020000D, VR: "UI", Value: r.Study.UID}, {Tag: 0x00100010, VR: "PN", Value: strings.Repeat("x", 1000)},
		})
		err = errors.Join(err, encoding)
		media = append(media, events.Media{
			Name: uid + ".dcm", ContentType: "application/dicom", Data: data, Report: neurotriage.ReportRef{Kind: kind, SOPInstanceUID: uid},
		})
	}
	return media, err
}
