package daemon

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
)

// diary is what the fakes saw, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// bench is a fake of everything around the engine. Each func may be replaced;
// as made, every study is read.
type bench struct {
	diary
	jobs     chan any // neurotriage.Job, or an error with a job before it
	settled  chan Outcome
	read     func(ctx context.Context, job neurotriage.Job) error
	slice    func(i int) error
	classify func() error
	known    func(id string) (bool, error)
	deliver  func(ctx context.Context) error
	refuse   func() error
	settle   func() error
	log      bytes.Buffer
	engine   *engine
	cancel   context.CancelFunc // the stop's first half
}

const fakeStudy = "1.2.3"

type arrival struct {
	job neurotriage.Job
	err error
}

func (b *bench) Next(ctx context.Context) (neurotriage.Job, error) {
	select {
	case <-ctx.Done():
		return neurotriage.Job{}, ctx.Err()
	case a := <-b.jobs:
		return a.(arrival).job, a.(arrival).err
	}
}

func (b *bench) Settle(_ context.Context, job neurotriage.Job, o Outcome) error {
	if b.settle != nil {
		if err := b.settle(); err != nil {
			b.add("settle failed")
			b.settled <- o
			return err
		}
	}
	b.add("settle %s %s counts=%v after=%s", job.EventID, o.Verdict, o.Counts, o.Delay)
	b.settled <- o
	return nil
}

func (b *bench) Open(ctx context.Context, job neurotriage.Job) (OpenStudy, error) {
	b.add("open")
	if b.read != nil {
		if err := b.read(ctx, job); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) Study() neurotriage.Study { return neurotriage.Study{UID: fakeStudy} }

func (b *bench) Slices(ctx context.Context) iter.Seq2[neurotriage.Slice, error] {
	return func(yield func(neurotriage.Slice, error) bool) {
		for i := range 3 {
			if b.slice != nil {
				if err := b.slice(i); err != nil && !yield(neurotriage.Slice{}, err) {
					return
				}
			}
			if ctx.Err() != nil || !yield(neurotriage.Slice{Index: i}, nil) {
				return
			}
		}
	}
}

func (b *bench) Close() error { b.add("close"); return nil }

func (b *bench) Identify(neurotriage.Study, neurotriage.Thresholds) string { return "id-1" }

func (b *bench) Model() (neurotriage.Model, string) {
	return neurotriage.Model{Name: "fake", Version: "1", Digest: "sha256:00"}, "cpu"
}

func (b *bench) Classify(_ context.Context, study neurotriage.Study, th neurotriage.Thresholds,
	seq iter.Seq2[neurotriage.Slice, error],
) (neurotriage.Reading, error) {
	for _, err := range seq {
		if err != nil {
			return neurotriage.Reading{}, err
		}
	}
	b.add("classify")
	if b.classify != nil {
		if err := b.classify(); err != nil {
			return neurotriage.Reading{}, err
		}
	}
	return neurotriage.Reading{Finding: neurotriage.Finding{
		ID: "id-1", StudyInstanceUID: study.UID, Disposition: neurotriage.GliomaReview, Thresholds: th, Warnings: []string{"own"},
	}}, nil
}

func (b *bench) Delivered(_ context.Context, _ neurotriage.Job, id string) (bool, error) {
	if b.known == nil {
		return false, nil
	}
	return b.known(id)
}

func (b *bench) Deliver(ctx context.Context, _ neurotriage.Job, r neurotriage.Reading) error {
	if b.deliver != nil {
		if err := b.deliver(ctx); err != nil {
			return err
		}
	}
	b.add("deliver %s warnings=%v", r.Finding.ID, r.Finding.Warnings)
	return nil
}

func (b *bench) Refuse(_ context.Context, _ neurotriage.Job, r neurotriage.Reading, cause *neurotriage.Refusal) error {
	if b.refuse != nil {
		if err := b.refuse(); err != nil {
			b.add("refuse failed")
			return err
		}
	}
	headers := ""
	if r.Study.UID != "" {
		headers = " with headers"
	}
	b.add("refuse %s %s%s", r.Finding.Reason, cause.Reason, headers)
	return nil
}

// start runs the engine until stop.
func (b *bench) start(t *testing.T) (stop func()) {
	t.Helper()
	b.jobs, b.settled = make(chan any, 8), make(chan Outcome, 8)
	meter, err := newMeter(prometheus.NewRegistry(), "test")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	gate := newGate(log, func(context.Context) error { return nil }, func(bool) {})
	b.engine = &engine{
		inbox: b, reader: b, classifier: b, outlet: b, gate: gate, policy: policy{maxAttempts: 3, grace: time.Minute, now: time.Now, jitter: exactly},
		settings: func() settings { return settings{neurotriage.Thresholds{GliomaReview: 0.2}, []string{"lower recall"}} },
		guard:    func() error { return nil }, meter: meter, pulse: newPulse(), log: log, workers: 1,
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	var done sync.WaitGroup
	done.Go(func() { b.engine.run(ctx, context.Background()) })
	done.Go(func() { gate.run(ctx) })
	return func() { cancel(); done.Wait() }
}

func fakeJob(attempt int) neurotriage.Job {
	return neurotriage.Job{EventID: "e1", StudyInstanceUID: fakeStudy, Delivery: attempt}
}
