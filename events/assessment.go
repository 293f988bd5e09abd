package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// AssessmentSchema is the version of the assessment's JSON.
const AssessmentSchema = "assessment.v1"

// Verdict is what a radiologist says of a finding.
type Verdict string

// The verdicts. Acknowledged says that somebody has seen the alert, and nothing
// about whether the finding is right.
const (
	Accepted     Verdict = "accepted"
	Rejected     Verdict = "rejected"
	Corrected    Verdict = "corrected"
	Acknowledged Verdict = "acknowledged"
)

// Bounds of what a person may write, in bytes.
const (
	maxNote  = 2 << 10
	maxUser  = 256
	maxLabel = 64
)

// Assessment is what a radiologist said of a finding, with the finding's own
// words beside it, so that it can be compared after the finding is gone.
type Assessment struct {
	Schema           string                   `json:"schema"`
	ID               string                   `json:"id"`
	FindingID        string                   `json:"finding_id"`
	StudyInstanceUID string                   `json:"study_instance_uid"`
	Verdict          Verdict                  `json:"verdict"`
	Label            string                   `json:"label,omitempty"` // what is right, of corrected only
	Note             string                   `json:"note,omitempty"`  // free text, at most 2 KiB
	User             string                   `json:"user"`            // as the access control knows the person
	Time             time.Time                `json:"time"`
	Disposition      neurotriage.Disposition  `json:"disposition"` // the finding's, as all below
	Predicted        string                   `json:"predicted,omitempty"`
	Probability      *float64                 `json:"probability"` // of glioma; null when nothing was scored
	Threshold        float64                  `json:"threshold"`
	Sequence         neurotriage.SequenceKind `json:"sequence,omitempty"`
	Model            string                   `json:"model"` // its digest
}

// Assessed is what the worklist shows of an assessment.
type Assessed struct {
	ID        string    `json:"id"`
	FindingID string    `json:"finding_id"` // a revision since then has not been assessed
	Verdict   Verdict   `json:"verdict"`
	Label     string    `json:"label,omitempty"`
	User      string    `json:"user"`
	Time      time.Time `json:"time"`
}

// ErrOutdated says that the finding is not the study's newest any more, so that
// a verdict on it would be shown beside another one.
var ErrOutdated = errors.New("the study has a newer finding")

// ErrVerdict marks an assessment that is not well formed.
var ErrVerdict = errors.New("not a valid assessment")

// assessmentSpace is the UUIDv5 name space of assessments, a random UUID drawn
// once: 0a7fd1c2-93b4-4e0b-8a55-3c6e1f9d2b70.
var assessmentSpace = [16]byte{0x0a, 0x7f, 0xd1, 0xc2, 0x93, 0xb4, 0x4e, 0x0b, 0x8a, 0x55, 0x3c, 0x6e, 0x1f, 0x9d, 0x2b, 0x70}

func (a Assessment) check() error {
	switch a.Verdict {
	case Accepted, Rejected, Corrected, Acknowledged:
	default:
		return fmt.Errorf("verdict %q is not one of accepted, rejected, corrected, acknowledged: %w", a.Verdict, ErrVerdict)
	}
	switch {
	case (a.Label != "") != (a.Verdict == Corrected):
		return fmt.Errorf("a label belongs to corrected and to nothing else: %w", ErrVerdict)
	case len(a.Label) > maxLabel || token(a.Label) != a.Label:
		return fmt.Errorf("label %q is none: %w", a.Label, ErrVerdict)
	case len(a.Note) > maxNote || !utf8.ValidString(a.Note):
		return fmt.Errorf("the note is longer than %d bytes, or no text: %w", maxNote, ErrVerdict)
	case a.User == "" || len(a.User) > maxUser || !utf8.ValidString(a.User):
		return fmt.Errorf("the user is missing, longer than %d bytes, or no text: %w", maxUser, ErrVerdict)
	}
	return neurotriage.CheckUID(a.StudyInstanceUID)
}

// Assess stores a verdict on the finding in force and shows it in the worklist.
// Verdict, finding and study, label, note and user are the caller's; the rest is
// filled in. It gives the entry as it is then.
func (b *Bus) Assess(ctx context.Context, a Assessment) (Entry, error) {
	if err := a.check(); err != nil {
		return Entry{}, fmt.Errorf("assessing finding %s: %w", a.FindingID, err)
	}
	entry, found, err := b.Entry(ctx, a.StudyInstanceUID)
	switch {
	case err != nil:
		return Entry{}, err
	case !found || entry.Finding == nil || entry.Finding.ID != a.FindingID:
		return entry, fmt.Errorf("assessing finding %s: %w", a.FindingID, ErrOutdated)
	}
	f := entry.Finding
	a.Schema, a.Time = AssessmentSchema, time.Now().UTC()
	a.Disposition, a.Predicted, a.Probability, a.Threshold = f.Disposition, f.Predicted, f.Probability, f.Threshold
	a.Sequence, a.Model = f.Sequence, f.Model
	a.ID = neurotriage.UUIDv5(assessmentSpace, strings.Join([]string{a.FindingID, string(a.Verdict), a.User, a.Time.Format(time.RFC3339Nano)}, "\n"))
	msg, err := b.envelope(b.names.subject("triage.assessment."+string(a.Verdict)), "triage.assessment.v1", a.ID, a.StudyInstanceUID, a.Time, a)
	if err != nil {
		return entry, err
	}
	if _, err := b.publish(ctx, "assessment", msg, jetstream.WithMsgID(a.ID)); err != nil {
		return entry, err
	}
	return b.change(ctx, a.StudyInstanceUID, func(e *Entry) error { e.judged(a); return nil })
}

// judged notes an assessment unless a newer one stands there. An entry without
// a finding is left alone: what was assessed is past its retention.
func (e *Entry) judged(a Assessment) {
	place := &e.Assessed
	if a.Verdict == Acknowledged {
		place = &e.Acknowledged
	}
	if e.Finding == nil || *place != nil && (*place).Time.After(a.Time) {
		return
	}
	*place = &Assessed{ID: a.ID, FindingID: a.FindingID, Verdict: a.Verdict, Label: a.Label, User: a.User, Time: a.Time}
}

// Assessments calls fn with every assessment, oldest first.
func (b *Bus) Assessments(ctx context.Context, fn func(Assessment) error) error {
	return b.replay(ctx, b.names.assessments(), b.names.subject("triage.assessment.>"), func(msg jetstream.Msg) error {
		var a Assessment
		if err := open(msg.Data(), &a); err != nil || a.Schema != AssessmentSchema {
			b.log.Warn("a message of the assessment stream is passed over", "subject", msg.Subject(), "error", err)
			return nil
		}
		return fn(a)
	})
}

// reassess shows the stored assessments in a worklist that was made anew.
func (b *Bus) reassess(ctx context.Context) error {
	return b.Assessments(ctx, func(a Assessment) error {
		if neurotriage.CheckUID(a.StudyInstanceUID) != nil {
			return nil
		}
		_, err := b.change(ctx, a.StudyInstanceUID, func(e *Entry) error { e.judged(a); return nil })
		return err
	})
}
