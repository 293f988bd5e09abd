// Package model holds the model that the daemon ships with: an ONNX file whose
// metadata carries its card and its golden scores, and the same card as text.
// Both are made by training, never by hand.
package model

import (
	_ "embed"
	"slices"
)

//go:embed model.onnx
var onnx []byte

//go:embed card.json
var card []byte

// ONNX is the model file. The bytes are shared and must not be written to: they
// are the program's own memory, so that the model costs no copy.
func ONNX() []byte { return onnx }

// Card is the card as text, for people.
func Card() []byte { return slices.Clone(card) }
