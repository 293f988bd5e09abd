package events

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// stream, keys and objects look a handle up once; it stays good even when what
// it names was made anew.

func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if known, ok := b.streams.Load(name); ok {
		return known.(jetstream.Stream), nil
	}
	found, err := b.js.Stream(ctx, name)
	if err == nil {
		b.streams.Store(name, found)
	}
	return found, err
}

func (b *Bus) keys(ctx context.Context) (jetstream.KeyValue, error) {
	if known, ok := b.buckets.Load(b.names.worklist()); ok {
		return known.(jetstream.KeyValue), nil
	}
	found, err := b.js.KeyValue(ctx, b.names.worklist())
	if err == nil {
		b.buckets.Store(b.names.worklist(), found)
	}
	return found, err
}

func (b *Bus) objects(ctx context.Context, bucket string) (jetstream.ObjectStore, error) {
	if known, ok := b.buckets.Load("object " + bucket); ok {
		return known.(jetstream.ObjectStore), nil
	}
	found, err := b.js.ObjectStore(ctx, bucket)
	if err == nil {
		b.buckets.Store("object "+bucket, found)
	}
	return found, err
}
