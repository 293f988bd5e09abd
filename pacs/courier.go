package pacs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
)

// Pauses of a destination that is not well. They double from the first to the
// last; one parcel is tried after each.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// Post is where a courier gets its parcels and tells what became of them.
type Post interface {
	// Follow calls fn with the parcels of one destination until ctx ends, and
	// remembers across restarts how far it came. After nil the parcel is done
	// with; after an error it comes again later, at the time that a *Postponed
	// names. attempt counts from 1 and leaves out what was postponed.
	// Parcels come without study and objects.
	Follow(ctx context.Context, destination string, fn func(ctx context.Context, parcel Parcel, attempt int) error) error
	// Pack adds study and objects to a parcel that is about to go out.
	Pack(ctx context.Context, parcel *Parcel) error
	// Note shows in the worklist how far the delivery of a parcel is.
	Note(ctx context.Context, destination string, parcel Parcel, delivery Delivery) error
}

// DeliveryState is how far a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	Pending   DeliveryState = "pending" // tried, and tried again
	Delivered DeliveryState = "delivered"
	Failed    DeliveryState = "failed" // given up; nobody tries again by himself
)

// Delivery is what the worklist shows of one.
type Delivery struct {
	State    DeliveryState
	Attempts int    // of the finding that count; waiting for the destination does not
	Note     string // why it is not delivered, in words, without the patient
}

// Postponed asks for a parcel again, without holding the attempt against it.
type Postponed struct {
	After time.Duration
	Err   error
}

func (p *Postponed) Error() string {
	return fmt.Sprintf("postponed for %s: %v", p.After.Round(time.Millisecond), p.Err)
}

// Unwrap gives the cause.
func (p *Postponed) Unwrap() error { return p.Err }

// CourierOptions say what one courier carries, and where to.
type CourierOptions struct {
	Name        string // of the destination; its feed and its state are kept under it
	Destination Destination
	When        Rule
	Attempts    int           // of a parcel that is turned away, before it is given up; default 20
	Timeout     time.Duration // of one attempt; default 5 min
	Post        Post
	Logger      *slog.Logger    // default: silent
	Metrics     *CourierMetrics // default: none
}

// Courier brings the findings of one feed to one destination, in order as far
// as the destination takes them. What its destination does concerns no other.
type Courier struct {
	opts CourierOptions
	log  *slog.Logger

	mu    sync.Mutex
	until time.Time // paused so long; zero: well
	pause time.Duration
	since time.Time // begin of the outage
	cause error
}

// NewCourier makes a courier that does not run yet.
func NewCourier(opts CourierOptions) *Courier {
	if opts.Attempts <= 0 {
		opts.Attempts = 20
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Metrics == nil {
		opts.Metrics, _ = NewCourierMetrics(prometheus.NewRegistry())
	}
	opts.Metrics.up.WithLabelValues(opts.Name).Set(1)
	return &Courier{opts: opts, log: opts.Logger.With("destination", opts.Name)}
}

// Run delivers until ctx ends. Trouble with the feed itself is waited out.
func (c *Courier) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.opts.Post.Follow(ctx, c.opts.Name, c.carry)
		if ctx.Err() == nil {
			c.log.Warn("following the findings; trying again", "err", err)
			rest(ctx, firstPause)
		}
	}
}

// Outage tells since when the destination is not well, and why; nil when it is.
func (c *Courier) Outage() (since time.Time, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, c.cause
}

// carry takes one parcel as far as it gets now.
func (c *Courier) carry(ctx context.Context, parcel Parcel, attempt int) error {
	if !c.opts.When.Match(parcel) {
		return nil
	}
	if left, cause := c.resting(); left > 0 {
		// Held here, it would hold up those behind it, which nobody would hear of.
		noted := c.note(ctx, parcel, Delivery{State: Pending, Attempts: attempt - 1, Note: cause.Error()})
		return errors.Join(&Postponed{After: left, Err: cause}, noted)
	}
	if err := c.opts.Post.Pack(ctx, &parcel); err != nil {
		return err
	}
	began := time.Now()
	err := c.deliver(ctx, parcel)
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx) // the stop's doing, not the destination's
	}
	c.opts.Metrics.seconds.WithLabelValues(c.opts.Name).Observe(time.Since(began).Seconds())
	return c.settle(ctx, parcel, attempt, err)
}

// deliver makes one attempt. A destination may stand on foreign code: its panic
// ends the attempt, not the daemon.
func (c *Courier) deliver(ctx context.Context, parcel Parcel) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout,
		fmt.Errorf("%w: nothing was settled within %s", neurotriage.ErrSurroundings, c.opts.Timeout))
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("delivering: panic (%T)", value)
		}
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
	}()
	return c.opts.Destination.Deliver(ctx, parcel)
}

// settle judges an attempt and notes it.
func (c *Courier) settle(ctx context.Context, parcel Parcel, attempt int, err error) error {
	if err == nil {
		c.well()
		c.count("delivered")
		c.log.Info("delivered", "finding", parcel.Finding.ID, "study", parcel.Finding.StudyInstanceUID, "attempt", attempt)
		return c.note(ctx, parcel, Delivery{State: Delivered, Attempts: attempt})
	}
	if errors.Is(err, ErrNothing) {
		c.count("nothing")
		return nil
	}
	if later, ok := errors.AsType[*Postponed](err); ok {
		c.well()
		c.count("postponed")
		return errors.Join(later, c.note(ctx, parcel, Delivery{State: Pending, Attempts: attempt - 1, Note: later.Err.Error()}))
	}
	if errors.Is(err, neurotriage.ErrSurroundings) {
		pause := c.unwell(err)
		c.count("outage")
		noted := c.note(ctx, parcel, Delivery{State: Pending, Attempts: attempt - 1, Note: err.Error()})
		return errors.Join(&Postponed{After: pause, Err: err}, noted)
	}
	c.well() // it answered, even if with a no
	if errors.Is(err, ErrRejected) || attempt >= c.opts.Attempts {
		c.count("failed")
		c.log.Error("a finding was not delivered and is given up; cure the cause, then deliver it again",
			"finding", parcel.Finding.ID, "study", parcel.Finding.StudyInstanceUID, "attempts", attempt, "err", err)
		return c.note(ctx, parcel, Delivery{State: Failed, Attempts: attempt, Note: err.Error()})
	}
	c.count("turned_away")
	return errors.Join(err, c.note(ctx, parcel, Delivery{State: Pending, Attempts: attempt, Note: err.Error()}))
}

func (c *Courier) note(ctx context.Context, parcel Parcel, d Delivery) error {
	return c.opts.Post.Note(ctx, c.opts.Name, parcel, d)
}

func (c *Courier) count(outcome string) {
	c.opts.Metrics.attempts.WithLabelValues(c.opts.Name, outcome).Inc()
}

// resting tells how long the destination rests from an outage yet.
func (c *Courier) resting() (left time.Duration, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.until), c.cause
}

// unwell notes an outage and gives the pause until the next attempt.
func (c *Courier) unwell(err error) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.since, c.pause = time.Now(), firstPause/2
		c.opts.Metrics.up.WithLabelValues(c.opts.Name).Set(0)
		c.log.Warn("the destination is not well; findings wait for it", "err", err)
	}
	c.cause = err
	c.pause = min(2*c.pause, lastPause)
	c.until = time.Now().Add(c.pause)
	return c.pause
}

// well ends an outage.
func (c *Courier) well() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		c.opts.Metrics.up.WithLabelValues(c.opts.Name).Set(1)
		c.log.Info("the destination is well again", "outage", time.Since(c.since).Round(time.Millisecond))
	}
	c.cause, c.until, c.since = nil, time.Time{}, time.Time{}
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
