package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// DeadLetterSchema is the version of the dead letter's JSON.
const DeadLetterSchema = "deadletter.v1"

// DeadLetter is an announcement that was refused or given up, with why.
type DeadLetter struct {
	Schema           string             `json:"schema"`
	ID               string             `json:"id"`
	Reason           neurotriage.Reason `json:"reason"`
	Cause            string             `json:"cause"`                        // for a person; at most 2 KiB
	StudyInstanceUID string             `json:"study_instance_uid,omitempty"` // only if the event held a valid one
	EventID          string             `json:"event_id"`
	FindingID        string             `json:"finding_id,omitempty"` // of the refused finding
	Attempts         int                `json:"attempts"`             // that counted, the last included
	Announced        time.Time          `json:"announced"`
	Time             time.Time          `json:"time"` // of the refusal
	// The event as it came: as JSON if it is JSON, else its bytes.
	Original       json.RawMessage `json:"original,omitempty"`
	OriginalBase64 []byte          `json:"original_base64,omitempty"`
	OriginalBytes  int             `json:"original_bytes"`      // its size
	Truncated      bool            `json:"truncated,omitempty"` // original_base64 holds its beginning only
}

// letterSpace is the UUIDv5 name space of dead letters, a random UUID drawn
// once: 5d3c7a10-2f4e-4b61-8f0e-77a1c6b2d9e4.
var letterSpace = [16]byte{0x5d, 0x3c, 0x7a, 0x10, 0x2f, 0x4e, 0x4b, 0x61, 0x8f, 0x0e, 0x77, 0xa1, 0xc6, 0xb2, 0xd9, 0xe4}

// deadLetter publishes the dead letter of a job. Its id follows from the event,
// and the stream drops a second one with that id as long as it keeps the first.
func (b *Bus) deadLetter(ctx context.Context, job neurotriage.Job, f neurotriage.Finding, cause *neurotriage.Refusal) error {
	if err := b.at("deadletter"); err != nil {
		return err
	}
	raw, _, held := b.holds.find(job)
	if !held {
		raw, _ = json.Marshal(job)
	}
	letter := DeadLetter{
		Schema: DeadLetterSchema, ID: letterID(job, raw), Reason: cause.Reason, Cause: shorten(cause).Err.Error(),
		StudyInstanceUID: job.StudyInstanceUID, EventID: job.EventID, Attempts: job.Delivery, Announced: job.Asked, Time: time.Now().UTC(),
		OriginalBytes: len(raw),
	}
	if job.StudyInstanceUID != "" {
		letter.FindingID = f.ID
	}
	msg, err := b.letter(letter, raw)
	if err != nil {
		return err
	}
	fresh, err := b.publish(ctx, "deadletter", msg, jetstream.WithMsgID(letter.ID))
	if fresh {
		b.metrics.dead.WithLabelValues(string(cause.Reason)).Inc()
	}
	return err
}

// letter makes the message, with as much of the event as the server takes.
func (b *Bus) letter(letter DeadLetter, raw []byte) (*nats.Msg, error) {
	subject := b.names.deadletter(token(string(letter.Reason)))
	if json.Valid(raw) {
		whole := letter
		whole.Original = raw
		msg, err := b.envelope(subject, typeDead, letter.ID, letter.StudyInstanceUID, letter.Time, whole)
		if err == nil && int64(len(msg.Data)) <= b.nc.MaxPayload() {
			return msg, nil
		}
	}
	room := min(maxEvent, int(b.nc.MaxPayload())-32<<10) * 3 / 4 // bytes before base64; the rest needs at most 32 KiB
	letter.OriginalBase64 = raw
	if len(raw) > room {
		letter.OriginalBase64, letter.Truncated = raw[:max(room, 0)], true
	}
	return b.envelope(subject, typeDead, letter.ID, letter.StudyInstanceUID, letter.Time, letter)
}

// letterID is the same at every delivery of an event, and another one for every
// other event, even if a sender gives all its events one id.
func letterID(job neurotriage.Job, raw []byte) string {
	return neurotriage.UUIDv5(letterSpace, fmt.Sprintf("%s\n%s\n%x", job.EventID, job.StudyInstanceUID, sha256.Sum256(raw)))
}

// DeadLetters lists the dead letters, oldest first.
func (b *Bus) DeadLetters(ctx context.Context) (letters []DeadLetter, err error) {
	err = b.replay(ctx, b.names.deadletters(), b.names.deadletter("*"), func(msg jetstream.Msg) error {
		var letter DeadLetter
		if err := open(msg.Data(), &letter); err != nil {
			b.log.Warn("a message of the dead letter stream is passed over", "subject", msg.Subject(), "error", err)
			return nil
		}
		letters = append(letters, letter)
		return nil
	})
	return letters, err
}

// DeadLetter is the one with this id, or an error that wraps fs.ErrNotExist.
func (b *Bus) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	letters, err := b.DeadLetters(ctx)
	if err != nil {
		return DeadLetter{}, err
	}
	for _, letter := range letters {
		if letter.ID == id {
			return letter, nil
		}
	}
	return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, fs.ErrNotExist)
}

// Replay announces the study of a dead letter again, as a new event with
// replay_of, and gives that event's job.
func (b *Bus) Replay(ctx context.Context, letter DeadLetter) (neurotriage.Job, error) {
	what := "replaying dead letter " + letter.ID
	raw := letter.OriginalBase64
	if letter.Original != nil {
		raw = letter.Original
	}
	if _, refusal := decode(raw, time.Now()); refusal != nil {
		return neurotriage.Job{}, fmt.Errorf("%s: its event would be refused again: %w", what, refusal)
	}
	text, err := renew(raw, letter.EventID)
	if err != nil {
		return neurotriage.Job{}, fmt.Errorf("%s: %w", what, err)
	}
	job, _ := decode(text, time.Now()) // checked above
	return job, b.announce(ctx, job, text)
}

// renew writes an event anew with another id and time, and replay_of in its
// data. All else stays as it is, byte by byte: escaping would make it swell.
func renew(raw []byte, replayOf string) ([]byte, error) {
	var e event.Event
	var data, outer map[string]json.RawMessage
	err := errors.Join(e.UnmarshalJSON(raw), json.Unmarshal(raw, &outer))
	if err == nil {
		err = json.Unmarshal(e.Data(), &data)
	}
	if err != nil {
		return nil, err
	}
	data["replay_of"], err = plain(replayOf)
	if err != nil {
		return nil, err
	}
	delete(outer, "data_base64")
	for name, value := range map[string]any{"id": newID(), "time": time.Now().UTC(), "data": data} {
		if outer[name], err = plain(value); err != nil {
			return nil, err
		}
	}
	return plain(outer)
}

// plain is json.Marshal without escapes for HTML.
func plain(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(text.Bytes()), err
}

// announce publishes an event on the work queue. A full queue refuses it.
func (b *Bus) announce(ctx context.Context, job neurotriage.Job, text []byte) error {
	msg := nats.NewMsg(b.names.available())
	msg.Header.Set("Content-Type", event.ApplicationCloudEventsJSON)
	msg.Data = text
	err := b.publishAgain(ctx, msg, jetstream.WithMsgID(job.EventID))
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		return fmt.Errorf("%w: no stream takes announcements: start the daemon once, which makes it", err)
	}
	return err
}

// lostAnswers is how often an announcement is sent again after no answer came.
const lostAnswers = 2

// publishAgain publishes a message that carries its id, and sends it again when
// no answer came over a connection that stands: what was sent while the server
// went away is lost without a word. The id keeps the repeat from counting twice.
func (b *Bus) publishAgain(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) error {
	for sent := 0; ; sent++ {
		_, err := b.publish(ctx, "announcement", msg, opts...)
		var denied *PermissionError
		lost := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && b.link.since().IsZero() && !errors.As(err, &denied)
		if !lost || sent == lostAnswers {
			return err
		}
	}
}
