package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ours marks what this package made, in the metadata of a stream. What does not
// bear it belongs to somebody else and is never altered.
const ours = "neurotriage"

func mark() map[string]string { return map[string]string{ours: "1"} }

// Prepare creates or checks the streams, the buckets and the consumer, and fills
// a new worklist from the findings that there are. It is the daemon's; clients
// do without. It may be repeated.
func (b *Bus) Prepare(ctx context.Context) error {
	isNew := false
	for _, want := range b.wanted() {
		err := b.strictly(ctx, "preparing stream "+want.Name, func(ctx context.Context) error {
			made, err := b.ensureStream(ctx, want)
			isNew = isNew || made && want.Name == "KV_"+b.names.worklist()
			return err
		})
		if err != nil {
			return err
		}
	}
	if isNew {
		if count, err := b.Rebuild(ctx); err != nil {
			return fmt.Errorf("filling the new worklist from the findings: %w", err)
		} else if count > 0 {
			b.log.Info("the new worklist was filled from the findings", "findings", count)
		}
	}
	return b.strictly(ctx, "preparing consumer "+durable+" of stream "+b.names.imaging(), func(ctx context.Context) error {
		_, err := b.ensureConsumer(ctx)
		return err
	})
}

// wanted lists every stream, those behind the buckets too.
func (b *Bus) wanted() []jetstream.StreamConfig {
	keep, n := b.opts.Retention, b.names
	limits := func(name string, age time.Duration, subjects ...string) jetstream.StreamConfig {
		for i := range subjects {
			subjects[i] = n.subject(subjects[i])
		}
		return jetstream.StreamConfig{Name: name, Subjects: subjects, MaxAge: age}
	}
	imaging := limits(n.imaging(), 0, "imaging.>")
	imaging.Retention, imaging.Discard, imaging.MaxBytes = jetstream.WorkQueuePolicy, jetstream.DiscardNew, keep.QueueBytes
	dead := limits(n.deadletters(), keep.Findings, "triage.deadletter.>")
	// A repeat is known by its message id for as long as the first is kept.
	dead.Duplicates = keep.Findings
	// The queue is last: while it is missing, all is known to be unfinished.
	return []jetstream.StreamConfig{
		limits(n.triage(), keep.Findings, "triage.finding.>", "triage.alert.>"),
		dead,
		limits(n.assessments(), 0, "triage.assessment.>"),
		{Name: "KV_" + n.worklist(), MaxAge: keep.Findings},
		{Name: "OBJ_" + n.media(), MaxAge: keep.Media, MaxBytes: keep.MediaBytes},
		{Name: "OBJ_" + n.uploads(), MaxAge: keep.Media, MaxBytes: keep.MediaBytes},
		imaging,
	}
}

// ensureStream says whether it made the stream.
func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) (made bool, err error) {
	stream, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = b.createStream(ctx, want); !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) &&
			!errors.Is(err, jetstream.ErrBucketExists) {
			return err == nil, err
		}
		stream, err = b.js.Stream(ctx, want.Name) // another daemon was faster
	}
	if err != nil {
		return false, err
	}
	have := stream.CachedInfo().Config
	if have.Metadata[ours] == "" {
		return false, b.checkForeign(have, want)
	}
	return false, b.adjust(ctx, have, want)
}

// adjust gives a stream of ours the limits of the configuration.
func (b *Bus) adjust(ctx context.Context, have, want jetstream.StreamConfig) error {
	change := have
	change.MaxAge, change.MaxBytes = want.MaxAge, or(want.MaxBytes, -1)
	if want.Subjects != nil {
		change.Subjects = want.Subjects
	}
	if want.Duplicates != 0 {
		change.Duplicates = want.Duplicates
	} else if change.MaxAge > 0 {
		change.Duplicates = min(have.Duplicates, change.MaxAge) // the server wants it so
	}
	if change.MaxAge == have.MaxAge && change.MaxBytes == have.MaxBytes && change.Duplicates == have.Duplicates &&
		slices.Equal(change.Subjects, have.Subjects) {
		return nil
	}
	b.log.Info("a stream gets new limits", "stream", want.Name, "max_age", change.MaxAge, "max_bytes", change.MaxBytes)
	_, err := b.js.UpdateStream(ctx, change)
	return explainCreate(err)
}

func (b *Bus) createStream(ctx context.Context, want jetstream.StreamConfig) (err error) {
	switch kind, bucket, _ := strings.Cut(want.Name, "_"); {
	case want.Subjects != nil:
		want.Metadata = mark()
		_, err = b.js.CreateStream(ctx, want)
	case kind == "KV":
		_, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, TTL: want.MaxAge, History: 1, Metadata: mark()})
	default:
		_, err = b.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: bucket, TTL: want.MaxAge, MaxBytes: want.MaxBytes, Metadata: mark(),
		})
	}
	return explainCreate(err)
}

// Error codes of the server that have a cure.
const (
	codeSubjectsOverlap  = 10065
	codeStorageExceeded  = 10047
	codeAccountResources = 10002
	codeMaxBytesRequired = 10113
	codeConsumerOverlap  = 10100
	codeConsumerUnique   = 10099
)

func explainCreate(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	cure := map[jetstream.ErrorCode]string{
		codeSubjectsOverlap: "another stream holds these subjects: set nats.prefix so that ours do not meet them, " +
			"or give that stream our name",
		codeStorageExceeded:  "the account may not reserve so much: lower nats.retention.media_bytes or nats.retention.work_bytes, or raise its limit",
		codeAccountResources: "the account may not reserve so much: lower nats.retention.media_bytes or nats.retention.work_bytes, or raise its limit",
		codeMaxBytesRequired: "the account wants a size for every stream: have its administrator make the streams (docs/EVENTS.md)",
		codeConsumerOverlap:  "another consumer takes the announcements of this work queue: remove it, or set nats.prefix",
		codeConsumerUnique:   "another consumer takes the announcements of this work queue: remove it, or set nats.prefix",
	}[api.ErrorCode]
	if cure == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, cure)
}

// checkForeign tells what of somebody else's stream breaks a promise.
func (b *Bus) checkForeign(have, want jetstream.StreamConfig) error {
	var bad []string
	complain := func(wrong bool, format string, args ...any) {
		if wrong {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	complain(have.Storage != jetstream.FileStorage, "storage is %v, needed is file", have.Storage)
	complain(have.Sealed, "it is sealed")
	complain(have.Mirror != nil, "it is a mirror, which takes no messages")
	complain(have.NoAck, "no_ack is set, needed are acknowledged writes")
	for _, subject := range want.Subjects {
		complain(!covered(have.Subjects, subject), "its subjects %v do not cover %s", have.Subjects, subject)
	}
	if want.Retention == jetstream.WorkQueuePolicy {
		complain(have.Retention != jetstream.WorkQueuePolicy, "retention is %v, needed is workqueue", have.Retention)
		complain(have.Discard != jetstream.DiscardNew, "discard is %v, needed is new: old announcements would be lost when it is full", have.Discard)
		complain(have.MaxAge != 0, "max_age is %v, needed is none: announcements that wait would be lost", have.MaxAge)
	} else if want.Subjects != nil {
		complain(have.Retention != jetstream.LimitsPolicy, "retention is %v, needed is limits", have.Retention)
	}
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("stream %s was not made by neurotriage, is therefore not altered, and does not fit: %s; "+
		"change it with nats stream edit, or set nats.prefix and neurotriage makes its own", have.Name, strings.Join(bad, "; "))
}

// covered tells whether one of the patterns matches all that subject matches.
// Of the work queue only the announcements' subject is needed.
func covered(patterns []string, subject string) bool {
	if base, isQueue := strings.CutSuffix(subject, "imaging.>"); isQueue {
		subject = base + "imaging.study.available"
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		have, want := strings.Split(pattern, "."), strings.Split(subject, ".")
		for i, token := range have {
			if token == ">" {
				return len(want) > i
			}
			if i >= len(want) || want[i] == ">" || token != "*" && token != want[i] {
				return false
			}
		}
		return len(have) == len(want)
	})
}

// maxDeliver is the server's own limit. It is a last resort: what passes it is
// queued anew by the scan, because hand-backs without fault count here too.
const maxDeliver = 64

// ensureConsumer finds or makes the durable consumer and remembers it.
func (b *Bus) ensureConsumer(ctx context.Context) (jetstream.Consumer, error) {
	stream, err := b.js.Stream(ctx, b.names.imaging())
	if err != nil {
		return nil, err
	}
	want := jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: b.opts.AckWait, MaxDeliver: maxDeliver,
		MaxAckPending: 10_000, Metadata: mark(),
	}
	// Of our own stream every message is taken, so that none rots under a
	// mistaken subject; of a foreign one only ours.
	if stream.CachedInfo().Config.Metadata[ours] == "" {
		want.FilterSubject = b.names.available()
	}
	consumer, err := stream.Consumer(ctx, durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		consumer, err = stream.CreateOrUpdateConsumer(ctx, want)
	case err != nil:
	case consumer.CachedInfo().Config.Metadata[ours] == "":
		if have := consumer.CachedInfo().Config.AckPolicy; have != jetstream.AckExplicitPolicy {
			return nil, fmt.Errorf("it was not made by neurotriage and its ack policy is %v, needed is explicit: "+
				"remove it and neurotriage makes its own", have)
		}
	case !sameConsumer(consumer.CachedInfo().Config, want):
		consumer, err = stream.CreateOrUpdateConsumer(ctx, want)
	}
	if err != nil {
		return nil, explainCreate(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.consumer = consumer
	return consumer, nil
}

func sameConsumer(have, want jetstream.ConsumerConfig) bool {
	return have.AckWait == want.AckWait && have.MaxDeliver == want.MaxDeliver && have.FilterSubject == want.FilterSubject &&
		have.MaxAckPending == want.MaxAckPending && maps.Equal(pick(have.Metadata), want.Metadata)
}

// pick leaves out what the server adds to metadata.
func pick(metadata map[string]string) map[string]string {
	if value, ok := metadata[ours]; ok {
		return map[string]string{ours: value}
	}
	return nil
}

// forgetConsumer makes the next pull look for the consumer again.
func (b *Bus) forgetConsumer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.consumer = nil
}

// theConsumer is the durable consumer; a lost one, or a lost stream, is made again.
func (b *Bus) theConsumer(ctx context.Context) (jetstream.Consumer, error) {
	b.mu.Lock()
	known := b.consumer
	b.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var found jetstream.Consumer
	find := func(ctx context.Context) (err error) {
		found, err = b.ensureConsumer(ctx)
		return err
	}
	what := "finding consumer " + durable + " of stream " + b.names.imaging()
	err := b.do(ctx, what, find)
	if errors.Is(err, jetstream.ErrStreamNotFound) { // perhaps the server lost its store: all is made anew
		if err = b.Prepare(ctx); err == nil {
			err = b.do(ctx, what, find)
		}
	}
	return found, err
}
