package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
)

// Message is what one sending holds.
type Message struct {
	// ID is the alert's key, or one made of all keys: the same for the same alerts.
	ID     string
	Alerts []Alert // at least one
}

// Sender brings a message to people.
type Sender interface {
	// Send returns nil once the receiver has taken the message. A *Busy says that
	// the receiver wants no more for a while.
	Send(ctx context.Context, message Message) error
	// Check tells what is wrong with the way to the receiver, sending nothing.
	Check(ctx context.Context) error
}

// Busy is the error of a receiver that names the time of its next.
type Busy struct {
	After time.Duration
	Err   error
}

func (b *Busy) Error() string { return b.Err.Error() }

// Unwrap gives the answer itself.
func (b *Busy) Unwrap() error { return b.Err }

// Ledger knows what people have done, and who is concerned.
type Ledger interface {
	Standing(ctx context.Context, alert Alert) (Standing, error)
	// Patient is asked only where the configuration lets the patient out. Nobody
	// known is no error.
	Patient(ctx context.Context, alert Alert) (neurotriage.Patient, error)
}

// Options say what one destination is told, and when.
type Options struct {
	Name   string
	Sender Sender
	Ledger Ledger
	Kinds  []Kind // that are told; empty: all

	After  time.Duration // nobody has acknowledged for so long; 0: at once
	Repeat time.Duration // remind so often; 0: never

	Quiet      Windows
	QuietBreak []Kind // kinds that pass quiet hours

	Burst    int           // messages that may go at once; 0: any number
	Interval time.Duration // then one in each

	Patient bool   // name the patient and the accession number
	Link    string // address of a study's page; {study} and {finding} are filled in

	Logger  *slog.Logger // default: silent
	Metrics *Metrics     // default: none
}

const (
	gather      = time.Second // for what was held back to come together
	lookAgain   = 5 * time.Minute
	remindFor   = 24 * time.Hour
	firstRetry  = time.Second
	lastRetry   = 5 * time.Minute
	sendTimeout = time.Minute
	keepSent    = 48 * time.Hour
)

// Bell rings one destination. Its methods may be called by several goroutines,
// which is how alerts that wait come together in one message.
type Bell struct {
	opts Options
	log  *slog.Logger

	mu     sync.Mutex
	pace   pace
	round  *round               // that is being gathered
	faults int                  // in a row
	until  time.Time            // nothing is tried before
	sent   map[string]time.Time // keys, so that a lost confirmation sends nothing twice
	held   map[string]time.Time // subjects that wait, and until when they are known to
}

// round is a message in the making.
type round struct {
	alerts []Alert
	done   chan struct{}
	err    error // set before done is closed
}

// New makes a bell.
func New(opts Options) *Bell {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Metrics == nil {
		opts.Metrics, _ = NewMetrics(prometheus.NewRegistry())
	}
	b := &Bell{
		opts: opts, log: opts.Logger.With("destination", opts.Name), pace: pace{burst: opts.Burst, interval: opts.Interval},
		sent: map[string]time.Time{}, held: map[string]time.Time{},
	}
	opts.Metrics.watch(opts.Name, b.pending)
	return b
}

// Handle does what is to be done now about one alert. nil: nothing is left to
// do. An *Again asks for the alert once more; held tells that this was asked for
// before.
func (b *Bell) Handle(ctx context.Context, alert Alert, held bool) error {
	err := b.handle(ctx, alert, held)
	b.mu.Lock()
	defer b.mu.Unlock()
	if again, waits := errors.AsType[*Again](err); waits {
		b.held[alert.subject()] = time.Now().Add(again.After + lookAgain)
	} else if err == nil {
		delete(b.held, alert.subject())
	}
	return err
}

func (b *Bell) handle(ctx context.Context, alert Alert, held bool) error {
	if !b.wants(alert) {
		return nil
	}
	now := time.Now()
	first := alert.Raised.Add(b.opts.After)
	if now.Before(first) {
		return &Again{After: min(first.Sub(now), lookAgain)}
	}
	standing, err := b.opts.Ledger.Standing(ctx, alert)
	if err != nil {
		return &Again{After: soon(), Err: fmt.Errorf("asking whether somebody has acknowledged: %w", err)}
	}
	reminder := b.reminder(alert, now)
	if standing.Acknowledged || standing.Over && (reminder > 0 || b.opts.After > 0) {
		b.opts.Metrics.ended.WithLabelValues(b.opts.Name).Inc()
		return nil
	}
	alert.Reminder, alert.Key, alert.Over = reminder, alert.key(reminder), standing.Over
	if !b.wasSent(alert.Key) {
		if wait := b.quiet(alert, now); wait > 0 {
			return &Again{After: min(wait, lookAgain)}
		}
		if err := b.ring(ctx, alert, held); err != nil {
			return err
		}
	}
	return b.next(alert)
}

// wants tells whether the destination is told of the alert at all. A revision
// that sets the flag raises two alerts about one finding; the review's is enough.
func (b *Bell) wants(alert Alert) bool {
	told := func(k Kind) bool { return len(b.opts.Kinds) == 0 || slices.Contains(b.opts.Kinds, k) }
	twice := alert.Kind == Changed && alert.Flagged != nil && *alert.Flagged && told(Review)
	return told(alert.Kind) && !twice
}

// reminder counts from 0, the first message.
func (b *Bell) reminder(alert Alert, now time.Time) int {
	if b.opts.Repeat <= 0 {
		return 0
	}
	since := min(now.Sub(alert.Raised.Add(b.opts.After)), remindFor)
	return int(since / b.opts.Repeat)
}

// next is what is left to do once a message has gone.
func (b *Bell) next(alert Alert) error {
	if b.opts.Repeat <= 0 {
		return nil
	}
	since := time.Duration(alert.Reminder+1) * b.opts.Repeat
	if since > remindFor {
		return nil
	}
	due := alert.Raised.Add(b.opts.After + since)
	return &Again{After: min(max(time.Until(due), 0), lookAgain)}
}

func (b *Bell) quiet(alert Alert, now time.Time) time.Duration {
	if slices.Contains(b.opts.QuietBreak, alert.Kind) {
		return 0
	}
	end, _ := b.opts.Quiet.end(now)
	return end.Sub(now)
}

func (b *Bell) wasSent(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, sent := b.sent[key]
	return sent
}

// ring puts the alert into the message that is in the making, or begins one. What
// was held back waits a moment for what was held back beside it.
func (b *Bell) ring(ctx context.Context, alert Alert, held bool) error {
	if b.opts.Patient {
		if err := b.name(ctx, &alert); err != nil {
			return &Again{After: soon(), Err: err}
		}
	} else {
		alert.AccessionNumber, alert.Patient = "", nil
	}
	alert.Link = link(b.opts.Link, alert)
	b.mu.Lock()
	now := time.Now()
	r := b.round
	if r != nil {
		r.alerts = append(r.alerts, alert)
		b.mu.Unlock()
		return b.await(ctx, r)
	}
	if wait := max(b.until.Sub(now), b.pace.wait(now)); wait > 0 {
		b.mu.Unlock()
		return &Again{After: min(wait, lookAgain)}
	}
	b.pace.take(now)
	r = &round{alerts: []Alert{alert}, done: make(chan struct{})}
	b.round = r
	b.mu.Unlock()
	if held {
		rest(ctx, gather)
	}
	b.send(ctx, r)
	return r.err
}

// await waits for the message that holds the alert.
func (b *Bell) await(ctx context.Context, r *round) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send closes the round and sends it. A sender may stand on foreign code, whose
// panic ends the attempt and not the daemon.
func (b *Bell) send(ctx context.Context, r *round) {
	defer close(r.done)
	b.mu.Lock()
	b.round = nil
	b.mu.Unlock()
	message := compose(r.alerts)
	err := b.attempt(ctx, message)
	if err == nil {
		b.succeeded(message)
		return
	}
	if ctx.Err() != nil {
		r.err = context.Cause(ctx) // the stop's doing
		return
	}
	after := b.failed(err)
	b.opts.Metrics.failed.WithLabelValues(b.opts.Name).Inc()
	b.log.Warn("an alert was not sent and is tried again", "alerts", len(message.Alerts), "after", after.Round(time.Millisecond), "err", err)
	r.err = &Again{After: after, Err: err}
}

func (b *Bell) attempt(ctx context.Context, message Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("sending: panic (%T)", value)
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.opts.Sender.Send(ctx, message)
}

func (b *Bell) succeeded(message Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults, b.until = 0, time.Time{}
	now := time.Now()
	maps.DeleteFunc(b.sent, func(_ string, when time.Time) bool { return now.Sub(when) > keepSent })
	for _, alert := range message.Alerts {
		b.sent[alert.Key] = now
		b.log.Info("alerted", "kind", string(alert.Kind), "study", alert.StudyInstanceUID, "finding", alert.FindingID,
			"reminder", alert.Reminder, "after", now.Sub(alert.Raised).Round(time.Millisecond))
	}
	b.opts.Metrics.sent.WithLabelValues(b.opts.Name).Inc()
	b.opts.Metrics.alerts.WithLabelValues(b.opts.Name).Add(float64(len(message.Alerts)))
}

// soon is the wait after a fault that is not the destination's.
func soon() time.Duration { return firstRetry + rand.N(firstRetry) }

// failed counts a fault of the destination and gives the wait until the next
// attempt, which holds for all its alerts.
func (b *Bell) failed(err error) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := min(firstRetry<<min(b.faults, 16), lastRetry)
	wait = wait*3/4 + rand.N(wait/2)
	if busy, ok := errors.AsType[*Busy](err); ok {
		wait = max(wait, min(busy.After, lastRetry))
	}
	b.faults++
	b.until = time.Now().Add(wait)
	return wait
}

// name puts the patient into the alert.
func (b *Bell) name(ctx context.Context, alert *Alert) error {
	p, err := b.opts.Ledger.Patient(ctx, *alert)
	if err != nil {
		return fmt.Errorf("asking who the patient is: %w", err)
	}
	if p.Name+p.ID+p.BirthDate != "" {
		alert.Patient = &Person{Name: p.Name, ID: p.ID, BirthDate: p.BirthDate}
	}
	return nil
}

// pending counts the alerts that this daemon knows to wait. One that another
// daemon took over is forgotten after a while.
func (b *Bell) pending() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(b.held, func(_ string, until time.Time) bool { return now.After(until) })
	return float64(len(b.held))
}

// rest waits for d or for ctx's end.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
