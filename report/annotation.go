package report

import (
	"strings"

	"neurotriage"
)

// Annotation is what a message to a worklist is made of. Study may hold no more
// than its UID; Job may lack what is no longer known of the announcement.
type Annotation struct {
	Finding neurotriage.Finding
	Job     neurotriage.Job
	Study   neurotriage.Study
}

// ResearchUse stands in every message, since what is read on a worklist is read
// without this project's documents.
const ResearchUse = "Research software; not a diagnosis. The absence of a flag does not mean the absence of disease."

// codeScheme designates the codes that this project defined itself (PS3.16 8.2:
// a private designator begins with 99).
const codeScheme = "99NEUROTRIAGE"

// accession is the study's accession number: the announcement's, which the order
// system gave, before the images'.
func (a Annotation) accession() string {
	if a.Job.AccessionNumber != "" {
		return a.Job.AccessionNumber
	}
	return a.Study.AccessionNumber
}

// filler is the number of the order with who carries it out; for lack of one it
// is the accession number, which many departments use as such.
func (a Annotation) filler() string {
	if a.Study.FillerOrder != "" {
		return a.Study.FillerOrder
	}
	return a.accession()
}

// priority is what the message asks for, empty when nothing is to be said. A
// flagged study is raised to urgent at least. When the announcement named no
// priority the order may have any, so that the one level which lowers none of
// them is asked for, or none at all.
func (a Annotation) priority() neurotriage.Priority {
	given := a.Job.Priority
	switch {
	case !a.Finding.Flags.GliomaReview:
		return given
	case given == "":
		return neurotriage.Stat
	case given == neurotriage.Routine:
		return neurotriage.Urgent
	}
	return given
}

// words says what a disposition means, for people.
func words(d neurotriage.Disposition) string {
	switch d {
	case neurotriage.GliomaReview:
		return "Flagged for review of a possible glioma"
	case neurotriage.TumourSuspected:
		return "Tumour other than glioma suspected"
	case neurotriage.NotFlagged:
		return "Not flagged"
	case neurotriage.NotAssessable:
		return "NOT READ: not assessable"
	case neurotriage.Refused:
		return "NOT READ: refused"
	}
	return string(d)
}

// reason says in words why a study was not read, or nothing.
func (a Annotation) reason() string {
	return strings.ReplaceAll(string(a.Finding.Reason), "_", " ")
}

// read tells whether there is a result at all.
func (a Annotation) read() bool { return a.Finding.Status == neurotriage.StatusRead }
