package onnx_test

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/onnx"
)

// fixtures are slices that training prepared, with what came out there.
const fixtures = "../../testdata/recipe"

type parity struct {
	Size        int                `json:"size"`
	Recipe      neurotriage.Recipe `json:"recipe"`
	ModelDigest string             `json:"model_digest"`
	Cases       []struct {
		Name    string     `json:"name"`
		Rows    int        `json:"rows"`
		Columns int        `json:"columns"`
		Spacing [2]float64 `json:"spacing"`
		Pixels  string     `json:"pixels"`
		Tensor  string     `json:"tensor"`
		Crop    struct {
			Low, High, Row, Column, Height, Width float64
			HeadAreaMM2                           float64 `json:"head_area_mm2"`
		} `json:"crop"`
		Logits []float64 `json:"logits"`
	} `json:"cases"`
}

// TestTrainingAndServingPrepareAlike is the promise that there is one recipe:
// the same slice through Python and through Go gives tensors within 1/255
// everywhere, and logits within a thousandth.
func TestTrainingAndServingPrepareAlike(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures, "cases.json"))
	if err != nil {
		t.Fatalf("%v; `python -m neurotriage_training golden` makes it", err)
	}
	var p parity
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Cases) == 0 {
		t.Fatal("there are no cases")
	}
	runner, card := openShipped(t, onnx.Options{})
	if card.Recipe != p.Recipe || card.Input.Size != p.Size {
		t.Errorf("the fixtures are for %+v at %d, the model for %+v at %d", p.Recipe, p.Size, card.Recipe, card.Input.Size)
	}
	if card.Digest != p.ModelDigest {
		t.Errorf("the logits in %s are of model %s, shipped is %s; renew them with `python -m neurotriage_training golden`",
			fixtures, p.ModelDigest, card.Digest)
	}
	for _, c := range p.Cases {
		t.Run(c.Name, func(t *testing.T) {
			slice := neurotriage.Slice{
				SOPInstanceUID: c.Name, Rows: c.Rows, Columns: c.Columns, Spacing: c.Spacing, Pixels: floats(t, c.Pixels, c.Rows*c.Columns),
			}
			got, want := make([]float32, p.Size*p.Size), floats(t, c.Tensor, p.Size*p.Size)
			crop, err := classifier.Prepare(p.Recipe, p.Size, slice, got)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i := range want {
				worst = max(worst, math.Abs(float64(got[i]-want[i])))
			}
			if worst > 1.0/255 {
				t.Errorf("tensors differ by %v, more than 1/255", worst)
			}
			t.Logf("tensors within %.1e", worst)
			for what, pair := range map[string][2]float64{
				"low": {crop.Low, c.Crop.Low}, "high": {crop.High, c.Crop.High}, "row": {crop.Row, c.Crop.Row}, "column": {crop.Column, c.Crop.Column},
				"height": {crop.Height, c.Crop.Height}, "width": {crop.Width, c.Crop.Width}, "head area": {crop.HeadAreaMM2, c.Crop.HeadAreaMM2},
			} {
				if !crop.Flat() && math.Abs(pair[0]-pair[1]) > 1e-6*max(1, math.Abs(pair[1])) {
					t.Errorf("%s is %v, training says %v", what, pair[0], pair[1])
				}
			}
			out, err := runner.Run(t.Context(), got, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.Logits {
				if math.Abs(float64(out.Logits[i])-want) > 1e-3 {
					t.Errorf("logit of %s is %v, training says %v", card.Labels[i], out.Logits[i], want)
				}
			}
		})
	}
}

// floats reads n little-endian float32 values out of a gzip file.
func floats(t *testing.T, name string, n int) []float32 {
	t.Helper()
	f, err := os.Open(filepath.Join(fixtures, filepath.Base(name)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, n)
	if err := binary.Read(unzipped, binary.LittleEndian, values); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return values
}
