package worklist

import (
	"context"
	"errors"
	"time"

	"neurotriage"
)

// ErrNotFound says that the store holds no such thing, or no longer.
var ErrNotFound = errors.New("not found")

// Store is what the page shows. Its methods are safe for concurrent use.
type Store interface {
	// Entries gives one entry a study, in any order. Nobody changes the slice: a
	// store whose entries have changed gives another one.
	Entries(ctx context.Context) ([]Entry, error)
	// Finding gives a finding by its id, or an error that wraps ErrNotFound.
	Finding(ctx context.Context, id string) (neurotriage.Finding, error)
	// Media gives a picture or report of a finding by its name in the media
	// store, or an error that wraps ErrNotFound.
	Media(ctx context.Context, findingID, name string) ([]byte, error)
}

// Announcer calls whenever an entry has changed, until ctx ends. Calls may be
// merged; none is lost.
type Announcer interface {
	Announce(ctx context.Context, changed func()) error
}

// State is how far a study has come.
type State string

// The states.
const (
	Waiting State = "waiting"
	Reading State = "reading"
	Read    State = "read"
	NotRead State = "not_read" // refused, or not assessable
)

// Entry is the state of one study.
type Entry struct {
	StudyInstanceUID string
	AccessionNumber  string
	Priority         neurotriage.Priority
	State            State
	FindingID        string // empty while there is none
	Disposition      neurotriage.Disposition
	Reason           neurotriage.Reason
	Predicted        string
	Glioma           float64 // study's p(glioma), meaningful when Scored
	Threshold        float64 // glioma review threshold in force
	Scored           bool
	WasFlagged       bool // an earlier finding of the study was flagged
	Attempts         int
	Asked            time.Time // announced
	Finished         time.Time // zero while there is no finding
	Model            neurotriage.ModelRef
	Modality         string // of the series that was read
	BodyPart         string
	Sequence         neurotriage.SequenceKind
	Assessed         *Judgement // the newest verdict, perhaps on an earlier finding
	Acknowledged     *Judgement // the newest acknowledgement of an alert
	Deliveries       []Delivery // of the finding, one a destination, by name; empty where none is configured
}

// Delivery is how far a finding has come on its way to one destination.
type Delivery struct {
	Destination string
	State       DeliveryState
	Attempts    int
	Note        string // why it is not delivered
	Updated     time.Time
}

// DeliveryState is how far a delivery has come.
type DeliveryState string

// The states of a delivery.
const (
	Pending   DeliveryState = "pending"
	Delivered DeliveryState = "delivered"
	Failed    DeliveryState = "failed" // nobody tries again
)

// Judgement is what somebody said of a finding, and when.
type Judgement struct {
	FindingID string
	Verdict   string // accepted, rejected, corrected, acknowledged
	Label     string // what is right, of corrected
	User      string
	Time      time.Time
}

// Flagged reports whether the study waits for a glioma review.
func (e Entry) Flagged() bool { return e.Disposition == neurotriage.GliomaReview }

// stage is how far the study has come, as people are told: what was opened and
// could not be assessed counts as not read, whatever the daemon's state says.
func (e Entry) stage() State {
	unassessed := e.Disposition == neurotriage.NotAssessable || e.Disposition == neurotriage.Refused
	if e.State == Read && unassessed {
		return NotRead
	}
	return e.State
}

// latest is the time that the list shows: of the finding, or of the announcement.
func (e Entry) latest() time.Time {
	if e.Finished.IsZero() {
		return e.Asked
	}
	return e.Finished
}

// shown is p(glioma) for sorting; what has no score stands last.
func (e Entry) shown() float64 {
	if !e.Scored {
		return -1
	}
	return e.Glioma
}
