package neurotriage

import (
	"errors"
	"fmt"
)

// Reason is a code of CONTRACT: why a study was refused or is not assessable.
type Reason string

// Reasons of a refusal.
const (
	MalformedEvent            Reason = "malformed_event"
	StudyNotFound             Reason = "study_not_found"
	NotDICOM                  Reason = "not_dicom"
	CorruptDICOM              Reason = "corrupt_dicom"
	UnsupportedTransferSyntax Reason = "unsupported_transfer_syntax"
	UnsupportedImage          Reason = "unsupported_image"
	TooLarge                  Reason = "too_large"
	PathNotAllowed            Reason = "path_not_allowed"
	URLNotAllowed             Reason = "url_not_allowed"
	InconsistentStudy         Reason = "inconsistent_study"
	GaveUp                    Reason = "gave_up"
)

// Reasons of a study that could be opened and is not assessable.
const (
	NothingEligible Reason = "nothing_eligible"
	NoContrast      Reason = "no_contrast"
	Incomplete      Reason = "incomplete"
	OutOfDomain     Reason = "out_of_domain"
	Uncertain       Reason = "uncertain"
)

// Refusal is an error that no retry can cure. Its text names the place (file,
// tag, byte offset, SOP instance UID) and the cause.
type Refusal struct {
	Reason Reason
	Err    error
	Study  *Study // its headers, when they could be read and speak of one patient; else nil
}

// Refuse makes a refusal; the format is that of fmt.Errorf.
func Refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Err.Error() }

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Errors of the surroundings, to be wrapped with %w. They spend no delivery.
var (
	// ErrSurroundings marks what is no fault of the study: a root that cannot be
	// reached, a full disk, a lost GPU, NATS gone. The inbox pauses until it is over.
	ErrSurroundings = errors.New("surroundings fail")
	// ErrElsewhere marks a job that another daemon may be able to do, because
	// this one lacks the named root. The job is handed back and nothing pauses.
	ErrElsewhere = errors.New("not reachable from this daemon")
)
