package dicomio_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// The headers of a whole study, as JSON that a person can review.
func TestHeadersGolden(t *testing.T) {
	none := ""
	study := opened(t, kit.Study{
		Name: "golden", PatientName: "Müller^Jürgen", PatientID: "P7", Description: "MRI brain", Accession: "A7",
		Series: []kit.Series{
			{Number: 2, Description: "T1 SE AX", Images: kit.Heads(3, 4, 6), Stack: kit.Stack{Between: 25, Spacing: [2]float64{0.5, 0.75}}},
			{Number: 3, Description: "t1_mprage_sag_KM", BodyPart: &none, Images: kit.Heads(2, 4, 6),
				Timing: kit.Timing{Scanning: `GR\IR`, Type: "3D", TR: 2300, TE: 3, TI: 900, Flip: 9},
				Stack:  kit.Stack{Right: [3]float64{0, 1, 0}, Down: [3]float64{0, 0, -1}, Between: 60}},
			{Number: 4, Description: "T2 TSE", Timing: kit.Timing{TR: 4000, TE: 100}, Images: kit.Heads(1, 4, 6)},
		},
	}.Files(), dicomio.Options{})
	text, err := json.MarshalIndent(study.Study(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	kit.Golden(t, filepath.Join("testdata", "headers.golden.json"), string(text)+"\n")
}
