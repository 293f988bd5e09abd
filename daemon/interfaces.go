package daemon

import (
	"context"
	"iter"
	"time"

	"neurotriage"
)

// Inbox hands out announced studies, one at a time, each to one worker.
type Inbox interface {
	// Next waits for a job. When the message was refused (malformed, or given up
	// by the server), err is a *neurotriage.Refusal and job holds what could be
	// read of it; such a job is settled like any other. Any other error is of the
	// surroundings, or ctx's. While a job is not settled, the inbox keeps telling
	// the server that it is in progress.
	Next(ctx context.Context) (job neurotriage.Job, err error)
	// Settle ends a job and waits for the server to confirm. A job is settled
	// once; an error means that the server may deliver it again.
	Settle(ctx context.Context, job neurotriage.Job, outcome Outcome) error
}

// Outcome is how a job ended.
type Outcome struct {
	Verdict Verdict
	Delay   time.Duration // of HandBack: not before
	Reason  string        // of Terminate and HandBack, for the server and the log
	Counts  bool          // of HandBack: whether the attempt counts towards gave_up
}

// Verdict is one of the ways a job ends.
type Verdict int

// The verdicts.
const (
	Done      Verdict = iota // all is delivered: acknowledge, and wait for the server's word
	HandBack                 // somebody tries again
	Terminate                // refused: nobody tries again
)

// Reader opens the study of a job.
type Reader interface {
	// Open reads headers only. A *neurotriage.Refusal says that no retry helps;
	// errors that wrap neurotriage.ErrSurroundings or ErrElsewhere say so.
	Open(ctx context.Context, job neurotriage.Job) (OpenStudy, error)
}

// OpenStudy is a study whose headers are read and whose pixels are not.
type OpenStudy interface {
	// Study is the same value at every call.
	Study() neurotriage.Study
	// Slices yields the slices of the eligible series, series by series, in the
	// order of the study, decoded ahead within bounds. A *neurotriage.Refusal
	// concerns the one slice whose header comes with it and the iteration goes
	// on; any other error ends it. Pixels belong to the receiver.
	Slices(ctx context.Context) iter.Seq2[neurotriage.Slice, error]
	// Close releases files; it may be called twice.
	Close() error
}

// Classifier turns slices into a reading.
type Classifier interface {
	// Identify gives the id that the study's finding will have, from headers.
	Identify(study neurotriage.Study, thresholds neurotriage.Thresholds) string
	// Classify scores the slices and applies the model card's rules. A refusal
	// says that no slice of a study with eligible series could be read.
	Classify(ctx context.Context, study neurotriage.Study, thresholds neurotriage.Thresholds,
		slices iter.Seq2[neurotriage.Slice, error]) (neurotriage.Reading, error)
	// Model is the card in force with its digest, and the runtime in use.
	Model() (card neurotriage.Model, runtime string)
}

// Outlet delivers readings and refusals so that each study ends in exactly one
// finding. Both calls return nil only after everything is stored; both may be
// repeated for the same job at any time and then complete what is missing.
type Outlet interface {
	// Delivered completes the deliveries of the finding with this id if the
	// finding exists already, and says whether it does.
	Delivered(ctx context.Context, job neurotriage.Job, id string) (bool, error)
	// Deliver stores the reading's media, publishes its finding, its alert and
	// its worklist entry.
	Deliver(ctx context.Context, job neurotriage.Job, reading neurotriage.Reading) error
	// Refuse publishes the refused finding (if the job has a study UID) and the
	// dead letter. The reading holds the study's headers if they could be read.
	Refuse(ctx context.Context, job neurotriage.Job, reading neurotriage.Reading, cause *neurotriage.Refusal) error
}
