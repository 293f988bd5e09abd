package evaluation

import (
	"bytes"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"testing"

	"neurotriage"
)

// madeUp is an overconfident model with a fixed seed.
func madeUp() Report {
	draw := rand.New(rand.NewPCG(1, 2))
	var outcomes []Outcome
	for i := range 1200 {
		probabilities := make([]float64, 4)
		truth, top := i%4, 0.4+0.6*draw.Float64()
		answer := truth
		if draw.Float64() > top*top {
			answer = draw.IntN(4)
		}
		for j := range probabilities {
			probabilities[j] = (1 - top) / 3
		}
		probabilities[answer] = top
		outcomes = append(outcomes, Outcome{Truth: truth, Probabilities: probabilities})
	}
	report := Measure(labels, outcomes, 0.2)
	report.Model = neurotriage.ModelRef{Name: "mobilenetv3-large", Version: "2026.11.1", Digest: "sha256:0123456789abcdef0123", Runtime: "cpu"}
	return report
}

func TestPlotShowsTheDiagonal(t *testing.T) {
	var out bytes.Buffer
	if err := Plot(&out, madeUp()); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("KEEP_PLOT"); path != "" { // for a person's eyes
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	picture, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	size := picture.Bounds().Size()
	if size.X != 12*plotDPI || size.Y != 6*plotDPI {
		t.Errorf("picture of %v", size)
	}
	// The cells of the confusion matrix on the diagonal are darker than beside it.
	dark := func(x, y float64) int {
		at := color.GrayModel.Convert(picture.At(int(x*float64(size.X)), int(y*float64(size.Y)))).(color.Gray)
		return 255 - int(at.Y)
	}
	onDiagonal, beside := dark(0.08, 0.13), dark(0.19, 0.13)
	if onDiagonal < 2*beside {
		t.Errorf("first cell has darkness %d, its neighbour %d", onDiagonal, beside)
	}
}

func TestPlotOfNothing(t *testing.T) {
	var out bytes.Buffer
	if err := Plot(&out, Measure(labels, nil, 0.2)); err != nil {
		t.Fatal(err)
	}
}
