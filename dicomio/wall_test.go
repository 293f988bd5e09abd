package dicomio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// slice is a small sound file that the cases below damage.
func sound() kit.File {
	return kit.Study{Series: []kit.Series{{Images: kit.Heads(1, 16, 12)}}}.Files()[0]
}

const pixelData = 0x7FE00010

// spliced writes raw bytes between the headers and the pixel data of a file.
func spliced(syntax string, raw []byte) []byte {
	f := sound()
	var headers []kit.Element
	for _, e := range f.Elements {
		if e.Tag != pixelData {
			headers = append(headers, e)
		}
	}
	out := kit.EncodeFile(syntax, headers)
	out = append(out, raw...)
	return append(out, kit.EncodeDataSet(syntax, []kit.Element{f.Element(pixelData)})...)
}

// replaced writes a file with some elements changed.
func replaced(elements ...kit.Element) []byte {
	return kit.EncodeFile(kit.ExplicitLittle, sound().With(elements...))
}

// head is an explicit little endian element head with a 32-bit length.
func longHead(tag uint32, vr string, length uint32) []byte {
	out := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	out = binary.LittleEndian.AppendUint16(out, uint16(tag))
	out = append(out, vr[0], vr[1], 0, 0)
	return binary.LittleEndian.AppendUint32(out, length)
}

func mark(tag, length uint32) []byte {
	out := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	out = binary.LittleEndian.AppendUint16(out, uint16(tag))
	return binary.LittleEndian.AppendUint32(out, length)
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// nested is a sequence of undefined length within one within one, and so on.
func nested(levels int) []byte {
	open := joined(longHead(0x00081140, "SQ", 0xFFFFFFFF), mark(0xFFFEE000, 0xFFFFFFFF))
	shut := joined(mark(0xFFFEE00D, 0), mark(0xFFFEE0DD, 0))
	return append(bytes.Repeat(open, levels), bytes.Repeat(shut, levels)...)
}

// nestedInReportedSequence nests below a sequence that the parser gets to see.
func nestedInReportedSequence(levels int) []byte {
	return joined(longHead(0x00180012, "SQ", 0xFFFFFFFF), mark(0xFFFEE000, 0xFFFFFFFF), nested(levels),
		mark(0xFFFEE00D, 0), mark(0xFFFEE0DD, 0))
}

const read neurotriage.Reason = "no error"

// Each of these killed, hung or misled the parser when it saw the bytes itself.
func TestWall(t *testing.T) {
	whole := sound().Data
	cases := []struct {
		name string
		file []byte
		want neurotriage.Reason
	}{
		{"sound", whole, read},
		{"600,000 nested sequences", spliced(kit.ExplicitLittle, nested(600_000)), neurotriage.CorruptDICOM},
		{"nesting within the limit", spliced(kit.ExplicitLittle, nested(60)), read},
		{"nesting that is handed on", spliced(kit.ExplicitLittle, nestedInReportedSequence(60)), read},
		{"nesting that is handed on, too deep", spliced(kit.ExplicitLittle, nestedInReportedSequence(70)), neurotriage.CorruptDICOM},
		{"OB of 4 GB in a small file", spliced(kit.ExplicitLittle, longHead(0x00420011, "OB", 0xFFFFFFF0)), neurotriage.CorruptDICOM},
		{"UT of 4 GB in a small file", spliced(kit.ExplicitLittle, longHead(0x00080119, "UC", 0xFFFFFFF0)), neurotriage.CorruptDICOM},
		{"pixel data of 4 GB in a small file", append(kit.EncodeFile(kit.ExplicitLittle, sound().Elements[:20]), longHead(pixelData, "OW", 0xFFFFFFF0)...), neurotriage.CorruptDICOM},
		{"no rows and 20 million frames", replaced(kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{0}}, kit.Element{Tag: 0x00280008, VR: "IS", Value: "20000000"}), neurotriage.UnsupportedImage},
		{"no rows", replaced(kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{0}}), neurotriage.CorruptDICOM},
		{"empty rows", replaced(kit.Element{Tag: 0x00280010, VR: "US", Value: []byte{}}), neurotriage.CorruptDICOM},
		{"minus one frame", replaced(kit.Element{Tag: 0x00280008, VR: "IS", Value: "-1"}), neurotriage.CorruptDICOM},
		{"rows that overflow", replaced(kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{65535}}, kit.Element{Tag: 0x00280011, VR: "US", Value: []uint16{65535}}), neurotriage.TooLarge},
		{"cut within the preamble", whole[:100], neurotriage.NotDICOM},
		{"cut after the magic word", whole[:132], neurotriage.CorruptDICOM},
		{"cut within the headers", whole[:700], neurotriage.CorruptDICOM},
		{"cut within the pixels", whole[:len(whole)-1], neurotriage.CorruptDICOM},
		{"unknown syntax JPEG XL", kit.EncodeFile("1.2.840.10008.1.2.4.110", sound().Elements), neurotriage.UnsupportedTransferSyntax},
		{"a syntax nobody knows", kit.EncodeFile("1.2.3.4", sound().Elements), neurotriage.UnsupportedTransferSyntax},
		{"transfer syntax stored as a number", bytes.Replace(whole, []byte("\x02\x00\x10\x00UI"), []byte("\x02\x00\x10\x00US"), 1), read},
		{"frames of no rows in an enhanced image", kit.EncodeFile(kit.ExplicitLittle, kit.Study{Series: []kit.Series{{Enhanced: true, Images: kit.Heads(1, 16, 12)}}}.Files()[0].With(
			kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{0}})), neurotriage.CorruptDICOM},
		{"OV", spliced(kit.ExplicitLittle, joined(longHead(0x7FE00001, "OV", 8), make([]byte, 8))), read},
		{"SV", spliced(kit.ExplicitLittle, joined(longHead(0x00720082, "SV", 8), make([]byte, 8))), read},
		{"UV", spliced(kit.ExplicitLittle, joined(longHead(0x00720083, "UV", 8), make([]byte, 8))), read},
		{"a VR of a later edition", spliced(kit.ExplicitLittle, joined(longHead(0x00720084, "ZZ", 4), make([]byte, 4))), read},
		{"no VR at all", spliced(kit.ExplicitLittle, joined(longHead(0x00720084, "\x01\x02", 4), make([]byte, 4))), neurotriage.CorruptDICOM},
		{"UN of undefined length with implicit content", spliced(kit.ExplicitLittle, joined(longHead(0x00091001, "UN", 0xFFFFFFFF),
			mark(0xFFFEE000, 0xFFFFFFFF), mark(0x00080100, 4), []byte("ABCD"), mark(0xFFFEE00D, 0), mark(0xFFFEE0DD, 0))), read},
		{"text of undefined length", spliced(kit.ExplicitLittle, longHead(0x00080119, "UT", 0xFFFFFFFF)), neurotriage.CorruptDICOM},
		{"an item outside of a sequence", spliced(kit.ExplicitLittle, mark(0xFFFEE000, 0)), neurotriage.CorruptDICOM},
		{"a sequence that holds no items", spliced(kit.ExplicitLittle, joined(longHead(0x00081140, "SQ", 0xFFFFFFFF), longHead(0x00080119, "UT", 0))), neurotriage.CorruptDICOM},
		{"an item that leaves its sequence", spliced(kit.ExplicitLittle, joined(longHead(0x00180012, "SQ", 16), mark(0xFFFEE000, 64), make([]byte, 64))), neurotriage.CorruptDICOM},
		{"Thai", replaced(kit.Element{Tag: 0x00080005, VR: "CS", Value: "ISO_IR 166"}), read},
		{"a character set that nobody knows", replaced(kit.Element{Tag: 0x00080005, VR: "CS", Value: "KLINGON"}), read},
		{"a character set that is a number", replaced(kit.Element{Tag: 0x00080005, VR: "US", Value: []uint16{192}}), read},
		{"numbers of odd length", replaced(kit.Element{Tag: 0x00280120, VR: "US", Value: []byte{1, 2, 3}}), read},
		{"a huge private value", spliced(kit.ExplicitLittle, joined(longHead(0x00291010, "OB", 1<<20), make([]byte, 1<<20))), read},
		{"an icon with encapsulated pixels", spliced(kit.ExplicitLittle, joined(longHead(0x00880200, "SQ", 0xFFFFFFFF), mark(0xFFFEE000, 0xFFFFFFFF),
			longHead(pixelData, "OB", 0xFFFFFFFF), mark(0xFFFEE000, 0), mark(0xFFFEE000, 4), []byte("ABCD"), mark(0xFFFEE0DD, 0),
			mark(0xFFFEE00D, 0), mark(0xFFFEE0DD, 0))), read},
		{"rescale slope that is no number", replaced(kit.Element{Tag: 0x00281053, VR: "DS", Value: "NaN"}), neurotriage.CorruptDICOM},
		{"rescale slope zero", replaced(kit.Element{Tag: 0x00281053, VR: "DS", Value: "0"}), neurotriage.CorruptDICOM},
		{"twelve bits in eight", replaced(kit.Element{Tag: 0x00280100, VR: "US", Value: []uint16{8}}), neurotriage.CorruptDICOM},
		{"an image in bits", replaced(kit.Element{Tag: 0x00280100, VR: "US", Value: []uint16{1}}), neurotriage.UnsupportedImage},
		{"colour", replaced(kit.Element{Tag: 0x00280002, VR: "US", Value: []uint16{3}}, kit.Element{Tag: 0x00280004, VR: "CS", Value: "RGB"}), neurotriage.UnsupportedImage},
		{"more rows than pixels", replaced(kit.Element{Tag: 0x00280010, VR: "US", Value: []uint16{17}}), neurotriage.CorruptDICOM},
		{"a text file", []byte(strings.Repeat("not dicom at all ", 40)), neurotriage.NotDICOM},
		{"nothing", nil, neurotriage.NotDICOM},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := allocated()
			slice, err := dicomio.ReadSlice(bytes.NewReader(c.file), dicomio.Limits{})
			if got := reason(err); got != c.want {
				t.Errorf("got %v (%v), want %v", got, err, c.want)
			}
			if grown, limit := allocated()-before, 8*uint64(len(c.file))+4<<20; grown > limit {
				t.Errorf("allocated %d bytes for a file of %d", grown, len(c.file))
			}
			if err == nil && len(slice.Pixels) != 16*12 {
				t.Errorf("got %d pixels", len(slice.Pixels))
			}
		})
	}
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// A file may be cut anywhere: it is refused, or is not DICOM, and never read.
func TestWallCutAnywhere(t *testing.T) {
	for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.ExplicitBig, kit.RLE, kit.Deflated} {
		series := kit.Series{Images: kit.Heads(1, 8, 6), Syntax: syntax}
		whole := kit.Study{Series: []kit.Series{series}}.Files()[0].Data
		if _, err := dicomio.ReadSlice(bytes.NewReader(whole), dicomio.Limits{}); err != nil {
			t.Fatalf("%s: the whole file: %v", syntax, err)
		}
		end := len(whole)
		if syntax == kit.RLE {
			end -= 8 // the last delimiter may be missing in the cut below, which is noticed too
		}
		if syntax == kit.Deflated {
			end -= 4 // the last bytes hold the end of the stream and padding
		}
		for n := range end {
			_, err := dicomio.ReadSlice(bytes.NewReader(whole[:n]), dicomio.Limits{})
			if got := reason(err); got != neurotriage.CorruptDICOM && got != neurotriage.NotDICOM {
				t.Fatalf("%s cut at byte %d of %d: got %v (%v)", syntax, n, len(whole), got, err)
			}
		}
	}
}

// Deflated data sets are inflated within the limit only.
func TestWallDeflatedBomb(t *testing.T) {
	f := sound()
	bomb := kit.EncodeFile(kit.Deflated, f.With(
		kit.Element{Tag: 0x00420011, VR: "OB", Value: make([]byte, 32<<20)}))
	before := allocated()
	_, err := dicomio.ReadSlice(bytes.NewReader(bomb), dicomio.Limits{FileBytes: 1 << 20})
	if reason(err) != neurotriage.TooLarge {
		t.Errorf("got %v", err)
	}
	if grown := allocated() - before; grown > 4<<20 {
		t.Errorf("allocated %d bytes", grown)
	}
}

func TestWallLimits(t *testing.T) {
	file := sound().Data
	cases := []struct {
		name   string
		limits dicomio.Limits
	}{
		{"file", dicomio.Limits{FileBytes: 500}},
		{"headers", dicomio.Limits{HeaderBytes: 100}},
		{"frame", dicomio.Limits{FramePixels: 100}},
	}
	for _, c := range cases {
		if _, err := dicomio.ReadSlice(bytes.NewReader(file), c.limits); reason(err) != neurotriage.TooLarge {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// Files without preamble, and with a file meta group that is missing or wrong.
func TestWallTolerates(t *testing.T) {
	f := sound()
	mislabelled := kit.EncodeFile(kit.ExplicitLittle, f.Elements)
	at := bytes.Index(mislabelled, []byte(kit.ExplicitLittle+"\x00"))
	copy(mislabelled[at:], kit.ImplicitLittle+"\x00\x00\x00")
	cases := []struct {
		name string
		file []byte
	}{
		{"no preamble, explicit", kit.EncodeDataSet(kit.ExplicitLittle, f.Elements)},
		{"no preamble, implicit", kit.EncodeDataSet(kit.ImplicitLittle, f.Elements)},
		{"no preamble, file meta", f.Data[132:]},
		{"explicit, called implicit", mislabelled},
		{"trailing bytes", append(bytes.Clone(f.Data), "trailing"...)},
	}
	want, err := dicomio.ReadSlice(bytes.NewReader(f.Data), dicomio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		got, err := dicomio.ReadSlice(bytes.NewReader(c.file), dicomio.Limits{})
		if err != nil || got.SOPInstanceUID != want.SOPInstanceUID || len(got.Pixels) != len(want.Pixels) || got.Pixels[100] != want.Pixels[100] {
			t.Errorf("%s: %v %+v", c.name, err, got.SOPInstanceUID)
		}
	}
}

// A reader that fails is no fault of the file.
func TestReadSliceReportsItsReader(t *testing.T) {
	broken := errors.New("cable unplugged")
	_, err := dicomio.ReadSlice(io.MultiReader(bytes.NewReader(sound().Data[:300]), failing{broken}), dicomio.Limits{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Items without content grow on their way through the wall: they are bounded too.
func TestWallEmptyItems(t *testing.T) {
	flood := joined(longHead(0x00180012, "SQ", 0xFFFFFFFF), bytes.Repeat(mark(0xFFFEE000, 0), 100_000), mark(0xFFFEE0DD, 0))
	_, err := dicomio.ReadSlice(bytes.NewReader(spliced(kit.ExplicitLittle, flood)), dicomio.Limits{HeaderBytes: 64 << 10})
	if reason(err) != neurotriage.TooLarge {
		t.Errorf("got %v", err)
	}
}

// Of most sequences the first item is all that is read: a flood of them is refused.
func TestWallManyItems(t *testing.T) {
	flood := func(n int) []byte {
		return spliced(kit.ExplicitLittle, joined(longHead(0x00180012, "SQ", 0xFFFFFFFF), bytes.Repeat(mark(0xFFFEE000, 0), n), mark(0xFFFEE0DD, 0)))
	}
	if _, err := dicomio.ReadSlice(bytes.NewReader(flood(1<<15)), dicomio.Limits{}); err != nil {
		t.Errorf("32,768 items: %v", err)
	}
	if _, err := dicomio.ReadSlice(bytes.NewReader(flood(1<<15+1)), dicomio.Limits{}); reason(err) != neurotriage.TooLarge {
		t.Errorf("one more: got %v", err)
	}
}
