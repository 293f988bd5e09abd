// Package model holds the model that the daemon ships with: an ONNX file whose
// metadata carries its card and its golden scores, and the same card as text.
// Both are made by training, never by hand.
package model

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed model.onnx
var onnx []byte

//go:embed card.json
var card []byte

//go:embed reference.json
var reference []byte

// ONNX is the model file. The bytes are shared and must not be written to: they
// are the program's own memory, so that the model costs no copy.
func ONNX() []byte { return onnx }

// Card is the card as text, for people.
func Card() []byte { return slices.Clone(card) }

// Reference is what the scores of the model with this digest looked like when it
// was calibrated, in the form of a card's "reference"; nil for another model.
// The first model's card was written before cards held it.
func Reference(digest string) (map[string]any, error) {
	var beside struct {
		Digest    string         `json:"digest"`
		Reference map[string]any `json:"reference"`
	}
	if err := json.Unmarshal(reference, &beside); err != nil {
		return nil, fmt.Errorf("reading the reference beside the model: %w", err)
	}
	if beside.Digest != digest {
		return nil, nil //nolint:nilnil // said above
	}
	return beside.Reference, nil
}
