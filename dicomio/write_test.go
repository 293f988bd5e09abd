package dicomio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// everyKind is a set with every kind of value, in no order.
func everyKind() Dataset {
	return Dataset{
		{0x7FE00010, "OW", []byte{1, 2, 3}},
		{0x00100010, "PN", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{0x00080018, "UI", "1.2.3"},
		{0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"},
		{0x00280010, "US", []uint16{2}},
		{0x00720075, "UL", []uint32{1, 70000}},
		{0x0040A161, "FD", []float64{0.17}},
		{0x00189219, "FL", []float32{1.5}},
		{0x0040A730, "SQ", []Dataset{
			{{0x0040A160, "UT", "Straße"}, {0x0040A040, "CS", "TEXT"}},
			{{0x0040A168, "SQ", []Dataset{{{0x00080104, "LO", "b"}, {0x00080100, "SH", "a"}}}}},
			{},
		}},
		{0x0020000D, "UI", ""},
		{0x00081140, "SQ", []Dataset{}},
	}
}

// What is written is read back by the parser, sorted and even.
func TestEncode(t *testing.T) {
	data, err := Encode(everyKind())
	if err != nil {
		t.Fatal(err)
	}
	if len(data)%2 != 0 {
		t.Errorf("%d bytes are odd", len(data))
	}
	read, err := dicom.Parse(bytes.NewReader(data), int64(len(data)), nil, dicom.SkipProcessingPixelDataValue())
	if err != nil {
		t.Fatal(err)
	}
	facts := []struct {
		tag  tag.Tag
		want string
	}{
		{tag.TransferSyntaxUID, "[1.2.840.10008.1.2.1]"},
		{tag.MediaStorageSOPClassUID, "[1.2.840.10008.5.1.4.1.1.7]"},
		{tag.MediaStorageSOPInstanceUID, "[1.2.3]"},
		{tag.ImplementationClassUID, "[" + ImplementationClassUID + "]"},
		{tag.SpecificCharacterSet, "[ISO_IR 192]"},
		{tag.PatientName, "[Yamada^Tarou=山田^太郎=やまだ^たろう]"},
		{tag.Rows, "[2]"},
		{tag.Tag{Group: 0x0040, Element: 0xA161}, "[0.17]"},
		{tag.Tag{Group: 0x0018, Element: 0x9219}, "[1.5]"},
		{tag.Tag{Group: 0x0072, Element: 0x0075}, "[1 70000]"},
	}
	for _, fact := range facts {
		el, err := read.FindElementByTag(fact.tag)
		if err != nil {
			t.Errorf("%v: %v", fact.tag, err)
		} else if got := fmt.Sprint(el.Value.GetValue()); got != fact.want {
			t.Errorf("%v: %s, want %s", fact.tag, got, fact.want)
		}
	}
	sequence, err := read.FindElementByTag(tag.ContentSequence)
	if err != nil {
		t.Fatal(err)
	}
	all := items(sequence)
	if len(all) != 3 {
		t.Fatalf("%d items, want 3", len(all))
	}
	elements, _ := all[0].GetValue().([]*dicom.Element)
	if len(elements) != 2 || elements[0].Tag.Element != 0xA040 || fmt.Sprint(elements[1].Value.GetValue()) != "[Straße]" {
		t.Errorf("the first item is %v", elements)
	}
	var last tag.Tag
	for _, el := range read.Elements {
		if el.Tag.Compare(last) < 0 {
			t.Errorf("%v stands behind %v", el.Tag, last)
		}
		last = el.Tag
	}
}

// Our own reader takes it too, and the meta group's length is right.
func TestEncodePassesTheWall(t *testing.T) {
	data, err := Encode(everyKind())
	if err != nil {
		t.Fatal(err)
	}
	v, err := vet(newInput(bytes.NewReader(data), int64(len(data))), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	a, err := read(v)
	if err != nil || a.patient.Name != "Yamada^Tarou=山田^太郎=やまだ^たろう" || a.sopUID != "1.2.3" || v.pixels.native.length != 4 {
		t.Errorf("read %+v (%v), pixels %+v", a, err, v.pixels)
	}
	length := binary.LittleEndian.Uint32(data[preambleBytes+len(magic)+8:])
	rest := data[preambleBytes+len(magic)+12+int(length):]
	if !bytes.HasPrefix(rest, []byte("\x08\x00\x05\x00CS")) {
		t.Errorf("behind the meta group stands % x", rest[:8])
	}
}

func TestEncodeIsDeterministic(t *testing.T) {
	forward, backward := everyKind(), everyKind()
	for i, j := 0, len(backward)-1; i < j; i, j = i+1, j-1 {
		backward[i], backward[j] = backward[j], backward[i]
	}
	a, errA := Encode(forward)
	b, errB := Encode(backward)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("orders of elements give different bytes (%v, %v)", errA, errB)
	}
	if forward[0].Tag != 0x7FE00010 {
		t.Error("the caller's set was sorted in place")
	}
}

func TestEncodeRefuses(t *testing.T) {
	cases := []struct {
		name string
		with Element
		want string
	}{
		{"a tag twice", Element{0x00080018, "UI", "1.2.4"}, "stands twice"},
		{"a character set of the caller's", Element{0x00080005, "CS", "ISO_IR 100"}, "stands twice"},
		{"a value of another type", Element{0x00080060, "CS", 7}, "does not fit"},
		{"text as bytes", Element{0x00080060, "CS", []byte("MR")}, "does not fit"},
		{"an unknown VR", Element{0x00080060, "XX", "MR"}, "does not fit"},
		{"a bad uid", Element{0x0020000E, "UI", "1.2.x"}, "digits and single dots"},
		{"a control character", Element{0x00081030, "LO", "a\x1b$B"}, "control"},
		{"a line feed in a line", Element{0x00081030, "LO", "a\nb"}, "control"},
		{"bytes that are no text", Element{0x00081030, "LO", "\xff\xfe"}, "UTF-8"},
		{"letters where there are none", Element{0x00080060, "CS", "Ü"}, "ASCII"},
		{"too long for its VR", Element{0x00081030, "LO", strings.Repeat("x", 1<<16)}, "too long"},
		{"deep inside", Element{0x00081115, "SQ", []Dataset{{{0x0020000E, "UI", "x"}}}}, "item 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Encode(append(everyKind(), c.with))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprintf("%04x", c.with.Tag&0xFFFF)) {
				t.Errorf("got %v, want %q and the tag", err, c.want)
			}
		})
	}
	if _, err := Encode(Dataset{{0x00080016, "UI", "1.2"}}); err == nil {
		t.Error("an object without its UID was written")
	}
}

func TestEncodeAllowsParagraphs(t *testing.T) {
	if _, err := Encode(append(everyKind(), Element{0x00204000, "LT", "one\r\ntwo"})); err != nil {
		t.Error(err)
	}
}

func BenchmarkEncode(b *testing.B) {
	set := append(everyKind(), Element{0x00091010, "OB", make([]byte, 2<<20)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(set); err != nil {
			b.Fatal(err)
		}
	}
}
