package dicomio_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// Headers that say other things of the bits than the codestream does: the slice
// is that of the honest header.
func TestOddBits(t *testing.T) {
	if _, err := exec.LookPath("ojph_compress"); err != nil {
		t.Skip("ojph_compress is not installed (Debian package openjph-tools)")
	}
	const rows, columns = 40, 48
	image := kit.Heads(1, rows, columns)[0]
	image.Bits = 12
	file := kit.Study{Series: []kit.Series{{Images: []kit.Image{image}}}}.Files()[0]
	want, err := dicomio.ReadSlice(bytes.NewReader(file.Data), dicomio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	pgm := fmt.Appendf(nil, "P5\n%d %d\n4095\n", columns, rows)
	for pixel := range slices.Chunk(file.Element(pixelData).Value.([]byte), 2) {
		pgm = append(pgm, pixel[1], pixel[0])
	}
	in, out := filepath.Join(t.TempDir(), "in.pgm"), filepath.Join(t.TempDir(), "out.j2c")
	if err := os.WriteFile(in, pgm, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.CommandContext(t.Context(), "ojph_compress", "-reversible", "true", "-i", in, "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("ojph_compress: %v: %s", err, text)
	}
	coded, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		stored, high uint16
	}{
		{"honest", 12, 11},
		{"samples at the top of the word", 12, 15},
		{"samples in its middle", 12, 13},
		{"more bits stored than coded", 16, 15},
		{"some more bits stored than coded", 13, 12},
		{"fewer bits stored than coded", 11, 10}, // Heads leave the highest bit free
	} {
		us := func(tag uint32, value uint16) kit.Element {
			return kit.Element{Tag: tag, VR: "US", Value: []uint16{value}}
		}
		odd := kit.EncodeFile("1.2.840.10008.1.2.4.201", file.With(us(0x00280101, c.stored), us(0x00280102, c.high),
			kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{coded}}))
		got, err := dicomio.ReadSlice(bytes.NewReader(odd), dicomio.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !slices.Equal(got.Pixels, want.Pixels) {
			t.Errorf("%s: pixels differ", c.name)
		}
	}
}
