package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// Inbox hands out announced studies. Several workers may share it.
type Inbox struct{ bus *Bus }

// Inbox is where a daemon's work comes from. Prepare comes first.
func (b *Bus) Inbox() *Inbox { return &Inbox{b} }

// pullWait is how long one pull stands at the server. Each is a fresh request,
// so nothing that a reconnection may leave behind outlives it.
const pullWait = 5 * time.Second

// crashPatience is how many times max attempts a study may be begun when no
// daemon lived to say what went wrong. Power cuts and kills are mostly not the
// study's fault, so they get more patience than faults that are told; but a
// study that brings down every daemon must end.
const crashPatience = 3

// Next waits for a job and counts the attempt. With a *neurotriage.Refusal the
// message was malformed, or its attempts are used up; the job then holds what
// could be read and is settled like any other. Another error is of the
// surroundings, or ctx's. Until the job is settled, the server is told that it
// is in progress.
func (i *Inbox) Next(ctx context.Context) (neurotriage.Job, error) {
	for {
		msg, err := i.pull(ctx)
		if err != nil {
			return neurotriage.Job{}, err
		}
		if msg == nil {
			continue
		}
		job, fresh, err := i.admit(ctx, msg)
		if fresh || err != nil {
			return job, err
		}
	}
}

// pull asks the server for one message; nil means that there was none.
func (i *Inbox) pull(ctx context.Context) (jetstream.Msg, error) {
	b := i.bus
	consumer, err := b.theConsumer(ctx)
	if err != nil {
		return nil, err
	}
	again := b.link.again()
	if err := b.do(ctx, "waiting for nats", b.link.wait); err != nil {
		return nil, err
	}
	seen := b.denied.count()
	pull, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	batch, err := consumer.Fetch(1, jetstream.FetchContext(pull))
	if err != nil {
		// Fetch refuses a deadline that has just passed, a moment before ctx says so.
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			<-ctx.Done()
		}
		return nil, i.pullFailed(ctx, seen, err)
	}
	for {
		select {
		case msg, ok := <-batch.Messages():
			if !ok {
				return nil, i.pullFailed(ctx, seen, batch.Error())
			}
			if ctx.Err() == nil {
				return msg, nil
			}
			_ = msg.Nak() // shutting down: somebody else may have it at once
			return nil, context.Cause(ctx)
		case <-again:
			cancel() // what was asked before the outage is forgotten by the server
			again = nil
		case <-b.ctx.Done():
			return nil, errClosed
		}
	}
}

// pullFailed tells the end of a quiet pull from trouble. A denied pull looks
// quiet too, but for the denial.
func (i *Inbox) pullFailed(ctx context.Context, seen int, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	what := "asking for announced studies"
	if denied := i.bus.denied.since(seen, ".CONSUMER.MSG.NEXT."); denied != nil {
		return fmt.Errorf("%s: %w: %w", what, neurotriage.ErrSurroundings, denied)
	}
	switch {
	case err == nil, errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil
	}
	i.bus.forgetConsumer()
	return fmt.Errorf("%s: %w: %w", what, neurotriage.ErrSurroundings, err)
}

// admit reads a message, counts the attempt and keeps the message alive. It is
// not fresh when this process works on it already.
func (i *Inbox) admit(ctx context.Context, msg jetstream.Msg) (job neurotriage.Job, fresh bool, err error) {
	b := i.bus
	meta, err := msg.Metadata()
	if err != nil {
		return job, false, fmt.Errorf("reading a delivery: %w: %w", neurotriage.ErrSurroundings, err)
	}
	if meta.NumDelivered > 1 {
		b.metrics.redelivery.Inc()
	}
	if b.holds.renew(meta.Sequence.Stream, msg) {
		return job, false, nil
	}
	job, refusal := b.read(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream, meta.Timestamp)
	of := Announcement{EventID: job.EventID, Asked: job.Asked, Sequence: meta.Sequence.Stream}
	job.Delivery = 1
	if job.StudyInstanceUID != "" {
		job.Delivery, err = i.count(ctx, job, of)
		if err != nil {
			_ = msg.NakWithDelay(time.Second) // if that is lost too, it comes again after AckWait
			return job, false, err
		}
	}
	alive, cancel := context.WithCancel(b.ctx)
	one := &hold{msg: msg, job: job, of: of, cancel: cancel}
	b.holds.add(one)
	b.spawn(func() { b.keepAlive(alive, one) })
	if refusal != nil {
		return job, true, refusal
	}
	if job.Delivery > crashPatience*b.opts.MaxAttempts {
		return job, true, neurotriage.Refuse(neurotriage.GaveUp,
			"%d attempts ended in a fault of the study or without a word, as in a crash", job.Delivery-1)
	}
	return job, true, nil
}

// read decodes a message of the work queue. One without an id gets one that is
// the same at each delivery.
func (b *Bus) read(subject string, header nats.Header, raw []byte, sequence uint64, stored time.Time) (neurotriage.Job, *neurotriage.Refusal) {
	sequence, arrived := origin(header, sequence, stored)
	job, refusal := decode(raw, arrived)
	if job.EventID == "" {
		job.EventID = fmt.Sprintf("%s-%d-%d", b.names.imaging(), sequence, arrived.UnixNano())
	}
	if refusal == nil && subject != b.names.available() {
		refusal = neurotriage.Refuse(neurotriage.MalformedEvent, "the event came on subject %s, studies are announced on %s",
			subject, b.names.available())
	}
	return job, refusal
}

// count counts the attempt in the study's entry.
func (i *Inbox) count(ctx context.Context, job neurotriage.Job, of Announcement) (attempts int, err error) {
	b := i.bus
	_, err = b.change(ctx, job.StudyInstanceUID, func(e *Entry) error {
		e.announced(job, of, Reading)
		if attempts = e.Attempts[job.EventID]; attempts == 0 || !b.holds.isUnsure(job.EventID) {
			attempts = e.attempt(job.EventID)
		}
		return nil
	})
	b.holds.setUnsure(job.EventID, err != nil)
	return attempts, err
}

// Ack ends a job whose deliveries are all stored, waits for the server's word
// and then deletes the upload that the job was about.
func (i *Inbox) Ack(ctx context.Context, job neurotriage.Job) error {
	if err := i.settle(ctx, job, "+ACK"); err != nil {
		return err
	}
	if l := job.Location; l.Kind == neurotriage.Object && l.Bucket == i.bus.names.uploads() {
		if err := i.bus.deleteUpload(ctx, l.Name); err != nil {
			i.bus.log.Warn("an upload stays until it expires", "object", l.Name, "error", err)
		}
	}
	return nil
}

// HandBack lets somebody try again, not before the delay. Unless it counts, the
// attempt is taken back. The reason shows in the worklist.
func (i *Inbox) HandBack(ctx context.Context, job neurotriage.Job, delay time.Duration, reason string, counts bool) error {
	var noted error
	if job.StudyInstanceUID != "" {
		_, noted = i.bus.change(ctx, job.StudyInstanceUID, func(e *Entry) error {
			e.handedBack(job.EventID, reason, counts)
			return nil
		})
		if noted != nil && !counts {
			i.bus.holds.setUnsure(job.EventID, true) // the next attempt of this process makes up for it
		}
	}
	return errors.Join(i.settle(ctx, job, nak(delay)), noted)
}

// Terminate ends a job that was refused; nobody gets it again.
func (i *Inbox) Terminate(ctx context.Context, job neurotriage.Job, reason string) error {
	return i.settle(ctx, job, "+TERM "+reason)
}

// settle sends the verdict as a request, so that the server confirms each kind
// of it, not only an acknowledgement.
func (i *Inbox) settle(ctx context.Context, job neurotriage.Job, verdict string) error {
	b := i.bus
	msg, held := b.holds.take(job)
	if !held {
		return fmt.Errorf("settling event %s: it is not in work here", job.EventID)
	}
	return b.do(ctx, "settling event "+job.EventID, func(ctx context.Context) error {
		_, err := b.nc.RequestWithContext(ctx, msg.Reply(), []byte(verdict))
		return err
	})
}
