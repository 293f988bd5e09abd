package model_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/model"
)

// most is the largest model that may be shipped, in bytes.
const most = 20 << 20

func TestShippedModelIsSound(t *testing.T) {
	p, err := classifier.Unpack(model.ONNX())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.ONNX) > most {
		t.Errorf("the model has %d bytes, at most %d are shipped", len(p.ONNX), most)
	}
	for _, label := range []string{neurotriage.Glioma, neurotriage.Meningioma, neurotriage.Normal, neurotriage.Pituitary} {
		if _, ok := p.Model.Conformal.Quantiles[label]; !ok {
			t.Errorf("label %s is missing", label)
		}
	}
	if p.Model.IntendedUse.Statement == "" || len(p.Model.Limits) == 0 || len(p.Model.Training) == 0 || len(p.Model.Evaluation) == 0 {
		t.Error("the card does not say what the model is for, where it ends, how it was made or how good it is")
	}
}

func TestCardBesideTheModelIsTheOneInIt(t *testing.T) {
	p, err := classifier.Unpack(model.ONNX())
	if err != nil {
		t.Fatal(err)
	}
	var beside neurotriage.Model
	if err := json.Unmarshal(model.Card(), &beside); err != nil {
		t.Fatal(err)
	}
	p.Model.Digest, beside.Digest = "", "" // of the file, so not in it
	if diff := cmp.Diff(p.Model, beside); diff != "" {
		t.Errorf("card.json is not the card in model.onnx: %s", diff)
	}
}

func TestEmbeddedIsTheFile(t *testing.T) {
	file, err := os.ReadFile("model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if string(file) != string(model.ONNX()) {
		t.Error("the embedded model is not the file beside it")
	}
}

// The page compares a week's scores with these.
func TestCardSaysWhatItsScoresLookedLike(t *testing.T) {
	p, err := classifier.Unpack(model.ONNX())
	if err != nil {
		t.Fatal(err)
	}
	reference, _ := p.Model.Evaluation["reference"].(map[string]any)
	scores, _ := reference["scores"].(map[string]any)
	for _, label := range p.Model.Labels {
		if scores[label] == nil {
			t.Errorf("label %s is missing", label)
		}
	}
}
