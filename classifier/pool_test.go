package classifier

import (
	"math"
	"slices"
	"testing"

	"neurotriage"
)

// Two columns are enough to pool by: tumour and normal.
func two(tumour ...float64) [][]float64 {
	var rows [][]float64
	for _, p := range tumour {
		rows = append(rows, []float64{p, 1 - p})
	}
	return rows
}

func TestPooling(t *testing.T) {
	rule := func(smooth int, fraction float64, least int) neurotriage.Pooling {
		return neurotriage.Pooling{Rule: "top-mean.v1", Smooth: smooth, Fraction: fraction, MinSlices: least}
	}
	few := slices.Repeat([]float64{0}, 30)
	few[10], few[11], few[12] = 0.9, 0.9, 0.9
	for name, test := range map[string]struct {
		rule neurotriage.Pooling
		rows []float64
		want float64
	}{
		"one slice":                         {rule(3, 0.1, 3), []float64{0.4}, 0.4},
		"two slices":                        {rule(3, 0.1, 3), []float64{0.2, 0.4}, 0.3},
		"no smoothing, the top one":         {rule(1, 0.1, 1), []float64{0.1, 0.8, 0.3}, 0.8},
		"no smoothing, the top two":         {rule(1, 0.1, 2), []float64{0.1, 0.8, 0.3}, 0.55},
		"a fraction is rounded up":          {rule(1, 0.5, 1), []float64{0.1, 0.8, 0.3}, 0.55},
		"never more than there are":         {rule(1, 1, 9), []float64{0.1, 0.8, 0.3}, 0.4},
		"the window is clipped at the ends": {rule(3, 0, 1), []float64{0.9, 0.5, 0, 0}, 0.7},
		"smoothing before ranking":          {rule(3, 0, 1), []float64{0, 0.9, 0, 0.5, 0.6, 0.5, 0}, 1.6 / 3},
		"a few slices are not diluted":      {rule(3, 0.1, 3), few, (0.6 + 0.9 + 0.6) / 3},
	} {
		got := pool(test.rule, two(test.rows...), 1)
		if math.Abs(got[0]-test.want) > 1e-12 || math.Abs(got[0]+got[1]-1) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// Equal ranks are broken by place, so the columns that do not rank are stable.
func TestPoolingOfEqualsTakesTheEarlier(t *testing.T) {
	rows := [][]float64{{0.5, 0.1, 0.4}, {0.1, 0.5, 0.4}, {0, 0, 1}}
	got := pool(neurotriage.Pooling{Smooth: 1, MinSlices: 1}, rows, 2)
	if !slices.Equal(got, rows[0]) {
		t.Errorf("%v, want %v", got, rows[0])
	}
}

func TestProbabilities(t *testing.T) {
	for _, test := range []struct {
		logits      []float32
		temperature float64
		want        []float64
	}{
		{[]float32{0, 0}, 1, []float64{0.5, 0.5}},
		{[]float32{1, 0}, 1, []float64{1 / (1 + math.Exp(-1)), 1 / (1 + math.E)}},
		{[]float32{1, 0}, 0.5, []float64{1 / (1 + math.Exp(-2)), 1 / (1 + math.Exp(2))}},
		{[]float32{3e38, -3e38, 0}, 1, []float64{1, 0, 0}}, // no overflow
	} {
		got := Probabilities(test.logits, test.temperature)
		for i := range got {
			if math.Abs(got[i]-test.want[i]) > 1e-15 {
				t.Errorf("%v at %v: %v, want %v", test.logits, test.temperature, got, test.want)
			}
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(slices.Clone(test.values)); got != test.want {
			t.Errorf("%v: %v, want %v", test.values, got, test.want)
		}
	}
}
