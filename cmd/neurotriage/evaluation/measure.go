package evaluation

import (
	"cmp"
	"slices"

	"neurotriage"
)

// Outcome is what came of one file.
type Outcome struct {
	File          string
	Truth         int       // index of the folder's label
	Probabilities []float64 // in label order; nil when the slice was not scored
	Abstained     string    // why it was not scored, such as a slice without a head
	Foreign       bool      // scored, but out of the model's domain by the card's bar
	Err           error     // the file could not be read; nothing else is known of it
}

// answer is the label with the largest probability, the first of equals.
func (o Outcome) answer() int { return argMax(o.Probabilities) }

func argMax(values []float64) int {
	best := 0
	for i, value := range values {
		if value > values[best] {
			best = i
		}
	}
	return best
}

// Class holds the figures of one label, or their mean.
type Class struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1-score"`
	Support   int     `json:"support"` // files with this label
}

// Review says what the glioma review flag would do, slice by slice.
type Review struct {
	Threshold    float64 `json:"threshold"`     // the card's, for single slices
	Recall       float64 `json:"recall"`        // flagged share of the glioma files
	FlaggedShare float64 `json:"flagged_share"` // flagged share of all scored files
	Flagged      int     `json:"flagged"`
}

// Abstentions counts the files that the model did not answer, or should not
// have been asked.
type Abstentions struct {
	Unscored    map[string]int `json:"unscored"`      // by reason; not in the figures
	OutOfDomain int            `json:"out_of_domain"` // scored and in the figures, but foreign to the model
}

// Fault is a file that could not be read.
type Fault struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// Report is the outcome of an evaluation.
type Report struct {
	Labels      []string             // in the card's order
	Classes     []Class              // in label order
	Accuracy    float64              // of the scored files
	Macro       Class                // plain mean over the labels
	Weighted    Class                // mean weighted by support
	Confusion   [][]int              // rows: folder, columns: answer
	Review      Review               //
	ECE         float64              // expected calibration error, Bins bins
	Reliability []Bin                // the bins of ECE that hold a file
	Abstentions Abstentions          //
	Unreadable  []Fault              // sorted by file
	Skipped     int                  // files that are no pictures; set by the caller
	Model       neurotriage.ModelRef // set by the caller
}

// Measure turns outcomes into figures. reviewThreshold is the card's for
// slices. Labels without files count as 0 in the macro mean, as in scikit-learn.
func Measure(labels []string, outcomes []Outcome, reviewThreshold float64) Report {
	report := Report{
		Labels: labels, Confusion: make([][]int, len(labels)),
		Abstentions: Abstentions{Unscored: map[string]int{}}, Review: Review{Threshold: reviewThreshold},
	}
	for i := range report.Confusion {
		report.Confusion[i] = make([]int, len(labels))
	}
	var scored []Outcome
	for _, outcome := range outcomes {
		switch {
		case outcome.Err != nil:
			report.Unreadable = append(report.Unreadable, Fault{File: outcome.File, Error: outcome.Err.Error()})
			continue
		case outcome.Probabilities == nil:
			report.Abstentions.Unscored[outcome.Abstained]++
			continue
		case outcome.Foreign:
			report.Abstentions.OutOfDomain++
		}
		report.Confusion[outcome.Truth][outcome.answer()]++
		scored = append(scored, outcome)
	}
	slices.SortFunc(report.Unreadable, func(a, b Fault) int { return cmp.Compare(a.File, b.File) })
	report.classes()
	report.review(scored)
	report.Reliability, report.ECE = calibration(scored)
	return report
}

// Scored is the number of files in the figures.
func (r Report) Scored() int {
	total := 0
	for _, row := range r.Confusion {
		for _, count := range row {
			total += count
		}
	}
	return total
}

// classes fills the figures that follow from the confusion matrix.
func (r *Report) classes() {
	right, total := 0, r.Scored()
	for i := range r.Labels {
		answered, support := 0, 0
		for j := range r.Labels {
			answered += r.Confusion[j][i]
			support += r.Confusion[i][j]
		}
		hits := r.Confusion[i][i]
		right += hits
		class := Class{Precision: ratio(hits, answered), Recall: ratio(hits, support), F1: ratio(2*hits, answered+support), Support: support}
		r.Classes = append(r.Classes, class)
		r.Macro.add(class, 1/float64(len(r.Labels)))
		if total > 0 {
			r.Weighted.add(class, float64(support)/float64(total))
		}
	}
	r.Accuracy = ratio(right, total)
}

func (c *Class) add(other Class, weight float64) {
	c.Precision += weight * other.Precision
	c.Recall += weight * other.Recall
	c.F1 += weight * other.F1
	c.Support += other.Support
}

func (r *Report) review(scored []Outcome) {
	glioma := slices.Index(r.Labels, neurotriage.Glioma)
	if glioma < 0 {
		return
	}
	caught, gliomas := 0, 0
	for _, outcome := range scored {
		flagged := outcome.Probabilities[glioma] >= r.Review.Threshold
		if flagged {
			r.Review.Flagged++
		}
		if outcome.Truth == glioma {
			gliomas++
			if flagged {
				caught++
			}
		}
	}
	r.Review.Recall = ratio(caught, gliomas)
	r.Review.FlaggedShare = ratio(r.Review.Flagged, len(scored))
}

// ratio is a share, and 0 of nothing (scikit-learn's zero_division=0).
func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
