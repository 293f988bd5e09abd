package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoFeed is the error for a feed that nobody follows.
var ErrNoFeed = errors.New("no such feed")

// RewindFeed hands out again what was published since a time, and what the feed
// has not settled yet. Those who follow the feed go on with it within seconds;
// they tell repeats by themselves.
func (b *Bus) RewindFeed(ctx context.Context, feed Feed, since time.Time) error {
	return b.do(ctx, "rewinding feed "+feed.Name, func(ctx context.Context) error {
		stream, err := b.stream(ctx, b.names.triage())
		if err != nil {
			return err
		}
		consumer, err := stream.Consumer(ctx, feed.consumer())
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("%w: %s; a destination has one once a daemon with it in its configuration has started", ErrNoFeed, feed.Name)
		}
		if err != nil {
			return err
		}
		config := b.feedConfig(feed)
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, new(since)
		// What comes after the floor is not settled in part: it must not be skipped.
		oldest, err := stream.GetMsg(ctx, consumer.CachedInfo().AckFloor.Stream+1, jetstream.WithGetMsgSubject(config.FilterSubject))
		switch {
		case err == nil && oldest.Time.Before(since):
			config.OptStartTime = &oldest.Time
		case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
			return err
		}
		return replaceConsumer(ctx, stream, config)
	})
}

// codeConsumerCreate says that the server could not make a consumer's files; it
// happens while it still clears away those of a former one.
const codeConsumerCreate = 10012

// replaceConsumer puts a new consumer in the old one's place. A daemon that
// follows it may be faster and make one of the usual kind in between.
func replaceConsumer(ctx context.Context, stream jetstream.Stream, config jetstream.ConsumerConfig) error {
	for {
		if err := stream.DeleteConsumer(ctx, config.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		_, err := stream.CreateConsumer(ctx, config)
		var api *jetstream.APIError
		clearing := errors.As(err, &api) && api.ErrorCode == codeConsumerCreate
		if !clearing && !errors.Is(err, jetstream.ErrConsumerExists) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
