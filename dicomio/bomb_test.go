package dicomio_test

import (
	"archive/zip"
	"bytes"
	"testing"

	"neurotriage/internal/kit"
)

// dark is a slice of 35 MB of zeros, quickly made.
func dark(uid string) kit.File {
	const side = 4200
	return named(uid, changed(sound(), ui(sopUID, uid),
		kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{side}}, kit.Element{Tag: 0x00280011, VR: "US", Value: []uint16{side}},
		kit.Element{Tag: pixelData, VR: "OW", Value: make([]byte, 2*side*side)}))
}

// bomb is 256 MB of zeros in a quarter of a megabyte.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	entry, err := archive.Create("zeros")
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range 256 {
		if _, err := entry.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
