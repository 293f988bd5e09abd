package classifier

import (
	"slices"
	"testing"

	"neurotriage"
)

func TestDispositions(t *testing.T) {
	sure := func(p ...float64) evidence {
		return evidence{eligible: true, contrast: true, complete: true, inDomain: true, probabilities: p}
	}
	but := func(e evidence, change func(*evidence)) evidence {
		change(&e)
		return e
	}
	var (
		noContrast = func(e *evidence) { e.contrast = false }
		incomplete = func(e *evidence) { e.complete = false }
		foreign    = func(e *evidence) { e.inDomain = false }
		everything = func(e *evidence) { e.contrast, e.complete, e.inDomain = false, false, false }
		unscored   = func(e *evidence) { e.probabilities = nil }
	)
	// The card: review at 0.17, normal bar 0.9, a label is in the set from
	// 0.2 on, normal from 0.5 on.
	const g, m, n = "glioma", "meningioma", "normal"
	clear := sure(0.02, 0.02, 0.94, 0.02)
	for name, test := range map[string]struct {
		evidence    evidence
		disposition neurotriage.Disposition
		reason      neurotriage.Reason
		predicted   string
		flag        bool
		set         []string
		lead        int
	}{
		"all is well":                      {clear, neurotriage.NotFlagged, "", n, false, []string{n}, 0},
		"at the bars exactly":              {sure(0.1, 0, 0.9, 0), neurotriage.NotFlagged, "", n, false, []string{n}, 0},
		"flag at the threshold":            {sure(0.17, 0.03, 0.7, 0.1), neurotriage.GliomaReview, "", n, true, []string{n}, 0},
		"below the threshold":              {sure(0.169, 0.031, 0.7, 0.1), neurotriage.NotAssessable, neurotriage.Uncertain, n, false, []string{n}, 0},
		"flag though meningioma leads":     {sure(0.2, 0.6, 0.1, 0.1), neurotriage.GliomaReview, "", m, true, []string{g, m}, 0},
		"flag whatever else is wrong":      {but(sure(0.5, 0.2, 0.2, 0.1), everything), neurotriage.GliomaReview, "", g, true, []string{g, m}, 0},
		"flag out of domain":               {but(sure(0.5, 0.1, 0.3, 0.1), foreign), neurotriage.GliomaReview, "", g, true, []string{g}, 0},
		"another tumour leads":             {sure(0.1, 0.6, 0.2, 0.1), neurotriage.TumourSuspected, "", m, false, []string{m}, 1},
		"pituitary leads":                  {sure(0.1, 0.1, 0.1, 0.7), neurotriage.TumourSuspected, "", "pituitary", false, []string{"pituitary"}, 3},
		"tumour without contrast":          {but(sure(0.1, 0.6, 0.2, 0.1), noContrast), neurotriage.TumourSuspected, "", m, false, []string{m}, 1},
		"tumour though all is wrong":       {but(sure(0.1, 0.6, 0.2, 0.1), everything), neurotriage.TumourSuspected, "", m, false, []string{m}, 1},
		"nothing eligible":                 {evidence{}, neurotriage.NotAssessable, neurotriage.NothingEligible, "", false, []string{}, -1},
		"no contrast":                      {but(clear, noContrast), neurotriage.NotAssessable, neurotriage.NoContrast, n, false, []string{n}, 0},
		"no contrast comes first":          {but(clear, everything), neurotriage.NotAssessable, neurotriage.NoContrast, n, false, []string{n}, 0},
		"incomplete":                       {but(clear, incomplete), neurotriage.NotAssessable, neurotriage.Incomplete, n, false, []string{n}, 0},
		"incomplete comes before foreign":  {but(but(clear, incomplete), foreign), neurotriage.NotAssessable, neurotriage.Incomplete, n, false, []string{n}, 0},
		"foreign":                          {but(clear, foreign), neurotriage.NotAssessable, neurotriage.OutOfDomain, n, false, []string{n}, 0},
		"foreign comes before uncertain":   {but(sure(0.1, 0.1, 0.7, 0.1), foreign), neurotriage.NotAssessable, neurotriage.OutOfDomain, n, false, []string{n}, 0},
		"below the normal bar":             {sure(0.05, 0.03, 0.89, 0.03), neurotriage.NotAssessable, neurotriage.Uncertain, n, false, []string{n}, 0},
		"nothing was scored":               {but(clear, unscored), neurotriage.NotAssessable, neurotriage.OutOfDomain, "", false, []string{}, -1},
		"nothing scored and incomplete":    {but(but(clear, unscored), incomplete), neurotriage.NotAssessable, neurotriage.Incomplete, "", false, []string{}, -1},
		"no label kept, so the leader":     {sure(0.16, 0.19, 0.49, 0.16), neurotriage.NotAssessable, neurotriage.Uncertain, n, false, []string{n}, 1},
		"two labels kept":                  {sure(0.05, 0.25, 0.65, 0.05), neurotriage.NotAssessable, neurotriage.Uncertain, n, false, []string{m, n}, 1},
		"of equal tumours the first leads": {sure(0.02, 0.03, 0.92, 0.03), neurotriage.NotFlagged, "", n, false, []string{n}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			model := card(t)
			v := decide(model, neurotriage.Thresholds{GliomaReview: model.Thresholds.GliomaReview}, test.evidence)
			if v.disposition != test.disposition || v.reason != test.reason {
				t.Errorf("%s %q, want %s %q", v.disposition, v.reason, test.disposition, test.reason)
			}
			if v.predicted != test.predicted || v.flags.GliomaReview != test.flag || v.lead != test.lead || !slices.Equal(v.set, test.set) {
				t.Errorf("predicted %q, flag %v, lead %d, set %v", v.predicted, v.flags.GliomaReview, v.lead, v.set)
			}
			if v.flags.Uncertain != (len(test.set) != 1) {
				t.Errorf("uncertain %v with %v", v.flags.Uncertain, test.set)
			}
		})
	}
}

// Two labels in the set keep a study from being cleared even above the bar.
func TestPredictionSetMustBeNormalAlone(t *testing.T) {
	model := card(t)
	model.Conformal.Quantiles["meningioma"] = 0.95
	e := evidence{eligible: true, contrast: true, complete: true, inDomain: true, probabilities: []float64{0.02, 0.06, 0.9, 0.02}}
	v := decide(model, neurotriage.Thresholds{GliomaReview: 0.17}, e)
	if v.disposition != neurotriage.NotAssessable || v.reason != neurotriage.Uncertain || !v.flags.Uncertain {
		t.Errorf("%s %q with %v", v.disposition, v.reason, v.set)
	}
}

// The rules go by names: a card may order its labels freely.
func TestLabelsInAnotherOrder(t *testing.T) {
	model := card(t)
	model.Labels = []string{"normal", "pituitary", "glioma", "meningioma"}
	e := evidence{eligible: true, contrast: true, complete: true, inDomain: true, probabilities: []float64{0.94, 0.02, 0.02, 0.02}}
	if v := decide(model, neurotriage.Thresholds{GliomaReview: 0.17}, e); v.disposition != neurotriage.NotFlagged {
		t.Errorf("%s %q", v.disposition, v.reason)
	}
	e.probabilities = []float64{0.7, 0.05, 0.2, 0.05}
	if v := decide(model, neurotriage.Thresholds{GliomaReview: 0.17}, e); v.disposition != neurotriage.GliomaReview || v.lead != 2 {
		t.Errorf("%s %q, lead %d", v.disposition, v.reason, v.lead)
	}
}
