package report

import (
	"fmt"
	"strings"

	"neurotriage"
)

// disclaimer is the first sentence of every report.
const disclaimer = "RESEARCH USE ONLY - NOT A DIAGNOSIS. Software made this report and nobody has verified it."

// sentences say the finding in words, the most important first.
func (d *document) sentences() []string {
	f := d.finding
	list := []string{disclaimer, verdict(f)}
	if f.Reason != "" {
		list = append(list, "Reason: "+reasonWords(f.Reason))
	}
	if f.Status != neurotriage.StatusRefused && len(f.Probabilities) > 0 {
		list = append(list, fmt.Sprintf("Operating point: a study is flagged for review when its probability of glioma is at least %.3f.", f.Thresholds.GliomaReview))
		if !d.read() {
			list = append(list, "Probabilities, not to be relied on: "+d.spread(f.Probabilities)+".")
		}
		set := "none of the classes"
		if len(f.PredictionSet) > 0 {
			set = strings.Join(f.PredictionSet, ", ")
		}
		list = append(list, "Prediction set: "+set+".")
	}
	if f.Replaces != "" {
		list = append(list, "This report replaces the one of finding "+f.Replaces+".")
	}
	for _, series := range f.Series {
		if series.Eligible {
			list = append(list, fmt.Sprintf("Series %s: %s.", series.SeriesInstanceUID, counted(series)))
		}
	}
	for _, warning := range f.Warnings {
		list = append(list, "Warning: "+warning)
	}
	return append(list, fmt.Sprintf("Model %s %s (%s), finding %s.", f.Model.Name, f.Model.Version, f.Model.Digest, f.ID))
}

func counted(series neurotriage.SeriesFinding) string {
	if len(series.Probabilities) == 0 {
		return fmt.Sprintf("%d slices, not scored", series.Slices)
	}
	return fmt.Sprintf("%d slices, %s", series.Slices, strings.ToLower(strings.ReplaceAll(string(series.Sequence), "_", " ")))
}

func (d *document) spread(probabilities map[string]float64) string {
	var parts []string
	for _, label := range d.labels(probabilities) {
		parts = append(parts, fmt.Sprintf("%s %.3f", label, probabilities[label]))
	}
	return strings.Join(parts, ", ")
}

// verdict says what the disposition means for whoever reads the report.
func verdict(f neurotriage.Finding) string {
	p := f.Probabilities[neurotriage.Glioma]
	switch f.Disposition {
	case neurotriage.GliomaReview:
		return fmt.Sprintf("FLAGGED FOR REVIEW: the probability of glioma is %.3f, at or above the threshold of %.3f.", p, f.Thresholds.GliomaReview)
	case neurotriage.TumourSuspected:
		return fmt.Sprintf("A tumour other than glioma is suspected: %s with a probability of %.3f.", spaced(f.Predicted), f.Probabilities[f.Predicted])
	case neurotriage.NotFlagged:
		return "NOT FLAGGED. This does not say that there is no tumour; it must not change how the study is read."
	case neurotriage.NotAssessable:
		return "NOT READ: the study could be opened and is not assessable. Nothing follows from it."
	case neurotriage.Refused:
		return "NOT READ: the study was refused. Nothing follows from it."
	}
	return "Disposition " + spaced(string(f.Disposition)) + "."
}

// reasons put the codes of refusals and of studies that are not assessable into words.
var reasons = map[neurotriage.Reason]string{
	neurotriage.NothingEligible:           "no series is a T1 weighted MR of the brain.",
	neurotriage.NoContrast:                "no series with contrast agent was read; without contrast the model may raise a suspicion and never allay one.",
	neurotriage.Incomplete:                "slices are missing, doubled, unevenly spaced or unreadable.",
	neurotriage.OutOfDomain:               "the images are unlike those that the model was trained on.",
	neurotriage.Uncertain:                 "the model does not decide between classes.",
	neurotriage.CorruptDICOM:              "the images are damaged.",
	neurotriage.UnsupportedTransferSyntax: "the transfer syntax of the images is not read.",
	neurotriage.UnsupportedImage:          "the pixels are stored in a way that is not read.",
	neurotriage.TooLarge:                  "the study is larger than this installation reads.",
	neurotriage.InconsistentStudy:         "the study's objects contradict each other.",
	neurotriage.GaveUp:                    "reading it failed every time it was tried.",
}

func reasonWords(reason neurotriage.Reason) string {
	if words, known := reasons[reason]; known {
		return words
	}
	return spaced(string(reason)) + "."
}

func spaced(word string) string { return strings.ReplaceAll(word, "_", " ") }
