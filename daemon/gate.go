package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"neurotriage"
)

// Times of the gate.
const (
	firstProbe = 500 * time.Millisecond // from the pause to the first probe
	lastProbe  = 5 * time.Second        // the longest wait between probes, which are cheap
	probeTime  = 15 * time.Second       // for one probe
	trialTime  = 5 * time.Second        // without a new fault, after which a trial counts as passed
)

// fault is an error of the surroundings that knows how to ask whether it is over.
type fault struct {
	err  error
	over func() error // nil when it is over
}

func (f *fault) Error() string   { return f.err.Error() }
func (f *fault) Unwrap() []error { return []error{neurotriage.ErrSurroundings, f.err} }

type gateState int

const (
	gateOpen  gateState = iota
	gateShut            // nobody takes work
	gateTrial           // the probe says it is over; work goes on, and its outcome decides
)

// gate stands between the workers and the inbox. A fault of the surroundings
// shuts it; a probe opens it again, on trial until work passes. One episode is
// logged once at its start and once at its end, however often the trial fails.
type gate struct {
	log     *slog.Logger
	probe   func(context.Context) error // asks after the surroundings that every job needs
	changed func(paused bool)           // told at each start and end of an episode

	mu    sync.Mutex
	state gateState
	cause error
	since time.Time
	pass  chan struct{} // closed while workers may pass
	news  chan struct{} // wakes run; holds one token
}

func newGate(log *slog.Logger, probe func(context.Context) error, changed func(bool)) *gate {
	g := &gate{log: log, probe: probe, changed: changed, pass: make(chan struct{}), news: make(chan struct{}, 1)}
	close(g.pass)
	return g
}

// wait returns nil when work may be taken, or ctx's error.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	pass := g.pass
	g.mu.Unlock()
	select {
	case <-pass:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// paused gives the start and the cause of the present episode, or nil.
func (g *gate) paused() (since time.Time, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.since, g.cause
}

// shut stops the flow of work because of an error of the surroundings.
func (g *gate) shut(cause error) {
	g.mu.Lock()
	before := g.state
	if before != gateShut {
		g.state = gateShut
		g.pass = make(chan struct{})
		g.cause = cause
	}
	if before == gateOpen {
		g.since = time.Now()
	}
	g.mu.Unlock()
	if before == gateOpen {
		g.log.Warn("work paused: the surroundings fail; nothing is lost, and work goes on by itself once this is over",
			"cause", cause.Error())
		g.changed(true)
	}
	if before != gateShut {
		g.wake()
	}
}

// passed tells that a job went through, which ends a trial.
func (g *gate) passed() {
	g.mu.Lock()
	trial := g.state == gateTrial
	g.mu.Unlock()
	if trial {
		g.open()
	}
}

func (g *gate) open() {
	g.mu.Lock()
	if g.state != gateTrial {
		g.mu.Unlock()
		return
	}
	took := time.Since(g.since)
	g.state, g.cause, g.since = gateOpen, nil, time.Time{}
	g.mu.Unlock()
	g.log.Info("work goes on: the surroundings are well again", "paused_for", took.Round(time.Millisecond))
	g.changed(false)
	g.wake()
}

func (g *gate) try() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == gateShut {
		g.state = gateTrial
		close(g.pass)
	}
}

func (g *gate) now() (gateState, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state, g.cause
}

func (g *gate) wake() {
	select {
	case g.news <- struct{}{}:
	default: // a token is waiting, and run looks at the state anyway
	}
}

// run probes while the gate is shut, until ctx ends. The wait between probes
// doubles within an episode, and a failed trial does not set it back.
func (g *gate) run(ctx context.Context) {
	pause := firstProbe
	for ctx.Err() == nil {
		state, cause := g.now()
		switch state {
		case gateOpen:
			pause = firstProbe
			g.sleep(ctx, -1)
		case gateShut:
			sleep(ctx, pause)
			pause = min(2*pause, lastProbe)
			if ctx.Err() == nil && g.over(ctx, cause) == nil {
				g.try()
			}
		case gateTrial:
			if !g.sleep(ctx, trialTime) && ctx.Err() == nil {
				g.open()
			}
		}
	}
}

// over asks the surroundings in general and the fault in particular.
func (g *gate) over(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if err := g.probe(ctx); err != nil {
		return err
	}
	if f, ok := errors.AsType[*fault](cause); ok && f.over != nil {
		return f.over()
	}
	return nil
}

// sleep waits for news, and reports whether there was any before d had passed.
// A negative d waits without end.
func (g *gate) sleep(ctx context.Context, d time.Duration) bool {
	var limit <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case <-g.news:
		return true
	case <-limit:
	case <-ctx.Done():
	}
	return false
}

// sleep waits for d or for ctx's end.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
