package events

import (
	"cmp"
	"maps"
	"time"

	"neurotriage"
)

// State is how far a study is, as the worklist shows it.
type State string

// The states. NotRead stands for refused and not-assessable studies.
const (
	Waiting State = "waiting" // announced, or handed back
	Reading State = "reading" // a daemon works on it
	Read    State = "read"
	NotRead State = "not_read"
)

// EntrySchema is the version of the entry's JSON.
const EntrySchema = "worklist.v1"

// Entry is one study in the bucket triage_worklist, under its UID. Finding is
// that of the newest announcement that has one; State is that of the newest
// announcement, so a study that is read anew shows its former finding meanwhile.
type Entry struct {
	Schema           string               `json:"schema"`
	StudyInstanceUID string               `json:"study_instance_uid"`
	State            State                `json:"state"`
	Announcement     Announcement         `json:"announcement"` // the newest
	Priority         neurotriage.Priority `json:"priority,omitempty"`
	AccessionNumber  string               `json:"accession_number,omitempty"`
	Note             string               `json:"note,omitempty"` // why it was handed back
	Finding          *FindingSummary      `json:"finding,omitempty"`
	WasFlagged       bool                 `json:"was_flagged"`        // some finding of the study was flagged; never taken back
	Attempts         map[string]int       `json:"attempts,omitempty"` // event id to attempts that count; gone once settled
	Updated          time.Time            `json:"updated"`
	Assessed         *Assessed            `json:"assessed,omitempty"`     // the newest verdict on a finding of the study
	Acknowledged     *Assessed            `json:"acknowledged,omitempty"` // the newest acknowledgement of an alert
	Deliveries       map[string]Delivery  `json:"deliveries,omitempty"`   // by destination
}

// Announcement tells announcements of one study apart and puts them in order.
type Announcement struct {
	EventID  string    `json:"event_id"`
	Asked    time.Time `json:"asked"`
	Sequence uint64    `json:"sequence"` // in the stream IMAGING; 0 when not known
}

// newer tells whether a was announced after other.
func (a Announcement) newer(other Announcement) bool {
	return cmp.Or(a.Asked.Compare(other.Asked), cmp.Compare(a.Sequence, other.Sequence)) > 0
}

// FindingSummary is what a list shows of a finding; the whole of it is in the
// stream TRIAGE under its id.
type FindingSummary struct {
	ID           string                  `json:"id"`
	Replaces     string                  `json:"replaces,omitempty"`
	Status       neurotriage.Status      `json:"status"`
	Reason       neurotriage.Reason      `json:"reason,omitempty"`
	Disposition  neurotriage.Disposition `json:"disposition"`
	Predicted    string                  `json:"predicted,omitempty"`
	Probability  *float64                `json:"probability"` // of glioma; null when nothing was eligible
	Threshold    float64                 `json:"threshold"`   // of the glioma review
	Flagged      bool                    `json:"flagged"`
	Uncertain    bool                    `json:"uncertain"`
	Warnings     int                     `json:"warnings"` // how many
	Model        string                  `json:"model"`    // its digest
	Finished     time.Time               `json:"finished"`
	Announcement Announcement            `json:"announcement"` // the one that it answers
	// Of the series that was read, or of the first one; empty when nothing was opened.
	Modality string                   `json:"modality,omitempty"`
	BodyPart string                   `json:"body_part,omitempty"`
	Sequence neurotriage.SequenceKind `json:"sequence,omitempty"`
	Location *neurotriage.Location    `json:"location,omitempty"` // where the study lay when it was read
}

func summarise(f neurotriage.Finding, of Announcement) *FindingSummary {
	s := &FindingSummary{
		ID: f.ID, Replaces: f.Replaces, Status: f.Status, Reason: f.Reason, Disposition: f.Disposition, Predicted: f.Predicted,
		Threshold: f.Thresholds.GliomaReview, Flagged: f.Flags.GliomaReview, Uncertain: f.Flags.Uncertain,
		Warnings: len(f.Warnings), Model: f.Model.Digest, Finished: f.Finished, Announcement: of,
	}
	if p, ok := f.Probabilities[neurotriage.Glioma]; ok {
		s.Probability = &p
	}
	for i, series := range f.Series {
		if i == 0 || series.Eligible {
			s.Modality, s.BodyPart, s.Sequence = series.Modality, series.BodyPart, series.Sequence
		}
		if series.Eligible {
			break
		}
	}
	return s
}

func stateOf(status neurotriage.Status) State {
	if status == neurotriage.StatusRead {
		return Read
	}
	return NotRead
}

// announced notes an announcement in a state. An older one than the entry's
// changes nothing, and neither does a waiting one that is known already.
func (e *Entry) announced(job neurotriage.Job, of Announcement, state State) {
	known := e.Announcement.EventID == of.EventID
	if e.Announcement.newer(of) || known && state == Waiting {
		return
	}
	e.Announcement, e.State, e.Note = of, state, ""
	e.Priority, e.AccessionNumber = job.Priority, job.AccessionNumber
}

// delivered notes a finding. One of an older announcement than the present one's
// leaves no more than was_flagged behind.
func (e *Entry) delivered(job neurotriage.Job, f neurotriage.Finding, of Announcement) {
	e.announced(job, of, stateOf(f.Status))
	e.WasFlagged = e.WasFlagged || f.Flags.GliomaReview
	if e.Finding == nil || !e.Finding.Announcement.newer(of) {
		e.Finding = summarise(f, of)
		if job.Location.Kind != "" {
			e.Finding.Location = &job.Location
		}
	}
	// Should the message come once more, a given-up study must not begin anew.
	if f.Reason != neurotriage.GaveUp {
		e.forget(of.EventID)
	}
}

// attempt counts one attempt and gives the count.
func (e *Entry) attempt(eventID string) int {
	e.Attempts = maps.Clone(e.Attempts)
	if e.Attempts == nil {
		e.Attempts = map[string]int{}
	}
	e.Attempts[eventID]++
	return e.Attempts[eventID]
}

// handedBack notes that an announcement waits again.
func (e *Entry) handedBack(eventID, note string, counts bool) {
	if e.Announcement.EventID == eventID {
		e.State, e.Note = Waiting, note
	}
	if !counts && e.Attempts[eventID] > 0 {
		e.Attempts = maps.Clone(e.Attempts)
		e.Attempts[eventID]--
		if e.Attempts[eventID] == 0 {
			e.forget(eventID)
		}
	}
}

func (e *Entry) forget(eventID string) {
	e.Attempts = maps.Clone(e.Attempts)
	delete(e.Attempts, eventID)
	if len(e.Attempts) == 0 {
		e.Attempts = nil
	}
}
