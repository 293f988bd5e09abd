package pacs

import (
	"slices"
	"strings"

	"neurotriage"
)

// Rule says which findings a destination gets. An empty list leaves its
// question open; all questions have to be answered with yes.
type Rule struct {
	Dispositions []neurotriage.Disposition
	Sources      []string // names of roots, of sending sources or of archives
	Modalities   []string // of any series of the study (PS3.3 C.7.3.1.1.1)
}

// Match tells whether the parcel is one of them.
func (r Rule) Match(p Parcel) bool {
	return (len(r.Dispositions) == 0 || slices.Contains(r.Dispositions, p.Finding.Disposition)) &&
		(len(r.Sources) == 0 || slices.ContainsFunc(p.Sources, func(s string) bool { return slices.Contains(r.Sources, s) })) &&
		(len(r.Modalities) == 0 || slices.ContainsFunc(p.Finding.Series, r.modality))
}

func (r Rule) modality(s neurotriage.SeriesFinding) bool {
	return slices.ContainsFunc(r.Modalities, func(m string) bool { return strings.EqualFold(m, s.Modality) })
}
