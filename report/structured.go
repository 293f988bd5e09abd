package report

import (
	"maps"
	"slices"

	"neurotriage"
	"neurotriage/dicomio"
)

// structured is the Comprehensive 3D SR (PS3.3 A.35.13) after IHE AI Results and
// TID 1500. It is complete and unverified: a person has not seen it.
func (d *document) structured() dicomio.Dataset {
	set := append(d.common(KindSR, "sr", 1),
		cs(0x0040A491, "COMPLETE"), cs(0x0040A493, "UNVERIFIED"),
		sq(0x00081111), sq(0x0040A372), schemes())
	if used := append(d.album.eligible(), append(slices.Clone(d.keys), d.captures...)...); len(used) > 0 {
		set = append(set, sq(0x0040A375, evidence(d.study.UID, used)))
	}
	if former := d.former(); former != "" {
		set = append(set, sq(0x0040A360, evidence(d.study.UID, []reference{{
			series: seriesUID(d.finding.Replaces, KindSR), class: classes[KindSR], instance: former,
		}})))
	}
	children := append([]item{language()}, d.observer()...)
	children = append(children, codeItem(modifier, conceptProcedure, procedureMR))
	if groups := d.groups(); len(groups) > 0 {
		children = append(children, container(contains, conceptMeasurements, groups...))
	}
	children = append(children, container(contains, conceptQualitative, d.evaluations()...))
	return append(set, root(titleReport, "1500", children...)...)
}

// former is the structured report of the finding that this one replaces, if it
// had one.
func (d *document) former() string {
	for _, report := range d.reading.Replaced {
		if report.Kind == KindSR && d.finding.Replaces != "" {
			return report.SOPInstanceUID
		}
	}
	return ""
}

// read tells whether the finding says something of the brain: of a study that
// is refused or not assessable, nothing is coded as a measurement.
func (d *document) read() bool {
	switch d.finding.Disposition {
	case neurotriage.GliomaReview, neurotriage.TumourSuspected, neurotriage.NotFlagged:
		return len(d.finding.Probabilities) > 0
	case neurotriage.NotAssessable, neurotriage.Refused:
	}
	return false
}

// suspected lists the labels that the disposition speaks of. Only they are coded
// as findings: a code beside a small probability would be read as a finding too.
func (d *document) suspected() []string {
	var labels []string
	if d.finding.Disposition == neurotriage.GliomaReview {
		labels = append(labels, neurotriage.Glioma)
	}
	if _, tumour := tumours[d.finding.Predicted]; tumour && d.read() && d.finding.Disposition != neurotriage.NotFlagged &&
		!slices.Contains(labels, d.finding.Predicted) {
		labels = append(labels, d.finding.Predicted)
	}
	return labels
}

// groups are the measurement groups (TID 1501): one for each finding, one with
// every class's probability of the study, and one such for each series if
// several were read.
func (d *document) groups() []item {
	if !d.read() {
		return nil
	}
	var groups []item
	for _, label := range d.suspected() {
		groups = append(groups, d.findingGroup(label))
	}
	groups = append(groups, d.spreadGroup("all classes, study", d.study.UID, d.finding.Probabilities))
	read := slices.DeleteFunc(slices.Clone(d.finding.Series), func(s neurotriage.SeriesFinding) bool { return len(s.Probabilities) == 0 })
	if len(read) < 2 {
		return groups
	}
	for _, series := range read {
		groups = append(groups, d.spreadGroup("all classes, series "+series.SeriesInstanceUID, series.SeriesInstanceUID, series.Probabilities))
	}
	return groups
}

// findingGroup codes a suspected tumour with its site, probability, key slices
// and their activation maps.
func (d *document) findingGroup(label string) item {
	what := tumours[label]
	group := d.group(label+", study", label+" of study "+d.study.UID)
	group = append(group, codeItem(contains, conceptFinding, what.finding), codeItem(modifier, conceptSite, what.site))
	group = append(group, d.algorithm()...)
	var sources []item
	shown := d.illustrates(label)
	if shown {
		for _, key := range d.keys {
			sources = append(sources, imageItem(inferredFrom, conceptSource, key))
		}
	}
	group = append(group, number(conceptProbability, d.finding.Probabilities[label], sources...))
	if label == neurotriage.Glioma {
		group = append(group, number(conceptThreshold, d.finding.Thresholds.GliomaReview))
	}
	if shown {
		for _, key := range d.keys {
			group = append(group, imageItem(contains, conceptBest, key))
		}
		for _, capture := range d.captures {
			group = append(group, imageItem(contains, conceptExplanation, capture))
		}
	}
	return container(contains, conceptGroup, group...)
}

// illustrates tells whether the key slices show this label.
func (d *document) illustrates(label string) bool {
	if len(d.reading.Keys) > 0 {
		return d.reading.Keys[0].Label == label
	}
	return len(d.suspected()) > 0 && d.suspected()[0] == label
}

// spreadGroup holds the probability of every class, without a finding.
func (d *document) spreadGroup(tracking, of string, probabilities map[string]float64) item {
	group := append(d.group(tracking, "all classes of "+of), d.algorithm()...)
	for _, label := range d.labels(probabilities) {
		group = append(group, number(conceptProbability, probabilities[label], codeItem(modifier, conceptClass, own(label))))
	}
	return container(contains, conceptGroup, group...)
}

// labels gives the labels in the model's order, or by name.
func (d *document) labels(probabilities map[string]float64) []string {
	if len(d.reading.Labels) == len(probabilities) {
		return d.reading.Labels
	}
	return slices.Sorted(maps.Keys(probabilities))
}

// group begins a measurement group. The tracking UID follows from what is
// tracked, not from the finding: a revision measures the same thing again.
func (d *document) group(identifier, of string) []item {
	return []item{
		textItem(obsContext, conceptTrackingID, identifier),
		uidItem(obsContext, conceptTrackingUID, neurotriage.DerivedUID("tracking", of)),
	}
}

// algorithm is the algorithm identification (TID 4019).
func (d *document) algorithm() []item {
	model := d.finding.Model
	return []item{
		codeItem(modifier, conceptFamily, artificial),
		textItem(modifier, conceptAlgorithm, orUnknown(model.Name)),
		textItem(modifier, conceptVersion, orUnknown(model.Version)),
		textItem(modifier, conceptParameters, "digest "+orUnknown(model.Digest)),
		textItem(modifier, conceptParameters, "review threshold "+decimal(d.finding.Thresholds.GliomaReview)),
		textItem(modifier, conceptParameters, "runtime "+orUnknown(model.Runtime)),
	}
}

// evaluations say in codes and words what the study came to.
func (d *document) evaluations() []item {
	f := d.finding
	items := []item{
		codeItem(contains, conceptSummary, summary(f.Disposition)),
		codeItem(contains, conceptDisposition, own(string(f.Disposition))),
	}
	if f.Reason != "" {
		items = append(items, codeItem(contains, conceptReason, own(string(f.Reason))))
	}
	for _, sentence := range d.sentences() {
		items = append(items, textItem(contains, conceptComment, sentence))
	}
	return items
}

// summary is the run summary (CID 6047).
func summary(disposition neurotriage.Disposition) code {
	switch disposition {
	case neurotriage.GliomaReview, neurotriage.TumourSuspected:
		return withFindings
	case neurotriage.NotFlagged:
		return withoutFindings
	case neurotriage.NotAssessable, neurotriage.Refused:
	}
	return noneSucceeded
}
