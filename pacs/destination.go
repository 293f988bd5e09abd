package pacs

import (
	"context"
	"errors"

	"neurotriage"
)

// Parcel is a finding with all that may go out about it. It holds the patient
// and stays inside the house: a destination takes from it what its receiver is
// meant to see.
type Parcel struct {
	Finding neurotriage.Finding
	// Job is the announcement that the finding answers; what is no longer known
	// of it is empty.
	Job neurotriage.Job
	// Study holds the headers, the patient's among them. Of a refused study it
	// may hold no more than the UID.
	Study neurotriage.Study
	// Sources are the names under which rules know where the study came from: a
	// root's, a sending source's, an archive's.
	Sources []string
	// Objects are the report objects in the order in which they should arrive.
	Objects []Object
	// Superseded says that a newer finding of the study is in force. Archives
	// take the objects of both; what shows the present state (a message, a label)
	// must not be set back to the former one.
	Superseded bool
}

// Object is one DICOM object made from a finding.
type Object struct {
	Kind           string // sr, key_image, key_object
	SOPInstanceUID string
	// Open gives the object as a Part 10 file (PS3.10 7), the same bytes at
	// every call.
	Open func(ctx context.Context) ([]byte, error)
}

// Priority is the urgency to show: that of the announcement, raised to urgent
// when the finding is flagged for review. It is never lower than what the PACS
// gave.
func (p Parcel) Priority() neurotriage.Priority {
	given := p.Job.Priority
	if given == "" {
		given = neurotriage.Routine
	}
	if p.Finding.Flags.GliomaReview && given == neurotriage.Routine {
		return neurotriage.Urgent
	}
	return given
}

// Destination is a place that findings go to. One destination is called by one
// courier, one parcel at a time.
type Destination interface {
	// Deliver hands the parcel over and returns nil once the receiver has said
	// that it keeps it. The same parcel may come again, also after it was
	// delivered: a repeat must leave the receiver as it was.
	//
	// An error that wraps neurotriage.ErrSurroundings says that the destination
	// is not well and no parcel would get through: the courier pauses it. One
	// that wraps ErrRejected says that this parcel will never be taken, ErrNothing
	// that there is nothing in it to deliver. A *Postponed asks for the parcel
	// again later. Any other error is held against the parcel, which is tried
	// again, less and less often, until the destination's attempts are used up.
	// Texts of errors are shown in the worklist: they hold no patient.
	Deliver(ctx context.Context, parcel Parcel) error
}

// ErrRejected marks a parcel that its destination will never take.
var ErrRejected = errors.New("rejected for good")
