package worklist_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/worklist"
)

// like is a card's reference: half of its slices in each of two bins.
const like = `{"what": "calibration fold", "slices": 100,
	"scores": {"glioma": {"edges": [0, 0.5, 1], "shares": [0.5, 0.5], "mean": 0.5}},
	"image": {"ood": {"edges": [0, 10, 20], "shares": [50, 50], "mean": 9}, "head_area_mm2": {"edges": [1000, 9000, 20000], "shares": [0.5, 0.5]}, "sharpness": {"edges": [0, 1], "shares": [1]}}}`

func TestSlicesBesideTheTraining(t *testing.T) {
	cases := []struct {
		name      string
		studies   int
		age       time.Duration
		glioma    [2]float64 // of the two slices of each study
		ood       [2]float64
		reference string
		want      []string
		not       string
	}{
		{"as in the training", 30, 0, [2]float64{0.1, 0.9}, [2]float64{5, 15}, like,
			[]string{"30 studies", "calibration fold", "probability of glioma", "50.0 %", "0.00", `<td class="calm">no shift`}, "shifted:"},
		{"stranger images", 30, 0, [2]float64{0.1, 0.9}, [2]float64{15, 40}, like, []string{`<td class="review">shifted: look at scanners`, "27.5"}, ""},
		{"a little stranger", 30, 0, [2]float64{0.1, 0.9}, [2]float64{5, 15}, strings.Replace(like, `"shares": [50, 50]`, `"shares": [70, 30]`, 1), []string{`<td class="suspected">shifted a little`}, "shifted:"},
		{"too few", 19, 0, [2]float64{0.1, 0.9}, [2]float64{15, 40}, like, []string{"too few studies to tell (20 are needed)"}, "shifted"},
		{"too old", 30, 8 * 24 * time.Hour, [2]float64{0.1, 0.9}, [2]float64{15, 40}, like, []string{"No slice was read in the last 7 days"}, "shifted"},
		{"no reference", 30, 0, [2]float64{0.1, 0.9}, [2]float64{15, 40}, `null`, []string{"card carries no reference"}, "shifted"},
		{"a reference that is none", 30, 0, [2]float64{0.1, 0.9}, [2]float64{15, 40}, `"x"`, []string{"cannot be read"}, "shifted"},
		{"edges that are none", 30, 0, [2]float64{0.1, 0.9}, [2]float64{15, 40},
			`{"scores": {"glioma": {"edges": [1, 0], "shares": [1]}}, "image": {"ood": {"edges": [0, 1, 2], "shares": [0, 0]}, "head_area_mm2": {"edges": [0, 1, 2], "shares": [-1, 2]}}}`,
			[]string{"refers to nothing that findings carry"}, "shifted"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var ref any
			if err := json.Unmarshal([]byte(c.reference), &ref); err != nil {
				t.Fatal(err)
			}
			body := operations(t, week(c.studies, c.age, c.glioma, c.ood), map[string]any{"reference": ref})
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			if c.not != "" && strings.Contains(body, c.not) {
				t.Errorf("the page says %q", c.not)
			}
		})
	}
}

// week is a store of studies of two slices each.
func week(studies int, age time.Duration, glioma, ood [2]float64) *shelf {
	s := &shelf{findings: map[string]neurotriage.Finding{}, media: map[string][]byte{}}
	for i := range studies {
		id := fmt.Sprintf("f-%d", i)
		s.entries = append(s.entries, worklist.Entry{
			StudyInstanceUID: fmt.Sprintf("1.2.%d", i), FindingID: id, State: worklist.Read, Disposition: neurotriage.NotFlagged,
			Scored: true, Finished: now.Add(-age), Asked: now.Add(-age),
		})
		reading := neurotriage.Reading{Labels: []string{"glioma"}, Series: []neurotriage.SeriesReading{{Slices: []neurotriage.SliceScore{
			{Probabilities: []float64{glioma[0]}, OOD: ood[0], HeadAreaMM2: 8000}, {Probabilities: []float64{glioma[1]}, OOD: ood[1], HeadAreaMM2: 10000},
			{Skipped: "no head", OOD: 1000},
		}}}}
		s.media[id+"/reading.json"], _ = json.Marshal(reading)
	}
	return s
}

func operations(t *testing.T, s *shelf, evaluation map[string]any) string {
	t.Helper()
	board, err := worklist.New(s, s, worklist.Options{
		Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler), Room: &desk{},
		Evaluation: func() map[string]any { return evaluation },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(board.Handler())
	t.Cleanup(server.Close)
	_, body, _ := get(t, server, "/operations")
	return body
}
