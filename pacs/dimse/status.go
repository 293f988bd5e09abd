package dimse

import "fmt"

// Status is the outcome of an operation (PS3.7 annex C, PS3.4 table B.2-1).
type Status uint16

// Statuses that a storage callee has reason to choose.
const (
	StatusSuccess            Status = 0x0000
	StatusCoerced            Status = 0xB000 // warning: stored, elements were changed
	StatusProcessingFailure  Status = 0x0110
	StatusDuplicate          Status = 0x0111 // duplicate SOP instance
	StatusInvalidInstance    Status = 0x0117 // the SOP instance UID is none
	StatusClassNotSupported  Status = 0x0122
	StatusNotAuthorized      Status = 0x0124
	StatusUnrecognized       Status = 0x0211 // unrecognized operation
	StatusOutOfResources     Status = 0xA700
	StatusDataSetMismatch    Status = 0xA900 // the dataset is of another SOP class
	StatusCannotUnderstand   Status = 0xC000
	StatusNoSuchInstance     Status = 0x0112
	StatusInvalidArgument    Status = 0x0115
	statusMissingAttribute   Status = 0x0120
	statusAttributeListError Status = 0x0107
)

var statusWords = map[Status]string{
	StatusSuccess: "success", StatusCoerced: "coercion of data elements", StatusProcessingFailure: "processing failure",
	StatusDuplicate: "duplicate SOP instance", StatusInvalidInstance: "invalid SOP instance",
	StatusClassNotSupported: "SOP class not supported", StatusNotAuthorized: "not authorized",
	StatusUnrecognized: "unrecognized operation", StatusNoSuchInstance: "no such SOP instance",
	StatusInvalidArgument: "invalid argument value", statusMissingAttribute: "missing attribute",
}

// Warning says that the operation was done, with something to note.
func (s Status) Warning() bool {
	return s&0xF000 == 0xB000 || s == 0x0001 || s == statusAttributeListError || s == 0x0116
}

// Failed says that the operation was not done.
func (s Status) Failed() bool { return s != StatusSuccess && !s.Warning() }

func (s Status) String() string { return fmt.Sprintf("%04XH %s", uint16(s), s.words()) }

func (s Status) words() string {
	words, ok := statusWords[s]
	switch {
	case ok:
		return words
	case s&0xFF00 == 0xA700:
		return "out of resources"
	case s&0xFF00 == 0xA900:
		return "dataset does not match SOP class"
	case s&0xF000 == 0xC000:
		return "cannot understand"
	case s.Warning():
		return "warning"
	}
	return "failure"
}

// StatusError is a failure that the peer answered to an operation. The
// association can be used further.
type StatusError struct {
	Operation string // C-STORE, …
	Status    Status
	Comment   string // the peer's own words, if any (0000,0902)
}

func (e *StatusError) Error() string {
	if e.Comment == "" {
		return fmt.Sprintf("%s answered with %s", e.Operation, e.Status)
	}
	return fmt.Sprintf("%s answered with %s (%q)", e.Operation, e.Status, e.Comment)
}
