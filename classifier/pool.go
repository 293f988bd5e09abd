package classifier

import (
	"math"
	"slices"

	"neurotriage"
)

// Probabilities calibrates logits: softmax(logits / temperature), which sums to 1
// as nearly as float64 can.
func Probabilities(logits []float32, temperature float64) []float64 {
	p := make([]float64, len(logits))
	top := float64(slices.Max(logits))
	var sum float64
	for i, logit := range logits {
		p[i] = math.Exp((float64(logit) - top) / temperature)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// pool applies top-mean.v1 to the probabilities of a series' slices in order
// along the normal: smooth, rank by 1-p(normal), take the mean of the first few.
// A tumour fills few slices, and a plain mean would hide it.
func pool(rule neurotriage.Pooling, rows [][]float64, normal int) []float64 {
	smoothed := smooth(rows, rule.Smooth)
	order := make([]int, len(smoothed))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return compare(smoothed[a][normal], smoothed[b][normal]) // least normal first
	})
	n := len(smoothed)
	k := min(n, max(rule.MinSlices, int(math.Ceil(rule.Fraction*float64(n)))))
	return mean(smoothed, order[:k])
}

// smooth is the centred running mean over an odd number of slices; at the ends
// the window is clipped to what is there.
func smooth(rows [][]float64, window int) [][]float64 {
	half := window / 2
	smoothed := make([][]float64, len(rows))
	places := make([]int, 0, window)
	for i := range rows {
		places = places[:0]
		for j := max(0, i-half); j <= min(len(rows)-1, i+half); j++ {
			places = append(places, j)
		}
		smoothed[i] = mean(rows, places)
	}
	return smoothed
}

func mean(rows [][]float64, places []int) []float64 {
	m := make([]float64, len(rows[places[0]]))
	for _, place := range places {
		for i, v := range rows[place] {
			m[i] += v
		}
	}
	for i := range m {
		m[i] /= float64(len(places))
	}
	return m
}

// median is the middle value, or the mean of the middle two. values are
// reordered and not empty.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// argMax is the first of the largest.
func argMax(values []float64) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// predictionSet gives the labels that the conformal quantiles keep, in card
// order; when they keep none, the leading label stands alone.
func predictionSet(model neurotriage.Model, p []float64) []string {
	var set []string
	for i, label := range model.Labels {
		if 1-p[i] <= model.Conformal.Quantiles[label] {
			set = append(set, label)
		}
	}
	if len(set) == 0 {
		set = []string{model.Labels[argMax(p)]}
	}
	return set
}
