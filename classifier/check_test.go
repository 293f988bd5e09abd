package classifier

import (
	"math"
	"strings"
	"testing"

	"neurotriage"
)

func TestCheckNamesEveryFault(t *testing.T) {
	if err := Check(card(t)); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(m *neurotriage.Model){
		`schema: "model.v2" is not known here`:                func(m *neurotriage.Model) { m.Schema = "model.v2" },
		"name: missing":                                       func(m *neurotriage.Model) { m.Name = "" },
		"version: missing":                                    func(m *neurotriage.Model) { m.Version = "" },
		`labels: "glioma" is missing`:                         func(m *neurotriage.Model) { m.Labels[0] = "schwannoma" },
		`labels: "normal" is missing`:                         func(m *neurotriage.Model) { m.Labels = m.Labels[:2] },
		`labels[1]: "glioma" is empty or stands twice`:        func(m *neurotriage.Model) { m.Labels[1] = "glioma" },
		`labels[3]: "" is empty`:                              func(m *neurotriage.Model) { m.Labels[3] = "" },
		"input.name: missing":                                 func(m *neurotriage.Model) { m.Input.Name = "" },
		"input.size: 0 is not in 16 to 1024":                  func(m *neurotriage.Model) { m.Input.Size = 0 },
		"input.size: 100000 is":                               func(m *neurotriage.Model) { m.Input.Size = 100000 },
		"outputs.ood: missing":                                func(m *neurotriage.Model) { m.Outputs.OOD = "" },
		"temperature: 0 is":                                   func(m *neurotriage.Model) { m.Temperature = 0 },
		"temperature: NaN is":                                 func(m *neurotriage.Model) { m.Temperature = math.NaN() },
		"recipe.kind":                                         func(m *neurotriage.Model) { m.Recipe.Kind = "head-crop.v2" },
		"recipe.percentile_low: 0.6 is not below":             func(m *neurotriage.Model) { m.Recipe.PercentileLow, m.Recipe.PercentileHigh = 0.6, 0.5 },
		"recipe.percentile_high: 1.5":                         func(m *neurotriage.Model) { m.Recipe.PercentileHigh = 1.5 },
		"recipe.thumbnail: 0":                                 func(m *neurotriage.Model) { m.Recipe.Thumbnail = 0 },
		"recipe.head_threshold: 1":                            func(m *neurotriage.Model) { m.Recipe.HeadThreshold = 1 },
		"recipe.margin: -0.1":                                 func(m *neurotriage.Model) { m.Recipe.Margin = -0.1 },
		"recipe.min_head_area_mm2: -1":                        func(m *neurotriage.Model) { m.Recipe.MinHeadAreaMM2 = -1 },
		"pooling.rule":                                        func(m *neurotriage.Model) { m.Pooling.Rule = "mean" },
		"pooling.smooth: 2 is even":                           func(m *neurotriage.Model) { m.Pooling.Smooth = 2 },
		"pooling.fraction: 2":                                 func(m *neurotriage.Model) { m.Pooling.Fraction = 2 },
		"pooling.min_slices: 0":                               func(m *neurotriage.Model) { m.Pooling.MinSlices = 0 },
		"thresholds.glioma_review: 1.2":                       func(m *neurotriage.Model) { m.Thresholds.GliomaReview = 1.2 },
		"thresholds.glioma_review_slice: NaN":                 func(m *neurotriage.Model) { m.Thresholds.GliomaReviewSlice = math.NaN() },
		"thresholds.normal_bar: -1":                           func(m *neurotriage.Model) { m.Thresholds.NormalBar = -1 },
		"thresholds.out_of_domain: +Inf":                      func(m *neurotriage.Model) { m.Thresholds.OutOfDomain = math.Inf(1) },
		`conformal.quantiles: "pituitary" is missing`:         func(m *neurotriage.Model) { delete(m.Conformal.Quantiles, "pituitary") },
		"conformal.quantiles.glioma: 2":                       func(m *neurotriage.Model) { m.Conformal.Quantiles["glioma"] = 2 },
		"conformal.coverage: 95":                              func(m *neurotriage.Model) { m.Conformal.Coverage = 95 },
		"intended_use.modality: missing":                      func(m *neurotriage.Model) { m.IntendedUse.Modality = "" },
		"intended_use.read: no sequence is named":             func(m *neurotriage.Model) { m.IntendedUse.Read, m.IntendedUse.RaiseOnly = nil, nil },
		`checking the card of model "tiny" 2026.11.1: schema`: func(m *neurotriage.Model) { m.Schema = "" },
	} {
		m := card(t)
		spoil(&m)
		if err := Check(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
		if _, err := New(m, newScript(onCPU), Options{}); err == nil {
			t.Errorf("a classifier was made of a card with %q", want)
		}
	}
}
