package evaluation

import "math"

// Bins is the number of equally wide confidence bins of the calibration error.
const Bins = 15

// Bin is one bar of the reliability diagram: the files whose largest
// probability lies above Low and at most at High.
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"` // mean of the largest probability
	Accuracy   float64 `json:"accuracy"`   // share of right answers
}

// calibration gives the filled bins and the expected calibration error: the
// mean distance of confidence and accuracy over the bins, weighted by count
// (Guo et al. 2017).
func calibration(scored []Outcome) ([]Bin, float64) {
	var counts, right [Bins]int
	var sums [Bins]float64
	for _, outcome := range scored {
		answer := outcome.answer()
		confidence := outcome.Probabilities[answer]
		bin := min(max(int(math.Ceil(confidence*Bins))-1, 0), Bins-1)
		counts[bin]++
		sums[bin] += confidence
		if answer == outcome.Truth {
			right[bin]++
		}
	}
	var bins []Bin
	ece := 0.0
	for i, count := range counts {
		if count == 0 {
			continue
		}
		bin := Bin{
			Low: float64(i) / Bins, High: float64(i+1) / Bins, Count: count,
			Confidence: sums[i] / float64(count), Accuracy: ratio(right[i], count),
		}
		bins = append(bins, bin)
		ece += math.Abs(bin.Confidence-bin.Accuracy) * float64(count) / float64(len(scored))
	}
	return bins, ece
}
