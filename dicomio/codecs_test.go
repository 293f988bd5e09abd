package dicomio_test

import (
	"bytes"
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

// coder makes a series in one transfer syntax of an uncompressed one.
type coder struct {
	syntax, name string
	program      string // that must be there; empty: the kit does it
	pack         string // its Debian package
	bits         int
	encode       func(t *testing.T, c coded)
	decode       func(t *testing.T, c coded) // what comes out of a lossy coding, uncompressed; nil where it is lossless
}

// coded is one file of a series on its way.
type coded struct {
	file    kit.File
	folder  string // for what is made on the way
	in, out string
}

// by runs a program of the form "program options… in out".
func by(program string, options ...string) func(*testing.T, coded) {
	return func(t *testing.T, c coded) {
		t.Helper()
		if text, err := exec.CommandContext(t.Context(), program, append(options, c.in, c.out)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", program, err, text)
		}
	}
}

// kept writes the file in another syntax by the kit's own hands.
func kept(syntax string, pixels func(native []byte) any) func(*testing.T, coded) {
	return func(t *testing.T, c coded) {
		t.Helper()
		element := c.file.Element(pixelData)
		if pixels != nil {
			element = kit.Element{Tag: pixelData, VR: "OB", Value: pixels(element.Value.([]byte))}
		}
		write(t, c.out, kit.EncodeFile(syntax, c.file.With(element)))
	}
}

// The pictures that go through OpenJPH are this large.
const pictureRows, pictureColumns = 40, 48

// highThroughput wraps what OpenJPH makes of the pixels, in a number of fragments.
func highThroughput(syntax string, fragments int, options ...string) func(*testing.T, coded) {
	return func(t *testing.T, c coded) {
		t.Helper()
		picture, stream := filepath.Join(c.folder, "in.pgm"), filepath.Join(c.folder, "coded.j2c")
		pgm := fmt.Appendf(nil, "P5\n%d %d\n4095\n", pictureColumns, pictureRows)
		for pixel := range slices.Chunk(c.file.Element(pixelData).Value.([]byte), 2) {
			pgm = append(pgm, pixel[1], pixel[0])
		}
		write(t, picture, pgm)
		by("ojph_compress", append(options, "-i", picture)...)(t, coded{in: "-o", out: stream})
		data := contents(t, stream)
		data = append(data, make([]byte, len(data)%2)...)
		var value kit.Fragments
		for part := range slices.Chunk(data, (len(data)/fragments+1)&^1) {
			value = append(value, part)
		}
		write(t, c.out, kit.EncodeFile(syntax, c.file.With(kit.Element{Tag: pixelData, VR: "OB", Value: value})))
	}
}

// expanded is what OpenJPH makes of its own codestream, uncompressed.
func expanded(t *testing.T, c coded) {
	t.Helper()
	picture := filepath.Join(c.folder, "out.pgm")
	by("ojph_expand", "-i", filepath.Join(c.folder, "coded.j2c"))(t, coded{in: "-o", out: picture})
	pgm := contents(t, picture)
	pixels := slices.Clone(pgm[len(pgm)-2*pictureRows*pictureColumns:])
	for pixel := range slices.Chunk(pixels, 2) {
		pixel[0], pixel[1] = pixel[1], pixel[0]
	}
	write(t, c.out, kit.EncodeFile(kit.ExplicitLittle, c.file.With(kit.Element{Tag: pixelData, VR: "OW", Value: pixels})))
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func coders() []coder {
	const jpeg = "1.2.840.10008.1.2.4."
	one := func(native []byte) any { return kit.Fragments{native} }
	dcmtk, gdcm, ojph := "dcmtk", "libgdcm-tools", "openjph-tools"
	unpacked := by("dcmdjpeg")
	return []coder{
		{syntax: kit.ImplicitLittle, name: "implicit", bits: 12, encode: kept(kit.ImplicitLittle, nil)},
		{syntax: kit.ExplicitBig, name: "big endian", bits: 12, encode: by("dcmconv", "+tb"), program: "dcmconv", pack: dcmtk},
		{syntax: kit.Deflated, name: "deflated", bits: 12, encode: by("dcmconv", "+td"), program: "dcmconv", pack: dcmtk},
		{syntax: jpeg[:18] + "1.98", name: "encapsulated uncompressed", bits: 12, encode: kept(jpeg[:18]+"1.98", one)},
		{syntax: kit.RLE, name: "RLE", bits: 12, encode: by("dcmcrle"), program: "dcmcrle", pack: dcmtk},
		{syntax: jpeg + "50", name: "JPEG baseline", bits: 8, encode: by("dcmcjpeg", "+eb"), decode: unpacked, program: "dcmcjpeg", pack: dcmtk},
		{syntax: jpeg + "51", name: "JPEG extended", bits: 12, encode: by("dcmcjpeg", "+ee"), decode: unpacked, program: "dcmcjpeg", pack: dcmtk},
		{syntax: jpeg + "57", name: "JPEG lossless", bits: 12, encode: by("dcmcjpeg", "+el", "+sv", "6"), program: "dcmcjpeg", pack: dcmtk},
		{syntax: jpeg + "70", name: "JPEG lossless, selection 1", bits: 12, encode: by("dcmcjpeg", "+e1"), program: "dcmcjpeg", pack: dcmtk},
		{syntax: jpeg + "70", name: "JPEG lossless by gdcm", bits: 12, encode: by("gdcmconv", "--jpeg"), program: "gdcmconv", pack: gdcm},
		{syntax: jpeg + "80", name: "JPEG-LS", bits: 12, encode: by("dcmcjpls", "+el"), program: "dcmcjpls", pack: dcmtk},
		{syntax: jpeg + "81", name: "JPEG-LS near-lossless", bits: 12, encode: by("dcmcjpls", "+en", "+md", "2"), decode: by("dcmdjpls"), program: "dcmcjpls", pack: dcmtk},
		{syntax: jpeg + "90", name: "JPEG 2000 lossless", bits: 12, encode: by("gdcmconv", "--j2k"), program: "gdcmconv", pack: gdcm},
		{syntax: jpeg + "91", name: "JPEG 2000", bits: 12, encode: by("gdcmconv", "--lossy", "--j2k", "-r", "20"), decode: by("gdcmconv", "--raw"), program: "gdcmconv", pack: gdcm},
		{syntax: jpeg + "201", name: "HTJ2K lossless", bits: 12, encode: highThroughput(jpeg+"201", 1, "-reversible", "true"), program: "ojph_compress", pack: ojph},
		{syntax: jpeg + "201", name: "HTJ2K lossless in fragments", bits: 12, encode: highThroughput(jpeg+"201", 3, "-reversible", "true"), program: "ojph_compress", pack: ojph},
		{syntax: jpeg + "202", name: "HTJ2K lossless, RPCL", bits: 12, encode: highThroughput(jpeg+"202", 1, "-reversible", "true", "-prog_order", "RPCL"), program: "ojph_compress", pack: ojph},
		{syntax: jpeg + "203", name: "HTJ2K", bits: 12, encode: highThroughput(jpeg+"203", 1, "-qstep", "0.001"), decode: expanded, program: "ojph_compress", pack: ojph},
	}
}

// A T1 series in every transfer syntax is the same study, slice by slice, as the
// uncompressed one: exactly where the coding is lossless, and within one grey level
// of the other program's decoder where it is not.
func TestSeriesInEverySyntax(t *testing.T) {
	seen := map[string]bool{kit.ExplicitLittle: true} // what the others are compared with
	for _, c := range coders() {
		seen[c.syntax] = true
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); c.program != "" && err != nil {
				t.Skipf("%s is not installed (Debian package %s)", c.program, c.pack)
			}
			images := kit.Heads(4, pictureRows, pictureColumns)
			for i := range images {
				images[i].Bits = c.bits
				images[i].Slope, images[i].Intercept = 2, -7
				for p := range images[i].Stored {
					images[i].Stored[p] &= 1<<c.bits - 1
				}
			}
			files := kit.Study{Series: []kit.Series{{Images: images}}}.Files()
			plain, folder, work := t.TempDir(), t.TempDir(), t.TempDir()
			lay(t, plain, files)
			back := plain
			if c.decode != nil {
				back = t.TempDir()
			}
			for _, file := range files {
				one := coded{file: file, folder: work, in: filepath.Join(plain, file.Name), out: filepath.Join(folder, filepath.Base(file.Name))}
				if c.encode(t, one); c.decode != nil {
					c.decode(t, coded{file: file, folder: work, in: one.out, out: filepath.Join(back, filepath.Base(file.Name))})
				}
				if !bytes.Contains(contents(t, one.out), []byte(c.syntax)) {
					t.Fatalf("the file does not name transfer syntax %s", c.syntax)
				}
			}
			sameSlices(t, folder, back, c)
		})
	}
	for _, syntax := range dicomio.TransferSyntaxes() {
		if syntax.Read && !seen[syntax.UID] {
			t.Errorf("%s (%s) is said to be read and is not tried", syntax.Name, syntax.UID)
		}
	}
}

// sameSlices compares a series with an uncompressed one.
func sameSlices(t *testing.T, folder, plain string, c coder) {
	t.Helper()
	study := open(t, dicomio.Options{}, folder)
	if series := study.Study().Series; len(series) != 1 || !series[0].Eligible || !series[0].Complete || len(series[0].Slices) != 4 {
		t.Fatalf("series %+v", series)
	}
	want, _ := slicesOf(t, open(t, dicomio.Options{}, plain))
	got, refused := slicesOf(t, study)
	if len(want) != 4 || len(got) != len(want) || len(refused) != 0 {
		t.Fatalf("read %d slices of %d, refused %v", len(got), len(want), refused)
	}
	level := float32(0)
	if c.decode != nil {
		level = 2 // one stored grey level by the slope
	}
	for n := range got {
		if got[n].Position != want[n].Position || slices.Max(got[n].Pixels) == slices.Min(got[n].Pixels) {
			t.Errorf("slice %d lies at %g or is flat", n, got[n].Position)
		}
		for p, v := range got[n].Pixels {
			if difference := v - want[n].Pixels[p]; difference > level || difference < -level {
				t.Fatalf("slice %d: pixel %d is %g, want %g", n, p, v, want[n].Pixels[p])
			}
		}
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
