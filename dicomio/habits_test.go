package dicomio_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// csaHeader is what Siemens Numaris writes of one entry into (0029,1010): "SV10", the
// number of entries, then each with its name, five words and its items.
func csaHeader(name string, values ...string) []byte {
	word := func(out []byte, v int) []byte { return binary.LittleEndian.AppendUint32(out, uint32(v)) }
	out := word(word([]byte("SV10\x04\x03\x02\x01"), 1), 77)
	out = append(out, (name + strings.Repeat("\x00", 64-len(name)))...)
	out = append(word(out, 1), "US\x00\x00"...)
	out = word(word(word(out, 10), len(values)), 77)
	for _, v := range values {
		v += "\x00"
		out = word(word(word(word(out, 77), len(v)), 77), len(v))
		out = append(out, v...)
		out = append(out, make([]byte, -len(v)&3)...)
	}
	return out
}

// What vendors say only in private elements decides too, in files of every layout.
func TestPrivateHabits(t *testing.T) {
	mosaic := func(v uint16) []kit.Element {
		return []kit.Element{lo(0x00190010, "SIEMENS MR HEADER"), {Tag: 0x0019100A, VR: "US", Value: []uint16{v}}}
	}
	csa := func(value []byte) []kit.Element {
		return []kit.Element{lo(0x00290010, "SIEMENS CSA HEADER"), {Tag: 0x00291010, VR: "OB", Value: value}}
	}
	xa := func(block uint32, imageType string) []kit.Element {
		return []kit.Element{lo(0x00210000|block, "SIEMENS MR SDI 02"), {Tag: 0x00210000 | block<<8 | 0x75, VR: "CS", Value: imageType}}
	}
	ge := func(creator string, v int16) []kit.Element {
		return []kit.Element{lo(0x00430010, creator), {Tag: 0x0043102F, VR: "SS", Value: []int16{v, 0}}}
	}
	cases := []struct {
		name     string
		elements []kit.Element
		why      string // empty: eligible
	}{
		{"Siemens, a slice", mosaic(1), ""},
		{"Siemens, a mosaic", mosaic(35), "image type MOSAIC"},
		{"Siemens, a mosaic by its own header", csa(csaHeader("NumberOfImagesInMosaic", "35 ")), "image type MOSAIC"},
		{"Siemens, a mosaic by an entry of many", csa(csaHeader("NumberOfImagesInMosaic", "", "", "35")), "image type MOSAIC"},
		{"Siemens, a slice by its own header", csa(csaHeader("NumberOfImagesInMosaic", "1")), ""},
		{"Siemens, no such entry", csa(csaHeader("EchoTrainLength", "35")), ""},
		{"Siemens, no items", csa(csaHeader("NumberOfImagesInMosaic")), ""},
		{"Siemens, a header cut short", csa(csaHeader("NumberOfImagesInMosaic", "35")[:90]), ""},
		{"Siemens, a header cut in its item", csa(csaHeader("NumberOfImagesInMosaic", strings.Repeat("3", 40))[:130]), ""},
		{"Siemens XA, magnitude", xa(0x11, `ORIGINAL\PRIMARY\M\DIS2D`), ""},
		{"Siemens XA, a mosaic", xa(0x11, `ORIGINAL\PRIMARY\M\ND\MOSAIC`), "image type MOSAIC"},
		{"Siemens XA, phase, in another block", xa(0x12, `ORIGINAL\PRIMARY\P\ND`), "image type P"},
		{"GE, magnitude", ge("GEMS_PARM_01", 0), ""},
		{"GE, phase", ge("GEMS_PARM_01", 1), "image type P"},
		{"GE, real part", ge("GEMS_PARM_01", 2), "image type R"},
		{"GE, imaginary part", ge("GEMS_PARM_01", 3), "image type I"},
		{"GE, a number of later days", ge("GEMS_PARM_01", 77), ""},
		{"GE, a negative number", ge("GEMS_PARM_01", -2), ""},
		{"another's private number", ge("OTHER", 1), ""},
	}
	for _, c := range cases {
		for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.ExplicitBig} {
			series := kit.Series{Syntax: syntax, Images: kit.Heads(12, 8, 8), Extra: c.elements}
			got := opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{}).Study().Series[0]
			if got.Eligible != (c.why == "") || !strings.Contains(got.Why, c.why) {
				t.Errorf("%s, %s: eligible %v: %s", c.name, syntax, got.Eligible, got.Why)
			}
		}
	}
}

// Siemens XA keeps the whole image type of a frame in a private group of its own; in
// Image Type and Frame Type stand four values at most.
func TestSiemensXAFrames(t *testing.T) {
	private := func(imageType string) kit.Element {
		return kit.Macro(0x002111FE, lo(0x00210011, "SIEMENS MR SDI 02"), kit.Element{Tag: 0x00211175, VR: "CS", Value: imageType})
	}
	frames := kit.Heads(24, 8, 8)
	for n := range frames {
		frames[n].Extra = []kit.Element{at(12 * (n % 12)), private(`ORIGINAL\PRIMARY\M\ND\NORM`)}
		if n >= 12 {
			frames[n].Extra = []kit.Element{at(12 * (n % 12)), private(`ORIGINAL\PRIMARY\P\ND`)}
		}
	}
	for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle} {
		series := kit.Series{Enhanced: true, Syntax: syntax, Images: frames, Stack: kit.Stack{Between: 12}}
		got := opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{}).Study().Series[0]
		if !got.Eligible || !got.Complete || len(got.Slices) != 12 || !strings.Contains(strings.Join(got.Warnings, ";"), "12 of 24 images were left out: image type P") {
			t.Errorf("%s: eligible %v, complete %v, %d slices, %q", syntax, got.Eligible, got.Complete, len(got.Slices), got.Warnings)
		}
	}
}

// Whether something stands with each frame, with all, or at the top is the vendor's
// choice, and may change from macro to macro.
func TestGroupsMixed(t *testing.T) {
	plain := kit.Series{Enhanced: true, Images: kit.Heads(13, 12, 10)}
	want := opened(t, kit.Study{Series: []kit.Series{plain}}.Files(), dicomio.Options{})
	file := kit.Study{Series: []kit.Series{plain}}.Files()[0]
	shared := file.Element(0x52009229).Value.([]kit.Item)[0]
	frames := file.Element(0x52009230).Value.([]kit.Item)
	cases := map[string]func() (kit.Item, []kit.Item){
		"all with each frame": func() (kit.Item, []kit.Item) {
			each := slices.Clone(frames)
			for n := range each {
				each[n] = append(slices.Clone(each[n]), shared...)
			}
			return nil, each
		},
		"each frame's own goes before the shared": func() (kit.Item, []kit.Item) {
			each := slices.Clone(frames)
			for n := range each {
				each[n] = append(slices.Clone(each[n]), shared...)
			}
			wrong := slices.Clone(shared)
			wrong = append(wrong, kit.Macro(0x00209116, ds(imageOrientation, `0\1\0\0\0\-1`)), kit.Macro(0x00289110, ds(0x00280030, `9\9`)))
			return wrong, each
		},
		"macros without content with the frames": func() (kit.Item, []kit.Item) {
			each := slices.Clone(frames)
			for n := range each {
				each[n] = append(slices.Clone(each[n]), kit.Macro(0x00289110), kit.Element{Tag: 0x00209116, VR: "SQ", Value: []kit.Item{}})
			}
			return shared, each
		},
	}
	for name, mix := range cases {
		all, each := mix()
		data := kit.EncodeFile(kit.ExplicitLittle, file.With(kit.Element{Tag: 0x52009229, VR: "SQ", Value: []kit.Item{all}}, kit.Element{Tag: 0x52009230, VR: "SQ", Value: each}))
		t.Run(name, func(t *testing.T) {
			got := open(t, dicomio.Options{}, written(t, data))
			x, _ := slicesOf(t, got)
			y, _ := slicesOf(t, want)
			if a, b := got.Study().Series[0], want.Study().Series[0]; a.Complete != b.Complete || a.Why != b.Why || a.Plane != b.Plane || len(x) != len(y) {
				t.Fatalf("complete %v, %s, %s, %d slices, %q", a.Complete, a.Plane, a.Why, len(x), a.Warnings)
			}
			for n := range x {
				if x[n].Position != y[n].Position || x[n].Spacing != y[n].Spacing || !slices.Equal(x[n].Pixels, y[n].Pixels) {
					t.Errorf("slice %d differs", n)
				}
			}
		})
	}
}

// Converters write standard elements as UN when they have no dictionary: the image is
// the same.
func TestUnknownVREverywhere(t *testing.T) {
	for _, enhanced := range []bool{false, true} {
		files := kit.Study{Series: []kit.Series{{Enhanced: enhanced, Agent: "Gadovist", Images: kit.Heads(12, 8, 8)}}}.Files()
		want := opened(t, files, dicomio.Options{})
		unknown := slices.Clone(files)
		for n, file := range unknown {
			elements := slices.Clone(file.Elements)
			for i, e := range elements {
				if e.Tag == pixelData {
					continue
				}
				raw := kit.EncodeDataSet(kit.ImplicitLittle, []kit.Element{e})[8:]
				if _, sequence := e.Value.([]kit.Item); sequence {
					raw = raw[:len(raw)-8] // the delimiter of a length that is known now
				}
				elements[i] = kit.Element{Tag: e.Tag, VR: "UN", Value: raw}
			}
			unknown[n].Data = kit.EncodeFile(kit.ExplicitLittle, elements)
		}
		got := opened(t, unknown, dicomio.Options{})
		a, b := got.Study(), want.Study()
		if a.Patient.Name != b.Patient.Name || a.Series[0].Why != b.Series[0].Why || a.Series[0].Complete != b.Series[0].Complete || !slices.Equal(a.Series[0].Warnings, b.Series[0].Warnings) {
			t.Errorf("enhanced %v: %s, complete %v, %q", enhanced, a.Series[0].Why, a.Series[0].Complete, a.Series[0].Warnings)
		}
		x, _ := slicesOf(t, got)
		y, _ := slicesOf(t, want)
		if len(x) != 12 || len(y) != 12 {
			t.Fatalf("enhanced %v: %d and %d slices", enhanced, len(x), len(y))
		}
		for n := range x {
			if x[n].Position != y[n].Position || !slices.Equal(x[n].Pixels, y[n].Pixels) {
				t.Errorf("enhanced %v: slice %d differs", enhanced, n)
			}
		}
	}
}

// A private sequence that no VR tells may be anything: it is read if it can be, and
// never costs the file.
func TestUnnamedSequences(t *testing.T) {
	scale := philips{ss: 4}.private(0x10)
	sound := joined(mark(0xFFFEE000, 0xFFFFFFFF), kit.EncodeDataSet(kit.ImplicitLittle, scale), mark(0xFFFEE00D, 0))
	deep := bytes.Repeat(joined(mark(0x2005140F, 0xFFFFFFFF), mark(0xFFFEE000, 0xFFFFFFFF)), 80)
	cases := []struct {
		name    string
		content []byte
		want    float32 // of a pixel that stores 8
	}{
		{"a sequence", sound, 2},
		{"nothing", nil, 8},
		{"text", []byte("no sequence at all"), 8},
		{"a sequence that is cut", sound[:len(sound)-12], 8},
		{"an item that leaves it", joined(mark(0xFFFEE000, 1<<20), sound), 8},
		{"too deep", deep, 8},
		{"a sequence, then rubbish", append(bytes.Clone(sound), "rubbish!"...), 8},
		{"as many items as there is room for", bytes.Repeat(mark(0xFFFEE000, 0), 1000), 8},
	}
	for _, c := range cases {
		for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.ExplicitBig} {
			images := []kit.Image{kit.Grey(4, 4, func(int, int) int { return 8 }), kit.Grey(4, 4, func(int, int) int { return 8 })}
			images[0].Extra = []kit.Element{lo(0x20050014, philipsOldCreator), {Tag: 0x2005140F, VR: "UN", Value: c.content}}
			images[1].Extra = images[0].Extra
			read, refused := slicesOf(t, opened(t, kit.Study{Series: []kit.Series{{Enhanced: true, Syntax: syntax, Images: images}}}.Files(), dicomio.Options{}))
			want := c.want
			if syntax == kit.ExplicitBig { // UN is little endian there too: passed over
				want = 8
			}
			if len(read) != 2 || read[0].Pixels[0] != want {
				t.Errorf("%s, %s: read %d, refused %v, want %g", c.name, syntax, len(read), refused, want)
			}
		}
	}
}

// A mosaic of Siemens whose Image Type an archive rewrote is known all the same, and
// the XA's enhanced images come out alike after other programs wrote them anew.
func TestRealHabits(t *testing.T) {
	t.Run("mosaic", func(t *testing.T) {
		file, err := os.ReadFile(data(t, "dicom", "transfer-syntaxes", "1.dcm"))
		if err != nil {
			t.Fatal(err)
		}
		file = bytes.Replace(file, []byte(`M\ND\MOSAIC `), []byte(`M\ND\NORM   `), 1)
		file = bytes.Replace(file, []byte(`M\ND\MOSAIC`), []byte(`M\ND\NORM  `), 1)
		series := open(t, dicomio.Options{}, written(t, file)).Study().Series[0]
		if series.Eligible || !strings.Contains(series.Why, "image type MOSAIC") {
			t.Errorf("eligible %v: %s", series.Eligible, series.Why)
		}
	})
	for _, c := range [][]string{{"dcmconv", "+ti"}, {"dcmconv", "+te", "+e"}, {"dcmconv", "+tb"}, {"gdcmconv", "--implicit"}} {
		t.Run(strings.Join(c, " "), func(t *testing.T) {
			if _, err := exec.LookPath(c[0]); err != nil {
				t.Skipf("%s is missing: %v", c[0], err)
			}
			path := data(t, "dicom", "enhanced", "siemens-xa30-t1w-96f-128.dcm")
			out := filepath.Join(t.TempDir(), "out.dcm")
			if text, err := exec.CommandContext(t.Context(), c[0], append(slices.Clone(c[1:]), path, out)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			want, got := open(t, dicomio.Options{}, path), open(t, dicomio.Options{}, out)
			if a, b := got.Study().Series[0], want.Study().Series[0]; a.Sequence != neurotriage.T1 || a.Why != b.Why || !a.Complete || !slices.Equal(a.Warnings, b.Warnings) {
				t.Errorf("%s, complete %v, %s, %q", a.Sequence, a.Complete, a.Why, a.Warnings)
			}
			x, _ := slicesOf(t, got)
			y, _ := slicesOf(t, want)
			if len(x) != len(y) {
				t.Fatalf("%d slices, want %d", len(x), len(y))
			}
			for n := range x {
				if x[n].Frame != y[n].Frame || x[n].Position != y[n].Position || !slices.Equal(x[n].Pixels, y[n].Pixels) {
					t.Fatalf("slice %d differs", n)
				}
			}
		})
	}
}
