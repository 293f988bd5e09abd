package neurotriage

import "log/slog"

// Study is what the headers of one study say. No pixels are in it until its
// slices are read one by one.
type Study struct {
	UID             string   `json:"study_instance_uid"`
	Patient         Patient  `json:"patient"`
	AccessionNumber string   `json:"accession_number,omitempty"`
	ID              string   `json:"study_id,omitempty"`
	Date            string   `json:"study_date,omitempty"`               // DICOM DA, YYYYMMDD
	Time            string   `json:"study_time,omitempty"`               // DICOM TM, HHMMSS.FFFFFF
	UTCOffset       string   `json:"timezone_offset_from_utc,omitempty"` // of Time, ±HHMM; most studies do not say
	Description     string   `json:"study_description,omitempty"`
	Referring       Person   `json:"referring_physician_name,omitempty"`
	PlacerOrder     string   `json:"placer_order,omitempty"` // (0040,2016), the order's number with who asked for it
	FillerOrder     string   `json:"filler_order,omitempty"` // (0040,2017), and with who carries it out
	Series          []Series `json:"series"`                 // sorted by series number, then UID
	Warnings        []string `json:"warnings,omitempty"`
	Skipped         int      `json:"skipped,omitempty"` // files beside the study that are not DICOM
}

// EligibleSOPs returns the SOP instance UIDs of the eligible series, unsorted;
// a multi-frame instance stands in it once.
func (s Study) EligibleSOPs() []string {
	var uids []string
	seen := map[string]bool{}
	for _, series := range s.Series {
		if !series.Eligible {
			continue
		}
		for _, slice := range series.Slices {
			if !seen[slice.SOPInstanceUID] {
				seen[slice.SOPInstanceUID] = true
				uids = append(uids, slice.SOPInstanceUID)
			}
		}
	}
	return uids
}

// Patient identifies a person. It redacts itself when logged, and no event
// carries it unless the configuration says so.
type Patient struct {
	Name      string `json:"name,omitempty"`
	ID        string `json:"id,omitempty"`
	Issuer    string `json:"issuer_of_id,omitempty"` // who gave the ID
	BirthDate string `json:"birth_date,omitempty"`
	Sex       string `json:"sex,omitempty"`
}

const redacted = "[patient]"

// LogValue keeps patients out of structured logs.
func (Patient) LogValue() slog.Value { return slog.StringValue(redacted) }

// String keeps patients out of formatted text.
func (Patient) String() string { return redacted }

// GoString keeps patients out of %#v.
func (Patient) GoString() string { return redacted }

// Person is the name of somebody who is not the patient, in DICOM's form. It
// redacts itself when logged.
type Person string

// LogValue keeps names out of structured logs.
func (Person) LogValue() slog.Value { return slog.StringValue(redactedPerson) }

// String keeps names out of formatted text.
func (Person) String() string { return redactedPerson }

// GoString keeps names out of %#v.
func (Person) GoString() string { return redactedPerson }

const redactedPerson = "[person]"

// SequenceKind is the kind of MR contrast a series shows.
type SequenceKind string

// The sequence kinds that eligibility tells apart.
const (
	T1              SequenceKind = "T1"
	T1C             SequenceKind = "T1C" // T1 with contrast agent
	T2              SequenceKind = "T2"
	FLAIR           SequenceKind = "FLAIR"
	ProtonDensity   SequenceKind = "PD"
	Diffusion       SequenceKind = "DWI"
	EchoPlanar      SequenceKind = "EPI"
	Susceptibility  SequenceKind = "SWI"
	Angiography     SequenceKind = "MRA"
	Localizer       SequenceKind = "LOCALIZER"
	ParametricMap   SequenceKind = "MAP" // ADC, FA, TRACEW, MIP, subtraction, …
	UnknownSequence SequenceKind = "UNKNOWN"
)

// Plane is the anatomical plane nearest to a slice.
type Plane string

// The planes.
const (
	Axial        Plane = "axial"
	Coronal      Plane = "coronal"
	Sagittal     Plane = "sagittal"
	UnknownPlane Plane = "unknown"
)

// Series is one series of a study with the verdict on whether the model may
// read it, and why.
type Series struct {
	UID         string       `json:"series_instance_uid"`
	Number      int          `json:"series_number,omitempty"`
	Modality    string       `json:"modality,omitempty"`
	BodyPart    string       `json:"body_part,omitempty"`
	Description string       `json:"description,omitempty"`
	Sequence    SequenceKind `json:"sequence"`
	Plane       Plane        `json:"plane"`
	Eligible    bool         `json:"eligible"`
	Why         string       `json:"why"` // always set; says "inferred from description" where it is so
	// Complete is false when slices are missing, doubled or unevenly spaced, or
	// geometry is absent; Warnings say which. An incomplete series never clears.
	Complete bool     `json:"complete"`
	Slices   []Slice  `json:"slices"` // ordered by Position, headers only
	Warnings []string `json:"warnings,omitempty"`
}

// Contrast reports whether the series shows T1 with contrast agent.
func (s Series) Contrast() bool { return s.Sequence == T1C }

// Slice is one image plane. As a header its Pixels are nil; once read, Pixels
// holds Rows*Columns values in modality units (after rescale, PS3.3 C.11.1) in
// canonical radiological orientation: axial and coronal slices show the
// patient's right on the viewer's left, axial slices anterior up, coronal and
// sagittal slices head up, sagittal slices anterior on the left.
type Slice struct {
	SeriesInstanceUID string     `json:"series_instance_uid"`
	SOPInstanceUID    string     `json:"sop_instance_uid"`
	SOPClassUID       string     `json:"sop_class_uid,omitempty"`
	Frame             int        `json:"frame"`    // from 1
	Index             int        `json:"index"`    // place in Series.Slices, from 0
	Position          float64    `json:"position"` // mm along the slice normal
	Rows              int        `json:"rows"`     // of Pixels, in canonical orientation
	Columns           int        `json:"columns"`
	Spacing           [2]float64 `json:"spacing"` // mm between rows, between columns, canonical; zero if unknown
	// Turn maps canonical pixels back to stored ones.
	Turn   Turn      `json:"turn"`
	Pixels []float32 `json:"-"`
}

// Turn is one of the eight ways to lay a stored image into canonical
// orientation: first transpose, then flip. A canonical pixel (row, column)
// stands in the stored image where Stored says.
type Turn struct {
	Transpose   bool `json:"transpose,omitempty"`
	FlipRows    bool `json:"flip_rows,omitempty"`    // top and bottom change places
	FlipColumns bool `json:"flip_columns,omitempty"` // left and right change places
}

// Stored gives the stored pixel of a canonical one; rows and columns are the
// canonical slice's.
func (t Turn) Stored(row, column, rows, columns int) (storedRow, storedColumn int) {
	if t.FlipRows {
		row = rows - 1 - row
	}
	if t.FlipColumns {
		column = columns - 1 - column
	}
	if t.Transpose {
		row, column = column, row
	}
	return row, column
}
