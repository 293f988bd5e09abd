package events

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// AlertKind is what an alert calls for.
type AlertKind string

// The kinds of alert.
const (
	AlertReview  AlertKind = "glioma_review" // a study was flagged: look at it first
	AlertChanged AlertKind = "changed"       // a revision set or cleared the flag of a study
	AlertOverdue AlertKind = "overdue"       // a study waits too long for its finding
)

// AlertSchema is the version of the alert's JSON.
const AlertSchema = "alert.v1"

// Alert is the data of the events under triage.alert. Which fields are set
// beside the first four depends on the kind: docs/EVENTS.md.
type Alert struct {
	Schema           string               `json:"schema"`
	Kind             AlertKind            `json:"kind"`
	StudyInstanceUID string               `json:"study_instance_uid"`
	Text             string               `json:"text"` // one sentence for a person
	Priority         neurotriage.Priority `json:"priority,omitempty"`
	AccessionNumber  string               `json:"accession_number,omitempty"`

	FindingID   string                  `json:"finding_id,omitempty"`  // glioma_review, changed
	Disposition neurotriage.Disposition `json:"disposition,omitempty"` // glioma_review, changed
	Flagged     *bool                   `json:"flagged,omitempty"`     // glioma_review, changed
	Probability *float64                `json:"probability,omitempty"` // of glioma; glioma_review, changed
	Threshold   *float64                `json:"threshold,omitempty"`   // glioma_review, changed

	Replaces          string                  `json:"replaces,omitempty"`           // changed
	FormerDisposition neurotriage.Disposition `json:"former_disposition,omitempty"` // changed
	WasFlagged        *bool                   `json:"was_flagged,omitempty"`        // changed

	EventID      string     `json:"event_id,omitempty"`      // overdue
	Announced    *time.Time `json:"announced,omitempty"`     // overdue
	OverdueAfter float64    `json:"overdue_after,omitempty"` // overdue; seconds
	State        State      `json:"state,omitempty"`         // overdue
	Attempts     int        `json:"attempts,omitempty"`      // overdue
}

func aboutFinding(kind AlertKind, job neurotriage.Job, f neurotriage.Finding) Alert {
	a := Alert{
		Schema: AlertSchema, Kind: kind, StudyInstanceUID: f.StudyInstanceUID, Priority: job.Priority, AccessionNumber: job.AccessionNumber,
		FindingID: f.ID, Disposition: f.Disposition, Flagged: &f.Flags.GliomaReview, Threshold: &f.Thresholds.GliomaReview,
	}
	if p, ok := f.Probabilities[neurotriage.Glioma]; ok {
		a.Probability = &p
	}
	return a
}

func reviewAlert(job neurotriage.Job, f neurotriage.Finding) Alert {
	a := aboutFinding(AlertReview, job, f)
	a.Text = "The study is flagged for review of a possible glioma."
	return a
}

func changedAlert(job neurotriage.Job, f neurotriage.Finding, former FindingSummary) Alert {
	a := aboutFinding(AlertChanged, job, f)
	a.Replaces, a.FormerDisposition, a.WasFlagged = former.ID, former.Disposition, &former.Flagged
	a.Text = "A new reading of the study set the review flag."
	if former.Flagged {
		a.Text = "A new reading of the study no longer sets the review flag that the former one had set."
	}
	return a
}

// alert publishes an alert about a finding, expecting none on its subject. One
// that is there already is as good.
func (b *Bus) alert(ctx context.Context, a Alert) error {
	if err := b.at("alert " + string(a.Kind)); err != nil {
		return err
	}
	return b.publishAlert(ctx, a, b.names.alert(string(a.Kind), a.FindingID), a.FindingID+"."+string(a.Kind), 0)
}

func (b *Bus) publishAlert(ctx context.Context, a Alert, subject, id string, expected uint64) error {
	msg, err := b.envelope(subject, typeAlert+string(a.Kind)+".v1", id, a.StudyInstanceUID, time.Now(), a)
	if err != nil {
		return err
	}
	fresh, err := b.publish(ctx, "alert", msg, jetstream.WithExpectLastSequencePerSubject(expected))
	if fresh {
		b.metrics.alerts.WithLabelValues(string(a.Kind)).Inc()
		b.log.Warn("alert", "kind", string(a.Kind), "study", a.StudyInstanceUID, "finding", a.FindingID)
	}
	return err
}

// overdue raises the alert of a study that waits too long, unless one was raised
// for this announcement or a newer one.
func (b *Bus) overdue(ctx context.Context, one waiting) error {
	uid := one.job.StudyInstanceUID
	entry, _, err := b.Entry(ctx, uid)
	if err != nil {
		return err
	}
	if f := entry.Finding; f != nil && f.Announcement.EventID == one.job.EventID {
		return nil // only its acknowledgement is outstanding
	}
	subject := b.names.alert(string(AlertOverdue), studyKey(uid))
	var last uint64
	var former Alert
	err = b.do(ctx, "looking for the last alert on "+subject, func(ctx context.Context) error {
		stream, err := b.stream(ctx, b.names.triage())
		if err != nil {
			return err
		}
		msg, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			last, err = msg.Sequence, open(msg.Data, &former)
		}
		return err
	})
	if err != nil || former.Announced != nil && !one.arrived.After(*former.Announced) {
		return err
	}
	arrived := one.arrived.UTC()
	return b.publishAlert(ctx, Alert{
		Schema: AlertSchema, Kind: AlertOverdue, StudyInstanceUID: uid, Priority: one.job.Priority, AccessionNumber: one.job.AccessionNumber,
		Text:    "The study has no finding " + b.opts.OverdueAfter.String() + " after its announcement.",
		EventID: one.job.EventID, Announced: &arrived, OverdueAfter: b.opts.OverdueAfter.Seconds(),
		State: or(entry.State, Waiting), Attempts: entry.Attempts[one.job.EventID],
	}, subject, one.job.EventID+".overdue", last)
}
