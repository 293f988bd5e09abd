package onnx_test

import (
	"testing"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/model"
	"neurotriage/classifier/onnx"
)

// The golden logits were taken in Python at the export and held against PyTorch's
// there, so this is the parity of training and serving as far as the network goes.
func TestShippedModelGivesItsGoldenScores(t *testing.T) {
	runner, card := openShipped(t, onnx.Options{})
	p, err := classifier.Unpack(model.ONNX())
	if err != nil {
		t.Fatal(err)
	}
	worst, err := p.Golden.Verify(t.Context(), card, runner)
	if err != nil {
		t.Error(err)
	}
	t.Logf("logits within %.1e of the golden ones, on %s", worst, runner.Report().Provider)
}

func TestShippedModelReadsAStudy(t *testing.T) {
	runner, card := openShipped(t, onnx.Options{})
	c, err := classifier.New(card, runner, classifier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	study, seq := heads(12, 384, 274)
	reading, err := c.Classify(t.Context(), study, neurotriage.Thresholds{GliomaReview: card.Thresholds.GliomaReview}, seq)
	if err != nil {
		t.Fatal(err)
	}
	for i, score := range reading.Series[0].Slices {
		if len(score.Probabilities) != len(card.Labels) || score.Probabilities[0] != reading.Series[0].Slices[0].Probabilities[0] {
			t.Errorf("slice %d, alike with all others, scored %v", i, score.Probabilities)
		}
	}
	if len(reading.Keys) != 5 || reading.Keys[0].Map.Rows < 2 {
		t.Errorf("%d keys", len(reading.Keys))
	}
}

// A slice's scores must not depend on who stands beside it in the batch, or the
// same study would not give the same finding twice.
func TestScoresDoNotDependOnTheBatch(t *testing.T) {
	runner, card := openShipped(t, onnx.Options{Providers: []string{"cpu"}})
	values := card.Input.Size * card.Input.Size
	tensors := classifier.Golden{Count: 12}.Tensors(card.Input.Size)
	for _, n := range []int{2, 3, 4, 12} {
		together, err := runner.Run(t.Context(), tensors, n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			alone, err := runner.Run(t.Context(), tensors[i*values:], 1)
			if err != nil {
				t.Fatal(err)
			}
			for j, want := range alone.Logits {
				if got := together.Logits[i*len(card.Labels)+j]; got != want {
					t.Errorf("logit %d of slice %d is %v in a batch of %d, %v alone", j, i, got, n, want)
				}
			}
			if together.OOD[i] != alone.OOD[0] {
				t.Errorf("domain score of slice %d is %v in a batch of %d, %v alone", i, together.OOD[i], n, alone.OOD[0])
			}
		}
	}
}
