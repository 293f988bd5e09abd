package main

import (
	"os"
	"strings"
	"testing"
)

// The committed page is what the code says today.
func TestPageIsFresh(t *testing.T) {
	path, err := target()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != page() {
		t.Error("docs/CONFORMANCE.md is out of date: run go generate ./docs/conformance")
	}
}

// The page says of some objects what the room is known to do with them.
func TestPageFacts(t *testing.T) {
	text := page()
	for _, row := range []string{
		"| MR Image | 1.2.840.10008.5.1.4.1.1.4 | yes | read where eligible |",
		"| Enhanced MR Image | 1.2.840.10008.5.1.4.1.1.4.1 | yes | read frame by frame where eligible |",
		"| MR Spectroscopy | 1.2.840.10008.5.1.4.1.1.4.2 | no | MR spectroscopy is no image |",
		"| CT Image | 1.2.840.10008.5.1.4.1.1.2 | no | computed tomography (CT), the model reads MR images |",
		"| RLE lossless | 1.2.840.10008.1.2.5 | yes | frames are decoded one by one |",
		"| explicit VR big endian | 1.2.840.10008.1.2.2 | yes | pixels are read where they lie |",
		"| JPEG XL | 1.2.840.10008.1.2.4.112 | no | refused as unsupported_transfer_syntax, if the series is eligible |",
	} {
		if !strings.Contains(text, row+"\n") {
			t.Errorf("the page lacks: %s", row)
		}
	}
}
