package evaluation

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

var labels = []string{"glioma", "meningioma", "normal", "pituitary"}

// sklearnCase is scikit-learn's answer to one list of answers; testdata/figures.py
// writes them.
type sklearnCase struct {
	Name      string
	Truth     []int
	Predicted []int
	Report    map[string]json.RawMessage
	Confusion [][]int
}

func sklearnCases(t *testing.T) []sklearnCase {
	t.Helper()
	data, err := os.ReadFile("testdata/figures.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Labels []string
		Cases  []sklearnCase
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(file.Labels, labels) || len(file.Cases) < 7 {
		t.Fatalf("testdata holds %d cases for %v", len(file.Cases), file.Labels)
	}
	return file.Cases
}

// sure is an answer of the given label with all of the probability.
func sure(label int) []float64 {
	probabilities := make([]float64, len(labels))
	probabilities[label] = 1
	return probabilities
}

func TestFiguresAgreeWithScikitLearn(t *testing.T) {
	for _, c := range sklearnCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			var outcomes []Outcome
			for i, truth := range c.Truth {
				outcomes = append(outcomes, Outcome{Truth: truth, Probabilities: sure(c.Predicted[i])})
			}
			report := Measure(labels, outcomes, 0.5)
			if !slices.EqualFunc(report.Confusion, c.Confusion, slices.Equal) {
				t.Errorf("confusion %v, want %v", report.Confusion, c.Confusion)
			}
			data, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]json.RawMessage
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			for key, want := range c.Report {
				compare(t, key, got[key], want)
			}
		})
	}
}

// compare wants two JSON values, numbers or objects of numbers, equal to 1e-12.
func compare(t *testing.T, key string, got, want json.RawMessage) {
	t.Helper()
	numbers := func(raw json.RawMessage) map[string]float64 {
		var object map[string]float64
		if json.Unmarshal(raw, &object) == nil {
			return object
		}
		var number float64
		if err := json.Unmarshal(raw, &number); err != nil {
			t.Fatalf("%s: %q is neither a number nor an object of numbers", key, raw)
		}
		return map[string]float64{"": number}
	}
	have := numbers(got)
	for name, value := range numbers(want) {
		if figure, ok := have[name]; !ok || math.Abs(figure-value) > 1e-12 {
			t.Errorf("%s %s: %v, want %v", key, name, figure, value)
		}
	}
}

func TestReview(t *testing.T) {
	outcomes := []Outcome{
		{Truth: 0, Probabilities: []float64{0.9, 0.1, 0, 0}},
		{Truth: 0, Probabilities: []float64{0.2, 0.8, 0, 0}},   // at the threshold: flagged, though not the answer
		{Truth: 0, Probabilities: []float64{0.19, 0.81, 0, 0}}, // below
		{Truth: 1, Probabilities: []float64{0.25, 0.75, 0, 0}}, // a false alarm
		{Truth: 2, Probabilities: []float64{0.01, 0, 0.99, 0}}, //
		{Truth: 0, Abstained: "flat"},                          // not in the shares
		{Truth: 0, File: "broken.png", Err: ErrLayout},         // nor this
		{Truth: 3, Probabilities: []float64{0, 0, 0, 1}, Foreign: true},
	}
	report := Measure(labels, outcomes, 0.2)
	want := Review{Threshold: 0.2, Recall: 2.0 / 3, FlaggedShare: 3.0 / 6, Flagged: 3}
	if report.Review != want {
		t.Errorf("review %+v, want %+v", report.Review, want)
	}
	if report.Scored() != 6 {
		t.Errorf("%d files in the figures, want 6", report.Scored())
	}
	if got := report.Abstentions; got.OutOfDomain != 1 || len(got.Unscored) != 1 || got.Unscored["flat"] != 1 {
		t.Errorf("abstentions %+v", got)
	}
	if got := report.Unreadable; len(got) != 1 || got[0].File != "broken.png" {
		t.Errorf("unreadable %+v", got)
	}
}

func TestCalibrationError(t *testing.T) {
	two := func(p float64) []float64 { return []float64{p, 1 - p, 0, 0} }
	cases := []struct {
		name     string
		outcomes []Outcome
		bins     int
		ece      float64
	}{
		{"nothing", nil, 0, 0},
		{"sure and right", []Outcome{{Truth: 0, Probabilities: sure(0)}}, 1, 0},
		{"sure and wrong", []Outcome{{Truth: 1, Probabilities: sure(0)}}, 1, 1},
		{"half right at 0.8", []Outcome{{Truth: 0, Probabilities: two(0.8)}, {Truth: 1, Probabilities: two(0.8)}}, 1, 0.3},
		{"two bins by count", []Outcome{
			{Truth: 0, Probabilities: two(0.9)}, {Truth: 0, Probabilities: two(0.9)}, {Truth: 0, Probabilities: two(0.9)},
			{Truth: 1, Probabilities: two(0.6)},
		}, 2, 0.75*0.1 + 0.25*0.6},
		{"edge of two bins belongs below", []Outcome{{Truth: 0, Probabilities: []float64{0.4, 0.3, 0.3, 0}}}, 1, 0.6},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bins, ece := calibration(c.outcomes)
			if len(bins) != c.bins || math.Abs(ece-c.ece) > 1e-12 {
				t.Errorf("%d bins, ece %v, want %d and %v", len(bins), ece, c.bins, c.ece)
			}
		})
	}
}

func TestEqualProbabilitiesAnswerTheFirst(t *testing.T) {
	if got := (Outcome{Probabilities: []float64{0.1, 0.4, 0.4, 0.1}}).answer(); got != 1 {
		t.Errorf("answer %d, want the first of equals, 1 (as numpy's argmax)", got)
	}
}

func TestEmptyListsAreNotNull(t *testing.T) {
	data, err := json.Marshal(Measure(labels, nil, 0.5))
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reliability", "unreadable"} {
		if string(members[name]) != "[]" {
			t.Errorf("%s is %s, want []", name, members[name])
		}
	}
}
