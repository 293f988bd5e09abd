package neurotriage

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Job is one announced study: what to read, where it lies, and how urgent the
// sender thinks it is.
type Job struct {
	EventID            string    `json:"event_id"`
	StudyInstanceUID   string    `json:"study_instance_uid"`
	Location           Location  `json:"location"`
	SeriesInstanceUIDs []string  `json:"series_instance_uids,omitempty"` // empty: every series
	AccessionNumber    string    `json:"accession_number,omitempty"`
	Priority           Priority  `json:"priority,omitempty"`
	Asked              time.Time `json:"asked"`               // when the study was announced
	Delivery           int       `json:"delivery"`            // attempts that counted, this one included; from 1
	SchemaVersion      int       `json:"schema_version"`      // of the event's data; 1 today
	ReplayOf           string    `json:"replay_of,omitempty"` // event id of the dead letter that is replayed
}

// LocationKind says how a study is reached.
type LocationKind string

// The kinds of location an event may name.
const (
	Directory LocationKind = "directory" // Path below the configured root named Root
	DICOMweb  LocationKind = "dicomweb"  // URL, which the configuration's allow-list must cover
	Object    LocationKind = "object"    // Name of a zip in the object store Bucket
)

// Location is where a study lies. Only the fields of its kind are set.
type Location struct {
	Kind   LocationKind `json:"kind"`
	Root   string       `json:"root,omitempty"`
	Path   string       `json:"path,omitempty"`
	URL    string       `json:"url,omitempty"`
	Bucket string       `json:"bucket,omitempty"`
	Name   string       `json:"name,omitempty"`
}

// Priority is the sender's urgency, in the words of FHIR R4 RequestPriority.
// The daemon may raise it and never lowers it.
type Priority string

// The priorities, least urgent first.
const (
	Routine Priority = "routine"
	Urgent  Priority = "urgent"
	ASAP    Priority = "asap"
	Stat    Priority = "stat"
)

var uidPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)

// MaxUIDLength is the longest UID that DICOM allows, in characters (PS3.5 9.1).
const MaxUIDLength = 64

// CheckUID reports why s is not a DICOM UID (PS3.5 9.1), or nil. Leading zeros
// of a component are tolerated, since real archives hold such UIDs.
func CheckUID(s string) error {
	switch {
	case s == "":
		return errors.New("uid is empty")
	case len(s) > MaxUIDLength:
		return fmt.Errorf("uid has %d characters, at most %d are allowed", len(s), MaxUIDLength)
	case !uidPattern.MatchString(s):
		return fmt.Errorf("uid %q may hold digits and single dots only", s)
	}
	return nil
}

// Check reports the first thing that makes the job unusable, naming the field.
func (j Job) Check() error {
	if err := CheckUID(j.StudyInstanceUID); err != nil {
		return fmt.Errorf("study_instance_uid: %w", err)
	}
	for i, uid := range j.SeriesInstanceUIDs {
		if err := CheckUID(uid); err != nil {
			return fmt.Errorf("series_instance_uids[%d]: %w", i, err)
		}
	}
	switch j.Priority {
	case "", Routine, Urgent, ASAP, Stat:
	default:
		return fmt.Errorf("priority: %q is not one of routine, urgent, asap, stat", j.Priority)
	}
	if err := j.Location.check(); err != nil {
		return fmt.Errorf("location.%w", err)
	}
	return nil
}

func (l Location) check() error {
	need := func(field, value string) error {
		if value == "" {
			return fmt.Errorf("%s: missing, and kind %q needs it", field, l.Kind)
		}
		return nil
	}
	switch l.Kind {
	case Directory:
		return errors.Join(need("root", l.Root), need("path", l.Path))
	case DICOMweb:
		return need("url", l.URL)
	case Object:
		return errors.Join(need("bucket", l.Bucket), need("name", l.Name))
	case "":
		return errors.New("kind: missing; it is one of directory, dicomweb, object")
	}
	return fmt.Errorf("kind: %q is not one of directory, dicomweb, object", l.Kind)
}
