package neurotriage

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined over SHA-1 (RFC 9562 5.5); it protects nothing here
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FindingSchema is the version of the finding's JSON.
const FindingSchema = "finding.v1"

// Status says how far the reading came.
type Status string

// The statuses. Refused and not-assessable studies are shown as NOT READ.
const (
	StatusRead          Status = "read"           // pixels were read and scored
	StatusNotAssessable Status = "not_assessable" // opened, but nothing in it may be scored
	StatusRefused       Status = "refused"        // not opened, or not readable
)

// Disposition is what the worklist acts on.
type Disposition string

// The dispositions, most urgent first.
const (
	GliomaReview    Disposition = "glioma_review"
	TumourSuspected Disposition = "tumour_suspected"
	NotAssessable   Disposition = "not_assessable"
	Refused         Disposition = "refused"
	NotFlagged      Disposition = "not_flagged" // it never says "no tumour"
)

// Finding is what leaves the house about one study: docs/schemas/finding.v1.json.
type Finding struct {
	Schema           string             `json:"schema"`
	ID               string             `json:"id"`       // see FindingKey
	Replaces         string             `json:"replaces"` // id of the study's finding that this one revises
	StudyInstanceUID string             `json:"study_instance_uid"`
	Status           Status             `json:"status"`
	Reason           Reason             `json:"reason"` // why not assessable or refused
	Disposition      Disposition        `json:"disposition"`
	Predicted        string             `json:"predicted"`     // label of the largest probability, or empty
	Probabilities    map[string]float64 `json:"probabilities"` // the study's, sum 1; null when nothing was eligible
	Flags            Flags              `json:"flags"`
	Thresholds       Thresholds         `json:"thresholds"`
	PredictionSet    []string           `json:"prediction_set"`
	Series           []SeriesFinding    `json:"series"`
	KeySlices        []KeySlice         `json:"key_slices"`
	Model            ModelRef           `json:"model"`
	Warnings         []string           `json:"warnings"`
	Reports          []ReportRef        `json:"reports"`
	Started          time.Time          `json:"started"`
	Finished         time.Time          `json:"finished"`
}

// Flags are the yes-or-no outcomes.
type Flags struct {
	GliomaReview bool `json:"glioma_review"` // exactly probabilities.glioma >= thresholds.glioma_review
	Uncertain    bool `json:"uncertain"`     // the prediction set does not hold exactly one label
}

// SeriesFinding is one series of a finding.
type SeriesFinding struct {
	SeriesInstanceUID string             `json:"series_instance_uid"`
	Eligible          bool               `json:"eligible"`
	Why               string             `json:"why"`
	Slices            int                `json:"slices"`        // slices in the series
	Probabilities     map[string]float64 `json:"probabilities"` // null when not scored
	// What the headers say, for lists; codes only, never free text.
	Modality string       `json:"modality,omitempty"`
	BodyPart string       `json:"body_part,omitempty"`
	Sequence SequenceKind `json:"sequence,omitempty"`
}

// KeySlice is a slice that carries the finding.
type KeySlice struct {
	SOPInstanceUID string  `json:"sop_instance_uid"`
	Frame          int     `json:"frame"`
	Probability    float64 `json:"probability"` // of the label that the key slices show
}

// ModelRef names the model that made a finding, and what it ran on.
type ModelRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
	Runtime string `json:"runtime"` // cuda, webgpu or cpu
}

// ReportRef names a report object made from the finding.
type ReportRef struct {
	Kind           string `json:"kind"`
	SOPInstanceUID string `json:"sop_instance_uid"`
}

// FindingKey holds what a finding's identity is made of. All of it is known
// before pixels are read, so a repeated study is recognised from its headers.
type FindingKey struct {
	Status           Status
	Reason           Reason
	StudyInstanceUID string
	SOPInstanceUIDs  []string // of the eligible series, in any order
	EventID          string   // stands in for SOPInstanceUIDs when refused
	ModelDigest      string
	Thresholds       Thresholds
}

// findingNamespace is the UUIDv5 name space of findings, a random UUID drawn
// once: bd0c1a5e-6f0b-4c7e-9d3c-5a2f1c0e7b64.
var findingNamespace = [16]byte{0xbd, 0x0c, 0x1a, 0x5e, 0x6f, 0x0b, 0x4c, 0x7e, 0x9d, 0x3c, 0x5a, 0x2f, 0x1c, 0x0e, 0x7b, 0x64}

// ID returns the UUIDv5 (RFC 9562 5.5) of the key: equal keys have equal ids on
// every machine at any time.
func (k FindingKey) ID() string {
	uids := slices.Clone(k.SOPInstanceUIDs)
	if k.Status == StatusRefused {
		uids = []string{"event:" + k.EventID}
	}
	slices.Sort(uids)
	name := []string{
		FindingSchema, string(k.Status), string(k.Reason), k.StudyInstanceUID, k.ModelDigest,
		strconv.FormatFloat(k.Thresholds.GliomaReview, 'g', -1, 64),
	}
	return UUIDv5(findingNamespace, strings.Join(append(name, uids...), "\n"))
}

// UUIDv5 is the name-based UUID of RFC 9562 5.5.
func UUIDv5(space [16]byte, name string) string {
	hash := sha1.New() //nolint:gosec // see the import
	hash.Write(space[:])
	hash.Write([]byte(name))
	id := hash.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 0x50 // version 5
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	text := hex.EncodeToString(id)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
