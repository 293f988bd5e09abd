package classifier

import (
	"slices"

	"neurotriage"
)

// evidence is all that a disposition may depend on.
type evidence struct {
	eligible      bool      // some series may be read
	contrast      bool      // a series that may clear decides
	complete      bool      // geometry of the deciding series whole, and every eligible slice read
	inDomain      bool      // every deciding series resembles the training data
	probabilities []float64 // the study's, in card order; nil when no slice was scored
}

// verdict is what the evidence amounts to.
type verdict struct {
	disposition neurotriage.Disposition
	reason      neurotriage.Reason // empty unless not assessable
	predicted   string
	flags       neurotriage.Flags
	set         []string
	lead        int // label that the key slices show: the leading tumour, glioma when flagged; -1 without scores
}

// decide applies the table of dispositions. The order is the safety of it: the
// flag is looked at before anything that could be wrong with the study, and
// clearing comes last and needs everything to be right.
func decide(model neurotriage.Model, thresholds neurotriage.Thresholds, e evidence) verdict {
	v := verdict{disposition: neurotriage.NotAssessable, set: []string{}, lead: -1}
	if e.probabilities != nil {
		glioma := slices.Index(model.Labels, neurotriage.Glioma)
		top := argMax(e.probabilities)
		v.predicted = model.Labels[top]
		v.set = predictionSet(model, e.probabilities)
		v.flags.GliomaReview = e.probabilities[glioma] >= thresholds.GliomaReview
		v.lead = leadingTumour(model.Labels, e.probabilities)
		if v.flags.GliomaReview {
			v.lead = glioma
		}
		if v.flags.GliomaReview {
			v.disposition = neurotriage.GliomaReview
		} else if v.predicted != neurotriage.Normal && v.predicted != neurotriage.Glioma {
			v.disposition = neurotriage.TumourSuspected
		}
	}
	v.flags.Uncertain = len(v.set) != 1
	if v.disposition == neurotriage.NotAssessable {
		v.reason = obstacle(model, e, v.set)
		if v.reason == "" {
			v.disposition = neurotriage.NotFlagged
		}
	}
	return v
}

// obstacle is the first reason why an unflagged study may not be cleared, or "".
// A leading glioma below the threshold in force ends as uncertain.
func obstacle(model neurotriage.Model, e evidence, set []string) neurotriage.Reason {
	switch {
	case !e.eligible:
		return neurotriage.NothingEligible
	case !e.contrast:
		return neurotriage.NoContrast
	case !e.complete:
		return neurotriage.Incomplete
	case !e.inDomain || e.probabilities == nil:
		return neurotriage.OutOfDomain
	}
	normal := e.probabilities[slices.Index(model.Labels, neurotriage.Normal)]
	if normal < model.Thresholds.NormalBar || !slices.Equal(set, []string{neurotriage.Normal}) {
		return neurotriage.Uncertain
	}
	return ""
}

// leadingTumour is the first of the likeliest labels that are not normal.
func leadingTumour(labels []string, p []float64) int {
	lead := -1
	for i, label := range labels {
		if label != neurotriage.Normal && (lead < 0 || p[i] > p[lead]) {
			lead = i
		}
	}
	return lead
}
