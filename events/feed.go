package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// Feed names a place of its own in the stream TRIAGE: what one destination has
// got and what it still waits for outlives the daemon, and several daemons that
// follow the same feed share its messages.
type Feed struct {
	Name string // letters, digits, - and _; part of the consumer's name
	Kind FeedKind
}

// FeedKind says which events a feed carries.
type FeedKind string

// The kinds of feed.
const (
	FindingFeed FeedKind = "finding"
	AlertFeed   FeedKind = "alert"
)

// Notice is one event of a feed: a finding or an alert.
type Notice struct {
	Finding *neurotriage.Finding
	Alert   *Alert
	Job     neurotriage.Job // the announcement that the finding answers, as far as it is kept; of findings only
	Time    time.Time       // when it was stored
	Attempt int             // deliveries of this notice so far, this one included
}

// Later is returned by the function of [Bus.Follow] to get the notice again
// after a while, without a fault: to escalate, or to wait for quiet hours to end.
func Later(after time.Duration) error { return laterError(after) }

type laterError time.Duration

func (e laterError) Error() string { return "again after " + time.Duration(e).String() }

// Bounds of what a feed does by itself.
const (
	feedFirstWait = time.Second // after a first fault; doubles with each
	feedLastWait  = 10 * time.Minute
)

// Follow calls fn with each notice of the feed, one after the other, until ctx
// ends, whose error it gives. A notice is done when fn returns nil, which is
// confirmed by the server; a *neurotriage.Refusal ends it as well, since no
// repeat helps. After any other error it comes again, after a delay that grows
// from a second to ten minutes, as long as the stream keeps it; others come
// meanwhile. So each notice comes at least once, and fn must bear repeats. A
// feed that is followed for the first time begins with what is published then.
func (b *Bus) Follow(ctx context.Context, feed Feed, fn func(context.Context, Notice) error) error {
	if token(feed.Name) != feed.Name || feed.Name == "" {
		return fmt.Errorf("following feed %q: its name may hold letters, digits, - and _ only", feed.Name)
	}
	for {
		err := b.drain(ctx, feed, fn)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.log.Warn("a feed begins anew", "feed", feed.Name, "error", err)
		if err := b.pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// PrepareFeed begins the feed if it is new, so that Follow misses nothing that
// is published from now on.
func (b *Bus) PrepareFeed(ctx context.Context, feed Feed) error {
	return b.do(ctx, "preparing feed "+feed.Name, func(ctx context.Context) error {
		_, err := b.ensureFeed(ctx, feed)
		return err
	})
}

// drain hands out notices until something is wrong with the surroundings.
func (b *Bus) drain(ctx context.Context, feed Feed, fn func(context.Context, Notice) error) error {
	var consumer jetstream.Consumer
	err := b.do(ctx, "preparing feed "+feed.Name, func(ctx context.Context) (err error) {
		consumer, err = b.ensureFeed(ctx, feed)
		return err
	})
	if err != nil {
		return err
	}
	for {
		msg, err := b.pullFeed(ctx, consumer)
		if err != nil {
			return err
		}
		if msg != nil {
			b.handOut(ctx, feed, msg, fn)
		}
	}
}

func (b *Bus) ensureFeed(ctx context.Context, feed Feed) (jetstream.Consumer, error) {
	stream, err := b.stream(ctx, b.names.triage())
	if err != nil {
		return nil, err
	}
	consumer, err := stream.Consumer(ctx, feed.consumer())
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return consumer, err
	}
	return stream.CreateConsumer(ctx, b.feedConfig(feed))
}

func (f Feed) consumer() string { return "feed_" + string(f.Kind) + "_" + f.Name }

func (b *Bus) feedConfig(feed Feed) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: feed.consumer(), FilterSubject: b.names.subject("triage." + string(feed.Kind) + ".>"), DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: b.feedPatience(), MaxDeliver: -1, MaxAckPending: 10_000,
		InactiveThreshold: b.opts.Retention.Findings, // a destination that is gone for good leaves nothing behind
		Metadata:          mark(),
	}
}

// feedPatience is how long a notice stays with a daemon that gives no sign of
// life. It is longer than a job's: what is delivered twice is seen outside.
func (b *Bus) feedPatience() time.Duration { return 2 * b.opts.AckWait }

// pullFeed asks for one notice; nil means that there was none.
func (b *Bus) pullFeed(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	again := b.link.again()
	pull, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	batch, err := consumer.Fetch(1, jetstream.FetchContext(pull))
	if err != nil {
		return nil, err
	}
	for {
		select {
		case msg, ok := <-batch.Messages():
			if ok {
				return msg, nil
			}
			switch err := batch.Error(); {
			case err == nil, errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
				return nil, ctx.Err()
			default:
				return nil, err
			}
		case <-again:
			cancel() // the server forgot what was asked before the outage
			again = nil
		case <-b.ctx.Done():
			return nil, errClosed
		}
	}
}

// handOut hands one notice to fn and tells the server how it ended. Where that is
// lost, the notice comes once more.
func (b *Bus) handOut(ctx context.Context, feed Feed, msg jetstream.Msg, fn func(context.Context, Notice) error) {
	notice, err := read(msg, feed.Kind)
	if err == nil {
		stop := b.keepGoing(ctx, msg)
		err = fn(ctx, notice)
		stop()
	}
	var verdict string
	var later laterError
	switch refusal, refused := errors.AsType[*neurotriage.Refusal](err); {
	case err == nil:
		verdict = "+ACK"
	case refused:
		verdict = "+TERM " + refusal.Error()
		b.log.Error("a notice is given up", "feed", feed.Name, "subject", msg.Subject(), "error", err)
	case errors.As(err, &later):
		verdict = nak(time.Duration(later))
	case ctx.Err() != nil:
		verdict = nak(0) // shutting down: somebody else may have it at once
	default:
		wait := feedWait(notice.Attempt)
		verdict = nak(wait)
		b.log.Warn("a notice comes again", "feed", feed.Name, "subject", msg.Subject(), "attempt", notice.Attempt, "after", wait, "error", err)
	}
	err = b.do(context.WithoutCancel(ctx), "settling a notice of feed "+feed.Name, func(ctx context.Context) error {
		_, err := b.nc.RequestWithContext(ctx, msg.Reply(), []byte(verdict))
		return err
	})
	if err != nil {
		b.log.Warn("a notice may come twice", "feed", feed.Name, "subject", msg.Subject(), "error", err)
	}
}

// keepGoing tells the server that a notice is in work, until the returned
// function is called.
func (b *Bus) keepGoing(ctx context.Context, msg jetstream.Msg) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	b.spawn(func() {
		ticker := time.NewTicker(b.feedPatience() / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-b.ctx.Done():
				return
			case <-ticker.C:
				_ = msg.InProgress() // a lost one is made up for by the next
			}
		}
	})
	return cancel
}

// read makes a notice of a message; one that nobody can read is refused.
func read(msg jetstream.Msg, kind FeedKind) (Notice, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Notice{}, err
	}
	n := Notice{Time: meta.Timestamp, Attempt: int(meta.NumDelivered)} //nolint:gosec // a count of deliveries fits
	if kind == AlertFeed {
		n.Alert = new(Alert)
		err = open(msg.Data(), n.Alert)
	} else {
		n.Finding = new(neurotriage.Finding)
		if err = open(msg.Data(), n.Finding); err == nil {
			n.Job, _ = answered(msg.Headers(), *n.Finding)
		}
	}
	if err != nil {
		return n, neurotriage.Refuse(neurotriage.MalformedEvent, "%w", err)
	}
	return n, nil
}

func nak(after time.Duration) string {
	text, _ := json.Marshal(struct {
		Delay time.Duration `json:"delay"`
	}{max(after, 0)})
	return "-NAK " + string(text)
}

// feedWait is the delay after a fault, between three and five quarters of what doubling gives.
func feedWait(attempt int) time.Duration {
	wait := feedFirstWait << min(max(attempt-1, 0), 20)
	wait = min(wait, feedLastWait)
	return wait*3/4 + rand.N(wait/2) //nolint:gosec // spreads load, guards nothing
}

// Delivery is how far the reports of a finding have come at one destination.
type Delivery struct {
	FindingID string        `json:"finding_id"`
	State     DeliveryState `json:"state"`
	Attempts  int           `json:"attempts"`
	Note      string        `json:"note,omitempty"` // why it failed, for the worklist; never a patient's data
	Updated   time.Time     `json:"updated"`
}

// DeliveryState is one of the states of a delivery.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending DeliveryState = "pending" // tried, and tried again
	Delivered       DeliveryState = "delivered"
	DeliveryFailed  DeliveryState = "failed" // given up: no repeat helps
)

// NoteDelivery shows in the worklist how far a finding has come at a
// destination. News of a former finding do not cover those of the one in force;
// each delivery says which finding it is about.
func (b *Bus) NoteDelivery(ctx context.Context, studyUID, destination string, d Delivery) error {
	_, err := b.change(ctx, studyUID, func(e *Entry) error {
		former := e.Deliveries[destination]
		inForce := e.Finding != nil && e.Finding.ID == former.FindingID
		d.Updated = former.Updated
		if d == former || inForce && d.FindingID != former.FindingID {
			return nil
		}
		d.Updated = time.Now().UTC()
		e.Deliveries = maps.Clone(e.Deliveries)
		if e.Deliveries == nil {
			e.Deliveries = map[string]Delivery{}
		}
		e.Deliveries[destination] = d
		return nil
	})
	return err
}
