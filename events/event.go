package events

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"neurotriage"
)

// Types of the CloudEvents that this package writes.
const (
	typeAvailable = "imaging.study.available.v1"
	typeFinding   = "triage.finding.v1"
	typeAlert     = "triage.alert." // kind and ".v1" follow
	typeDead      = "triage.deadletter.v1"
	typeHeartbeat = "triage.heartbeat.v1"
)

// maxEvent is the largest announcement that is read, in bytes. It leaves room
// to keep the whole of it, in base64, in a dead letter of at most 1 MiB.
const maxEvent = 512 << 10

// maxEventID is the longest id of an announcement, in bytes.
const maxEventID = 256

// maxCause is the longest text of a refusal that is kept, in bytes.
const maxCause = 2 << 10

// announcedData is the data of a study event. Fields that are not here are
// ignored, so that senders may be newer than this daemon.
type announcedData struct {
	StudyInstanceUID   string               `json:"study_instance_uid"`
	Location           neurotriage.Location `json:"location"`
	Priority           neurotriage.Priority `json:"priority,omitempty"`
	AccessionNumber    string               `json:"accession_number,omitempty"`
	SeriesInstanceUIDs []string             `json:"series_instance_uids,omitempty"`
	ReplayOf           string               `json:"replay_of,omitempty"`
}

// decode reads an announcement that arrived at the given time. The job is valid
// if refusal is nil; else it holds what could be read, a study UID only if that
// is valid.
func decode(raw []byte, arrived time.Time) (job neurotriage.Job, refusal *neurotriage.Refusal) {
	job = neurotriage.Job{Asked: arrived.UTC(), SchemaVersion: 1}
	defer func() {
		if r := recover(); r != nil { // the parser is third party
			refusal = neurotriage.Refuse(neurotriage.MalformedEvent, "reading the event: the parser fell over: %v", r)
		}
		if refusal != nil && neurotriage.CheckUID(job.StudyInstanceUID) != nil {
			job.StudyInstanceUID = ""
		}
	}()
	err := decodeOuter(raw, &job)
	var e event.Event
	if err == nil {
		if err = e.UnmarshalJSON(raw); err != nil {
			err = fmt.Errorf("reading the CloudEvent: %w", err)
		}
	}
	if err == nil {
		err = decodeEvent(e, arrived, &job)
	}
	if err != nil {
		return job, shorten(&neurotriage.Refusal{Reason: neurotriage.MalformedEvent, Err: err})
	}
	return job, nil
}

// decodeOuter tells what is no CloudEvent, before the parser sees it.
func decodeOuter(raw []byte, job *neurotriage.Job) error {
	if len(raw) > maxEvent {
		return fmt.Errorf("the event has %d bytes, at most %d are read", len(raw), maxEvent)
	}
	if !json.Valid(raw) {
		return fmt.Errorf("the event is not JSON: it begins with %q", raw[:min(len(raw), 40)])
	}
	var outer struct {
		SpecVersion      *json.RawMessage `json:"specversion"`
		StudyInstanceUID string           `json:"study_instance_uid"`
	}
	if err := json.Unmarshal(raw, &outer); outer.SpecVersion == nil {
		job.StudyInstanceUID = outer.StudyInstanceUID
		return fmt.Errorf("the event is JSON but no CloudEvent (no specversion): put it into the data of a structured "+
			"CloudEvent 1.0, as docs/EVENTS.md shows%s", suffix(err))
	}
	return nil
}

// decodeEvent takes over what can be read, then checks.
func decodeEvent(e event.Event, arrived time.Time, job *neurotriage.Job) error {
	if job.EventID = e.ID(); len(job.EventID) > maxEventID {
		job.EventID = ""
		return fmt.Errorf("checking the CloudEvent: its id has %d bytes, at most %d are taken", len(e.ID()), maxEventID)
	}
	if at := e.Time(); !at.IsZero() && at.Before(arrived) {
		job.Asked = at.UTC()
	}
	var data announcedData
	err := json.Unmarshal(e.Data(), &data)
	job.StudyInstanceUID, job.Location, job.Priority = data.StudyInstanceUID, data.Location, data.Priority
	job.AccessionNumber, job.SeriesInstanceUIDs, job.ReplayOf = data.AccessionNumber, data.SeriesInstanceUIDs, data.ReplayOf
	if err != nil {
		return fmt.Errorf("reading the data of the CloudEvent: %w", err)
	}
	if err := errors.Join(e.Validate(), checkType(e.Type())); err != nil {
		return fmt.Errorf("checking the CloudEvent: %w", err)
	}
	if err := job.Check(); err != nil {
		return fmt.Errorf("checking the data of the CloudEvent: %w", err)
	}
	return nil
}

func suffix(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

var typePattern = regexp.MustCompile(`(?:^|\.)imaging\.study\.available\.v([0-9]+)$`)

// checkType takes any type but a version of our own that is not known yet.
func checkType(kind string) error {
	parts := typePattern.FindStringSubmatch(kind)
	if parts == nil || parts[1] == "1" {
		return nil
	}
	return fmt.Errorf("type %q: version %s of the study event is not known, version 1 is", kind, parts[1])
}

// shorten bounds the text of a refusal, which may quote the sender.
func shorten(refusal *neurotriage.Refusal) *neurotriage.Refusal {
	if text := refusal.Err.Error(); len(text) > maxCause {
		return neurotriage.Refuse(refusal.Reason, "%s …", bytes.ToValidUTF8([]byte(text[:maxCause]), nil))
	}
	return refusal
}

// envelope makes a message that holds a CloudEvent in structured mode.
func (b *Bus) envelope(subject, kind, id, about string, at time.Time, data any) (*nats.Msg, error) {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(id)
	e.SetType(kind)
	e.SetSource("neurotriage/" + token(b.opts.Instance))
	e.SetTime(at.UTC())
	if about != "" {
		e.SetSubject(about)
	}
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		return nil, fmt.Errorf("writing event %s: %w", id, err)
	}
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("writing event %s: %w", id, err)
	}
	text, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing event %s: %w", id, err)
	}
	msg := nats.NewMsg(subject)
	msg.Header.Set("Content-Type", event.ApplicationCloudEventsJSON)
	msg.Data = text
	return msg, nil
}

// open reads the data of an event that this package wrote.
func open(raw []byte, data any) error {
	var e event.Event
	if err := e.UnmarshalJSON(raw); err != nil {
		return fmt.Errorf("reading a CloudEvent: %w", err)
	}
	if err := json.Unmarshal(e.Data(), data); err != nil {
		return fmt.Errorf("reading the data of event %s: %w", strconv.Quote(e.ID()), err)
	}
	return nil
}

// newID is a random UUID (RFC 9562 5.4).
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
