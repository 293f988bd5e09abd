package dicomio

import (
	"cmp"

	"neurotriage"
)

// unreadable refuses a study when its headers show that no slice of an eligible
// series, or no file at all, can be read.
func (s *Study) unreadable(all []*instance) *neurotriage.Refusal {
	var first *neurotriage.Refusal
	eligible := false
	for i, series := range s.study.Series {
		for _, one := range s.plan[i] {
			if !series.Eligible {
				break
			}
			eligible = true
			refusal := one.readable(s.options.Limits)
			if refusal == nil {
				return nil
			}
			first = cmp.Or(first, refusal)
		}
	}
	if eligible {
		return first
	}
	return undecided(all)
}

// undecided refuses a study without an eligible series in which damage may hide
// one: structure comes before eligibility.
func undecided(all []*instance) *neurotriage.Refusal {
	whole := map[string]bool{}
	for _, i := range all {
		whole[i.seriesUID] = whole[i.seriesUID] || i.damaged == nil
	}
	for _, i := range all {
		if !whole[i.seriesUID] && (i.evidence.modality == "" || i.evidence.modality == "MR") {
			return asRefusal(i.damaged)
		}
	}
	return nil
}
