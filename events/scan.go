package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// waiting is an announcement that stands in the work queue.
type waiting struct {
	job     neurotriage.Job
	arrived time.Time
}

// queue is what the scan knows of the work queue. Only the scan touches it.
type queue struct {
	seen   uint64             // the newest sequence that was looked at
	open   map[uint64]waiting // by sequence; not overdue when last looked at
	parked map[uint64]bool    // suspected in the last scan to be given up by the server
}

// scan looks at the work queue: it enters new announcements in the worklist,
// queues anew what the server gave up on, and raises the alert of overdue ones.
// A work queue has one consumer, so messages are looked at one by one.
func (b *Bus) scan(ctx context.Context) error {
	var stream jetstream.Stream
	var info *jetstream.StreamInfo
	err := b.do(ctx, "looking at stream "+b.names.imaging(), func(ctx context.Context) (err error) {
		if stream, err = b.stream(ctx, b.names.imaging()); err == nil {
			info, err = stream.Info(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.depth = int(info.State.Msgs)
	b.mu.Unlock()
	b.metrics.depth.Set(float64(info.State.Msgs))
	b.metrics.oldest.Set(0)
	if info.State.Msgs > 0 {
		b.metrics.oldest.Set(time.Since(info.State.FirstTime).Seconds())
	}
	if info.State.LastSeq < b.queue.seen {
		b.queue = queue{} // the stream was made anew
	}
	if err := b.enterNew(ctx, stream, info.State.LastSeq); err != nil {
		return err
	}
	if err := b.unpark(ctx, stream); err != nil {
		return err
	}
	return b.raiseOverdue(ctx, stream)
}

// nextMessage gives the first message at or after a sequence, or nil.
func (b *Bus) nextMessage(ctx context.Context, stream jetstream.Stream, sequence uint64) (msg *jetstream.RawStreamMsg, err error) {
	err = b.do(ctx, "looking at the work queue", func(ctx context.Context) error {
		msg, err = stream.GetMsg(ctx, max(sequence, 1), jetstream.WithGetMsgSubject(b.names.subject("imaging.>")))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			msg, err = nil, nil
		}
		return err
	})
	return msg, err
}

func (b *Bus) enterNew(ctx context.Context, stream jetstream.Stream, last uint64) error {
	if b.queue.open == nil {
		b.queue.open = map[uint64]waiting{}
	}
	for b.queue.seen < last {
		msg, err := b.nextMessage(ctx, stream, b.queue.seen+1)
		if err != nil {
			return err
		}
		if msg == nil {
			b.queue.seen = last
			return nil
		}
		sequence, arrived := origin(msg.Header, msg.Sequence, msg.Time)
		job, refusal := b.read(msg.Subject, msg.Header, msg.Data, msg.Sequence, msg.Time)
		if refusal == nil {
			of := Announcement{EventID: job.EventID, Asked: job.Asked, Sequence: sequence}
			_, err := b.change(ctx, job.StudyInstanceUID, func(e *Entry) error {
				e.announced(job, of, Waiting)
				return nil
			})
			if err != nil {
				return err
			}
			b.queue.open[msg.Sequence] = waiting{job, arrived}
		}
		b.queue.seen = msg.Sequence
	}
	return nil
}

// unpark queues anew what the server no longer delivers because it was
// delivered maxDeliver times. Whether the study is given up is decided by our own
// count, which stands in the worklist and leaves hand-backs without fault out.
func (b *Bus) unpark(ctx context.Context, stream jetstream.Stream) error {
	consumer, err := b.theConsumer(ctx)
	if err != nil {
		return err
	}
	var info *jetstream.ConsumerInfo
	err = b.do(ctx, "looking at consumer "+durable, func(ctx context.Context) error {
		info, err = consumer.Info(ctx)
		return err
	})
	if err != nil {
		b.forgetConsumer()
		return err
	}
	// Below the floor nothing is in work or to come, so what stands there is
	// parked, or its removal is on the way: it must be seen twice.
	floor := info.AckFloor.Stream
	if info.NumAckPending == 0 {
		floor = info.Delivered.Stream
	}
	parked := map[uint64]bool{}
	for sequence := uint64(1); sequence <= floor; sequence++ {
		msg, err := b.nextMessage(ctx, stream, sequence)
		if err != nil {
			return err
		}
		if msg == nil || msg.Sequence > floor {
			break
		}
		sequence = msg.Sequence
		if !b.queue.parked[sequence] {
			parked[sequence] = true
		} else if err := b.requeue(ctx, stream, msg); err != nil {
			return err
		}
	}
	b.queue.parked = parked
	return nil
}

func (b *Bus) requeue(ctx context.Context, stream jetstream.Stream, msg *jetstream.RawStreamMsg) error {
	copied := nats.NewMsg(msg.Subject)
	copied.Data = msg.Data
	sequence, arrived := origin(msg.Header, msg.Sequence, msg.Time)
	setOrigin(copied.Header, sequence, arrived)
	// Several daemons may see it at once; within the stream's window one copy is made.
	id := fmt.Sprintf("requeue-%d-%d", msg.Sequence, msg.Time.UnixNano())
	if _, err := b.publish(ctx, "announcement", copied, jetstream.WithMsgID(id)); err != nil {
		return err
	}
	b.metrics.requeued.Inc()
	b.log.Warn("an announcement is queued anew, the server gave up on it", "sequence", msg.Sequence, "deliveries", maxDeliver)
	return b.do(ctx, "removing a message of the work queue", func(ctx context.Context) error {
		err := stream.DeleteMsg(ctx, msg.Sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return nil // another daemon was faster
		}
		return err
	})
}

func (b *Bus) raiseOverdue(ctx context.Context, stream jetstream.Stream) error {
	for _, sequence := range slices.Sorted(maps.Keys(b.queue.open)) {
		one := b.queue.open[sequence]
		if time.Since(one.arrived) < b.opts.OverdueAfter {
			continue // not the end of it: what is queued anew keeps its time
		}
		msg, err := b.nextMessage(ctx, stream, sequence)
		if err != nil {
			return err
		}
		if msg != nil && msg.Sequence == sequence {
			if err := b.overdue(ctx, one); err != nil {
				return err
			}
		}
		delete(b.queue.open, sequence)
	}
	return nil
}
