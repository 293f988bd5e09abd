package model_test

import (
	"crypto/sha256"
	"testing"

	"neurotriage/classifier/model"
)

func TestReleasedBytesComeBack(t *testing.T) {
	before := sha256.Sum256(model.ONNX())
	for range 2 {
		if err := model.Release(); err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(model.ONNX()) != before {
			t.Fatal("the model's bytes changed")
		}
	}
}
