package neurotriage_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The figures in the README are those of one model: a new model needs new ones.
func TestReadmeSpeaksOfTheShippedModel(t *testing.T) {
	model, err := os.ReadFile("classifier/model/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("sha256:%.6x", sha256.Sum256(model))
	if !strings.Contains(string(readme), digest) {
		t.Errorf("README.md gives the figures of another model than the shipped %s; take them from docs/MODEL_CARD.md", digest)
	}
}
