package dicomio_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// encoder turns the uncompressed files of a folder into compressed ones.
type encoder struct {
	name string
	pack string // Debian package
	run  func(t *testing.T, file kit.File, folder, in, out string)
}

// by runs a program of the form "program options… in out".
func by(program string, options ...string) func(*testing.T, kit.File, string, string, string) {
	return func(t *testing.T, _ kit.File, _, in, out string) {
		t.Helper()
		if text, err := exec.CommandContext(t.Context(), program, append(options, in, out)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", program, err, text)
		}
	}
}

// highThroughput wraps what OpenJPH makes of the pixels, in the given number of
// fragments.
func highThroughput(fragments int) func(*testing.T, kit.File, string, string, string) {
	return func(t *testing.T, file kit.File, folder, _, out string) {
		t.Helper()
		pixels := file.Element(pixelData).Value.([]byte)
		picture, coded := filepath.Join(folder, "in.pgm"), filepath.Join(folder, "out.j2c")
		var pgm bytes.Buffer
		fmt.Fprintf(&pgm, "P5\n48 40\n4095\n")
		for at := 0; at < len(pixels); at += 2 {
			pgm.Write(binary.BigEndian.AppendUint16(nil, binary.LittleEndian.Uint16(pixels[at:])))
		}
		if err := os.WriteFile(picture, pgm.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		by("ojph_compress", "-reversible", "true", "-i", picture)(t, file, folder, "-o", coded)
		stream, err := os.ReadFile(coded)
		if err != nil {
			t.Fatal(err)
		}
		if len(stream)%2 == 1 {
			stream = append(stream, 0)
		}
		size := (len(stream)/fragments + 1) &^ 1
		var value kit.Fragments
		for part := range slices.Chunk(stream, size) {
			value = append(value, part)
		}
		data := kit.EncodeFile("1.2.840.10008.1.2.4.201", file.With(kit.Element{Tag: pixelData, VR: "OB", Value: value}))
		if err := os.WriteFile(out, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A T1 series in every lossless syntax is the same study, slice by slice, as the
// uncompressed one.
func TestSeriesInEverySyntax(t *testing.T) {
	encoders := []encoder{
		{"dcmcjpeg", "dcmtk", by("dcmcjpeg", "+e1")},
		{"dcmcjpeg", "dcmtk", by("dcmcjpeg", "+el", "+sv", "6")},
		{"dcmcjpls", "dcmtk", by("dcmcjpls", "+el")},
		{"dcmcrle", "dcmtk", by("dcmcrle")},
		{"gdcmconv", "libgdcm-tools", by("gdcmconv", "--jpeg")},
		{"gdcmconv", "libgdcm-tools", by("gdcmconv", "--j2k")},
		{"ojph_compress", "openjph-tools", highThroughput(1)},
		{"ojph_compress", "openjph-tools", highThroughput(3)},
	}
	images := kit.Heads(4, 40, 48)
	for i := range images {
		images[i].Bits = 12
		images[i].Slope, images[i].Intercept = 2, -7
	}
	files := kit.Study{Series: []kit.Series{{Images: images}}}.Files()
	plain := t.TempDir()
	if err := kit.WriteFiles(plain, files); err != nil {
		t.Fatal(err)
	}
	want, _ := slicesOf(t, open(t, dicomio.Options{}, plain))
	if len(want) != len(images) {
		t.Fatalf("read %d slices of %d", len(want), len(images))
	}
	for i, e := range encoders {
		t.Run(fmt.Sprintf("%d_%s", i, e.name), func(t *testing.T) {
			if _, err := exec.LookPath(e.name); err != nil {
				t.Skipf("%s is not installed (Debian package %s)", e.name, e.pack)
			}
			folder, work := t.TempDir(), t.TempDir()
			for _, file := range files {
				e.run(t, file, work, filepath.Join(plain, file.Name), filepath.Join(folder, filepath.Base(file.Name)))
			}
			study := open(t, dicomio.Options{}, folder)
			if series := study.Study().Series; len(series) != 1 || !series[0].Eligible || !series[0].Complete {
				t.Fatalf("series %+v", series)
			}
			got, refused := slicesOf(t, study)
			if len(got) != len(want) || len(refused) != 0 {
				t.Fatalf("read %d slices of %d, refused %v", len(got), len(want), refused)
			}
			for n := range got {
				if !slices.Equal(got[n].Pixels, want[n].Pixels) {
					t.Errorf("slice %d differs", n)
				}
			}
		})
	}
}

// What a decoder does not read is unsupported; what it cannot read is corrupt.
func TestCodecFaults(t *testing.T) {
	file := kit.Study{Series: []kit.Series{{Images: kit.Heads(1, 8, 8)}}}.Files()[0]
	progressive := []byte{0xFF, 0xD8, 0xFF, 0xC2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0, 0}
	cases := []struct {
		name, syntax string
		frame        []byte
		want         neurotriage.Reason
	}{
		{"progressive jpeg", "1.2.840.10008.1.2.4.50", progressive, neurotriage.UnsupportedImage},
		{"no jpeg", "1.2.840.10008.1.2.4.70", []byte("noise!"), neurotriage.CorruptDICOM},
		{"no jpeg-ls", "1.2.840.10008.1.2.4.80", []byte("noise!"), neurotriage.CorruptDICOM},
		{"no jpeg 2000", "1.2.840.10008.1.2.4.91", []byte("noise!"), neurotriage.CorruptDICOM},
		{"no high throughput", "1.2.840.10008.1.2.4.203", []byte("noise!"), neurotriage.CorruptDICOM},
	}
	for _, c := range cases {
		data := kit.EncodeFile(c.syntax, file.With(kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{c.frame}}))
		if _, err := dicomio.ReadSlice(bytes.NewReader(data), dicomio.Limits{}); reason(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}
