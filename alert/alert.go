package alert

import (
	"strconv"
	"time"

	"neurotriage"
)

// Kind is what an alert calls for.
type Kind string

// The kinds of alert.
const (
	Review  Kind = "glioma_review" // a study was flagged: look at it first
	Changed Kind = "changed"       // a revision set or cleared the flag of a study
	Overdue Kind = "overdue"       // a study waits too long for its finding
	Trial   Kind = "test"          // nobody is concerned: an administrator tries the destination
)

// Alert is one thing to tell. Its JSON stands in a webhook's body.
type Alert struct {
	// Key is the same each time that the alert is sent, so that a receiver can
	// tell a repeat; a reminder has another one.
	Key              string                  `json:"key"`
	Kind             Kind                    `json:"kind"`
	StudyInstanceUID string                  `json:"study_instance_uid"`
	FindingID        string                  `json:"finding_id,omitempty"`
	Text             string                  `json:"text"` // one sentence
	Raised           time.Time               `json:"raised"`
	Reminder         int                     `json:"reminder"` // 0: the first message of this destination
	Priority         neurotriage.Priority    `json:"priority,omitempty"`
	Disposition      neurotriage.Disposition `json:"disposition,omitempty"`
	Flagged          *bool                   `json:"flagged,omitempty"`
	Probability      *float64                `json:"probability,omitempty"` // of glioma
	Threshold        *float64                `json:"threshold,omitempty"`
	Replaces         string                  `json:"replaces,omitempty"` // of changed: the former finding
	EventID          string                  `json:"event_id,omitempty"` // of overdue
	Link             string                  `json:"link,omitempty"`     // to the worklist
	// Over says that the study has had its finding meanwhile (of overdue), or has a
	// newer one.
	Over bool `json:"over,omitempty"`

	// Of the person; empty unless the configuration lets it out.
	AccessionNumber string  `json:"accession_number,omitempty"`
	Patient         *Person `json:"patient,omitempty"`
}

// Person is the patient as a message names him.
type Person struct {
	Name      string `json:"name,omitempty"`
	ID        string `json:"id,omitempty"`
	BirthDate string `json:"birth_date,omitempty"` // YYYYMMDD
}

// subject is what the alert is about, whatever announced it: the finding, or the
// announcement that has none.
func (a Alert) subject() string {
	if a.FindingID != "" {
		return a.FindingID
	}
	return string(a.Kind) + ":" + a.EventID
}

// key names one message about the alert.
func (a Alert) key(reminder int) string {
	key := a.subject()
	if a.Kind == Changed {
		key += "/" + string(Changed)
	}
	if reminder > 0 {
		key += "/" + strconv.Itoa(reminder)
	}
	return key
}

// Standing is how far people are with what the alert is about.
type Standing struct {
	Acknowledged bool // somebody has acknowledged the finding, or judged it
	Over         bool // the study has its finding (of overdue), or has a newer one
}

// Again asks for an alert again after a while.
type Again struct {
	After time.Duration
	Err   error // what went wrong; nil: it is only too early
}

func (a *Again) Error() string {
	text := "again after " + a.After.String()
	if a.Err != nil {
		text += ": " + a.Err.Error()
	}
	return text
}

// Unwrap gives the fault, if there was one.
func (a *Again) Unwrap() error { return a.Err }
