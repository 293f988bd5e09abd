package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"neurotriage"
)

// engine is the work loop: it takes jobs, walks them to their finding, and
// settles each according to the policy.
type engine struct {
	inbox      Inbox
	reader     Reader
	classifier Classifier
	outlet     Outlet
	gate       *gate
	policy     policy
	settings   func() settings
	guard      func() error // asks, before a job is taken, whether its results could be stored
	meter      *meter
	pulse      *pulse
	log        *slog.Logger
	workers    int
	book       *book // nil in tests
}

// run works until ctx ends and every worker has handed back what it held.
// final outlives ctx by the time that a stop grants for storing and settling.
func (e *engine) run(ctx, final context.Context) {
	var workers sync.WaitGroup
	for worker := range e.workers {
		workers.Go(func() { e.work(ctx, final, worker) })
	}
	workers.Wait()
}

func (e *engine) work(ctx, final context.Context, worker int) {
	defer e.pulse.rest(worker)
	for e.gate.wait(ctx) == nil {
		if err := e.guard(); err != nil {
			e.gate.shut(err)
			continue
		}
		job, err := e.inbox.Next(ctx)
		refusal, refused := errors.AsType[*neurotriage.Refusal](err)
		if err != nil && !refused {
			if ctx.Err() == nil {
				e.gate.shut(fmt.Errorf("waiting for work: %w", err))
			}
			continue
		}
		e.pulse.beat(worker)
		e.handle(ctx, final, &run{job: job, worker: worker, began: time.Now()}, refusal)
		e.pulse.rest(worker)
	}
}

// run is one job's way through the engine, with what the log line says of it.
type run struct {
	job     neurotriage.Job
	worker  int
	began   time.Time
	open    time.Duration // headers
	read    time.Duration // decoding, preparation and inference, which overlap
	deliver time.Duration
	slices  int
	repeat  bool               // the finding was there already
	study   *neurotriage.Study // headers, once they were read
	finding neurotriage.Finding
}

// handle takes a job to its end: attempt, judge, refuse if need be, settle.
// Nothing is settled as done or refused before everything is stored.
func (e *engine) handle(ctx, final context.Context, r *run, refusal *neurotriage.Refusal) {
	e.meter.busy.Inc()
	defer e.meter.busy.Dec()
	var err error
	if refusal != nil {
		err = refusal
	} else {
		err = e.attempt(ctx, final, r)
	}
	stopping := ctx.Err() != nil
	verdict := e.policy.decide(r.job, err, stopping)
	if verdict.refusal != nil {
		refused := refusedReading(r, verdict.refusal, e.classifier, e.settings())
		r.finding = refused.Finding
		if err := e.outlet.Refuse(final, r.job, refused, verdict.refusal); err != nil {
			verdict = e.policy.unstored(fmt.Errorf("storing the refusal (%s): %w", verdict.refusal.Reason, err), stopping)
		}
	}
	if verdict.pause != nil {
		e.gate.shut(verdict.pause)
	}
	if err := e.inbox.Settle(final, r.job, verdict.outcome); err != nil {
		e.unsettled(r, verdict, err)
		return
	}
	if verdict.outcome.Verdict != HandBack {
		e.gate.passed()
	}
	e.report(r, verdict)
}

// attempt reads, classifies and delivers one study. A panic, which can only be
// a third-party decoder's or our own mistake, is an error like any other.
func (e *engine) attempt(ctx, final context.Context, r *run) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = e.panicked(r, value)
		}
	}()
	settings := e.settings()
	opened, err := e.reader.Open(ctx, r.job)
	if err != nil {
		return err
	}
	defer func() {
		if closing := opened.Close(); closing != nil {
			e.log.Warn("closing a study", "request", r.job.EventID, "err", closing)
		}
	}()
	study := opened.Study()
	r.study = &study
	r.open = time.Since(r.began)
	id := e.classifier.Identify(study, settings.Thresholds)
	r.repeat, err = e.outlet.Delivered(ctx, r.job, id)
	if err != nil {
		return fmt.Errorf("asking for finding %s: %w", id, err)
	}
	if r.repeat {
		r.finding.ID = id
		return nil
	}
	e.noteRead(study)
	reading, err := e.classify(ctx, r, opened, settings)
	if err != nil {
		return err
	}
	if reading.Finding.ID != id {
		return fmt.Errorf("the headers promise finding %s, the reading is %s: a mistake of the classifier", id, reading.Finding.ID)
	}
	reading.Finding.Warnings = append(reading.Finding.Warnings, settings.Warnings...)
	r.finding = reading.Finding
	start := time.Now()
	err = e.outlet.Deliver(final, r.job, reading)
	r.deliver = time.Since(start)
	if err != nil {
		return fmt.Errorf("delivering finding %s: %w", id, err)
	}
	return nil
}

func (e *engine) classify(ctx context.Context, r *run, opened OpenStudy, settings settings) (neurotriage.Reading, error) {
	start := time.Now()
	reading, err := e.classifier.Classify(ctx, opened.Study(), settings.Thresholds, e.counted(r, opened.Slices(ctx)))
	r.read = time.Since(start)
	if err == nil {
		err = ctx.Err() // a stop in the middle must not pass for a study with few slices
	}
	return reading, err
}

// counted passes slices on, and shows on the way that the worker is alive.
func (e *engine) counted(r *run, slices iter.Seq2[neurotriage.Slice, error]) iter.Seq2[neurotriage.Slice, error] {
	return func(yield func(neurotriage.Slice, error) bool) {
		for slice, err := range slices {
			e.pulse.beat(r.worker)
			if err == nil {
				r.slices++
				e.meter.slices.Inc()
			}
			if !yield(slice, err) {
				return
			}
		}
	}
}

// panicError stands for a panic. Its text leaves the panic's own words out,
// because a decoder may quote the header it stumbled over.
type panicError struct{ kind string }

func (p *panicError) Error() string { return "panic (" + p.kind + ") while the study was read" }

// panicked logs the stack, which holds code places and no data, and makes the
// error that counts as an attempt.
func (e *engine) panicked(r *run, value any) error {
	kind := fmt.Sprintf("%T", value)
	if fault, ok := value.(runtime.Error); ok {
		kind = fault.Error() // indices and types, never data
	}
	e.meter.panics.Inc()
	e.log.Error("panic in a worker; the study is tried again",
		"request", r.job.EventID, "study", r.job.StudyInstanceUID, "kind", kind, "stack", string(debug.Stack()))
	return &panicError{kind: kind}
}

// unsettled tells of a job whose end the server did not confirm. The server
// will deliver it again; the finding's id then recognises what is stored.
func (e *engine) unsettled(r *run, d decision, err error) {
	e.meter.unsettled.Inc()
	if errors.Is(err, neurotriage.ErrSurroundings) {
		e.gate.shut(fmt.Errorf("settling a job: %w", err))
	}
	e.log.Debug("the server did not confirm the end of a job and will deliver it again",
		"request", r.job.EventID, "study", r.job.StudyInstanceUID, "verdict", d.outcome.Verdict.String(), "err", err)
}
