package classifier

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"neurotriage"
)

// pooled is what one eligible series amounts to.
type pooled struct {
	probabilities   []float64 // nil when no slice was scored
	ood             float64
	unread, leftOut int
}

// conclude pools the scores, applies the card's rules and writes the finding.
func (s *scoring) conclude(thresholds neurotriage.Thresholds) neurotriage.Reading {
	series := make([]pooled, len(s.study.Series))
	e := evidence{eligible: s.slices > 0, contrast: s.contrast, complete: true, inDomain: true}
	for i, header := range s.study.Series {
		if !header.Eligible {
			continue
		}
		series[i] = s.pool(i)
		e.complete = e.complete && series[i].unread == 0
		if s.decides[i] {
			e.complete = e.complete && header.Complete
			e.inDomain = e.inDomain && series[i].probabilities != nil && series[i].ood <= s.c.model.Thresholds.OutOfDomain
			e.probabilities = s.c.lessNormal(e.probabilities, series[i].probabilities)
		}
	}
	return s.write(thresholds, series, e.probabilities, decide(s.c.model, thresholds, e))
}

// lessNormal is the study's rule: of the deciding series the one with the
// largest 1-p(normal) speaks; of equals, the earlier.
func (c *Classifier) lessNormal(so, far []float64) []float64 {
	if so == nil || far != nil && far[c.normal] < so[c.normal] {
		return far
	}
	return so
}

func (s *scoring) pool(i int) pooled {
	var p pooled
	var rows [][]float64
	var foreign []float64
	for _, score := range s.scores[i] {
		if score.Skipped == "" {
			rows = append(rows, score.Probabilities)
			foreign = append(foreign, score.OOD)
		}
	}
	for _, n := range s.refused[i] {
		p.unread += n
	}
	p.leftOut = len(s.scores[i]) - len(rows) - p.unread
	if len(rows) > 0 {
		p.probabilities = pool(s.c.model.Pooling, rows, s.c.normal)
		p.ood = median(foreign)
	}
	return p
}

func (s *scoring) write(thresholds neurotriage.Thresholds, series []pooled, study []float64, v verdict) neurotriage.Reading {
	model := s.c.model
	finding := neurotriage.Finding{
		Schema: neurotriage.FindingSchema, ID: s.c.Identify(s.study, thresholds), StudyInstanceUID: s.study.UID,
		Status: neurotriage.StatusRead, Reason: v.reason, Disposition: v.disposition, Predicted: v.predicted,
		Probabilities: s.c.named(study), Flags: v.flags, Thresholds: thresholds, PredictionSet: v.set,
		Series: []neurotriage.SeriesFinding{}, KeySlices: []neurotriage.KeySlice{}, Reports: []neurotriage.ReportRef{},
		Model: neurotriage.ModelRef{
			Name: model.Name, Version: model.Version, Digest: model.Digest, Runtime: s.c.runner.Info().Runtime,
		},
		Warnings: s.warnings(thresholds, series),
	}
	if s.slices == 0 {
		finding.Status = neurotriage.StatusNotAssessable
	}
	reading := neurotriage.Reading{Study: s.study, Labels: slices.Clone(model.Labels)}
	for i, header := range s.study.Series {
		finding.Series = append(finding.Series, neurotriage.SeriesFinding{
			SeriesInstanceUID: header.UID, Eligible: header.Eligible, Why: header.Why, Slices: len(header.Slices),
			Probabilities: s.c.named(series[i].probabilities),
			Modality:      code(header.Modality), BodyPart: code(header.BodyPart), Sequence: header.Sequence,
		})
		if header.Eligible {
			reading.Series = append(reading.Series, neurotriage.SeriesReading{
				SeriesInstanceUID: header.UID, Slices: s.scores[i], OOD: series[i].ood,
			})
		}
	}
	if v.lead >= 0 {
		for _, key := range s.maps.best[v.lead] {
			finding.KeySlices = append(finding.KeySlices, neurotriage.KeySlice{
				SOPInstanceUID: key.image.Slice.SOPInstanceUID, Frame: key.image.Slice.Frame, Probability: key.p,
			})
			reading.Keys = append(reading.Keys, key.image)
		}
	}
	reading.Finding = finding
	return reading
}

// code keeps what is a code string (PS3.5 6.2, CS): a finding leaves the house,
// and a field that was filled with free text may hold a name.
func code(s string) string {
	free := func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != ' ' }
	if s = strings.ToUpper(s); len(s) > 16 || strings.ContainsFunc(s, free) {
		return ""
	}
	return s
}

func (c *Classifier) named(p []float64) map[string]float64 {
	if p == nil {
		return nil
	}
	named := make(map[string]float64, len(p))
	for i, label := range c.model.Labels {
		named[label] = p[i]
	}
	return named
}

// warnings tell what a reader of the finding must know. They leave the house,
// so they carry counts, codes and UIDs and no error texts: those may hold paths,
// and paths may hold names.
func (s *scoring) warnings(thresholds neurotriage.Thresholds, series []pooled) []string {
	warnings := slices.Clone(s.study.Warnings)
	if card := s.c.model.Thresholds.GliomaReview; thresholds.GliomaReview > card {
		warnings = append(warnings, fmt.Sprintf(
			"review threshold %v is above the model card's %v: fewer gliomas are flagged than the card promises", thresholds.GliomaReview, card))
	}
	for i, header := range s.study.Series {
		if !header.Eligible {
			continue
		}
		add := func(format string, args ...any) {
			warnings = append(warnings, "series "+header.UID+": "+fmt.Sprintf(format, args...))
		}
		for _, w := range header.Warnings {
			add("%s", w)
		}
		p, n := series[i], len(header.Slices)
		if !header.Complete {
			add("geometry is incomplete, so the series may raise and never clear")
		}
		if p.unread > 0 {
			add("%d of %d slices could not be read (%s)", p.unread, n, counts(s.refused[i]))
		}
		if p.leftOut > 0 {
			add("%d of %d slices left out, which show less than %v mm² of a head", p.leftOut, n, s.c.model.Recipe.MinHeadAreaMM2)
		}
		if p.probabilities != nil && p.ood > s.c.model.Thresholds.OutOfDomain {
			add("unlike the model's training data (%.4g, at most %.4g)", p.ood, s.c.model.Thresholds.OutOfDomain)
		}
	}
	if warnings == nil {
		return []string{} // JSON says [], not null
	}
	return warnings
}

// counts lists reasons with how often they came, by name.
func counts(reasons map[neurotriage.Reason]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, reasons[reason]))
	}
	return strings.Join(parts, ", ")
}
