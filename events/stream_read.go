package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// replay calls fn for each message of the filter that the stream holds, oldest
// first, and ends with the newest there was at the start.
func (b *Bus) replay(ctx context.Context, stream, filter string, fn func(jetstream.Msg) error) error {
	var consumer jetstream.Consumer
	err := b.do(ctx, "reading stream "+stream, func(ctx context.Context) (err error) {
		consumer, err = b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
		return err
	})
	if err != nil || consumer.CachedInfo().NumPending == 0 {
		return err
	}
	return b.iterate(ctx, consumer, stream, func(msg jetstream.Msg) error {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if err := fn(msg); err != nil {
			return err
		}
		if meta.NumPending == 0 {
			return errEnough
		}
		return nil
	})
}

// errEnough ends an iteration without being an error of it.
var errEnough = errors.New("enough")

// iterate calls fn for each message until it gives an error, the connection
// changes, or ctx ends.
func (b *Bus) iterate(ctx context.Context, consumer jetstream.Consumer, stream string, fn func(jetstream.Msg) error) error {
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("reading stream %s: %w: %w", stream, neurotriage.ErrSurroundings, err)
	}
	defer messages.Stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	again := b.link.again()
	go func() {
		select {
		case <-again:
			cancel(errLinkChanged)
		case <-b.ctx.Done():
			cancel(errClosed)
		case <-ctx.Done():
		}
	}()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return fmt.Errorf("reading stream %s: %w", stream, context.Cause(ctx))
		}
		if err != nil {
			return fmt.Errorf("reading stream %s: %w: %w", stream, neurotriage.ErrSurroundings, err)
		}
		if err := fn(msg); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

var errLinkChanged = fmt.Errorf("the connection to nats was lost meanwhile: %w", neurotriage.ErrSurroundings)

// Watch calls fn with each finding that is published from now on, in order,
// without a gap over reconnections, until ctx ends, whose error it gives.
func (b *Bus) Watch(ctx context.Context, fn func(neurotriage.Finding)) error {
	next, err := b.nextSequence(ctx, b.names.triage())
	if err != nil {
		return err
	}
	for {
		err := b.tail(ctx, &next, fn)
		b.log.Debug("the watch of findings begins anew", "error", err)
		if err := b.pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (b *Bus) nextSequence(ctx context.Context, stream string) (next uint64, err error) {
	err = b.do(ctx, "looking at stream "+stream, func(ctx context.Context) error {
		found, err := b.js.Stream(ctx, stream)
		if err == nil {
			next = found.CachedInfo().State.LastSeq + 1
		}
		return err
	})
	return next, err
}

func (b *Bus) tail(ctx context.Context, next *uint64, fn func(neurotriage.Finding)) error {
	var consumer jetstream.Consumer
	err := b.do(ctx, "watching findings", func(ctx context.Context) (err error) {
		consumer, err = b.js.OrderedConsumer(ctx, b.names.triage(), jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{b.names.findings()}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: *next,
		})
		return err
	})
	if err != nil {
		return err
	}
	return b.iterate(ctx, consumer, b.names.triage(), func(msg jetstream.Msg) error {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		*next = meta.Sequence.Stream + 1
		var f neurotriage.Finding
		if err := open(msg.Data(), &f); err != nil {
			b.log.Warn("a message of the finding stream is passed over", "subject", msg.Subject(), "error", err)
			return nil
		}
		fn(f)
		return nil
	})
}

// Finding fetches a finding by its id; found is false when there is none.
func (b *Bus) Finding(ctx context.Context, id string) (f neurotriage.Finding, found bool, err error) {
	err = b.do(ctx, "looking for finding "+id, func(ctx context.Context) error {
		stream, err := b.stream(ctx, b.names.triage())
		if err != nil {
			return err
		}
		// The id stands once in the stream, so its first message is its only one.
		msg, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(b.names.finding("*", id)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		return open(msg.Data, &f)
	})
	return f, found && err == nil, err
}
