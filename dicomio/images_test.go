package dicomio_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

func us(tag uint32, v uint16) kit.Element { return kit.Element{Tag: tag, VR: "US", Value: []uint16{v}} }
func cs(tag uint32, v string) kit.Element { return kit.Element{Tag: tag, VR: "CS", Value: v} }

const (
	samplesPerPixel = 0x00280002
	photometric     = 0x00280004
	planar          = 0x00280006
	bitsAllocated   = 0x00280100
	bitsStored      = 0x00280101
	highBit         = 0x00280102
	signed          = 0x00280103
)

// Which kinds of image are read is a matter of eligibility: others cost the series,
// with a reason, and not the study.
func TestKindsOfImages(t *testing.T) {
	colour := func(interpretation string) []kit.Element {
		return []kit.Element{us(samplesPerPixel, 3), cs(photometric, interpretation), us(planar, 0), us(bitsAllocated, 8), us(bitsStored, 8), us(highBit, 7),
			{Tag: pixelData, VR: "OB", Value: make([]byte, 8*8*3)}}
	}
	without := func(replacement kit.Element) []kit.Element {
		return []kit.Element{replacement, {Tag: pixelData, VR: "OW", Value: []byte{}}}
	}
	floats := kit.Element{Tag: 0x7FE00008, VR: "OF", Value: make([]byte, 8*8*4)}
	doubles := kit.Element{Tag: 0x7FE00009, VR: "OD", Value: make([]byte, 8*8*8)}
	cases := []struct {
		name     string
		elements []kit.Element
		why      string // empty: eligible
	}{
		{"MONOCHROME2", nil, ""},
		{"MONOCHROME1", []kit.Element{cs(photometric, "MONOCHROME1")}, ""},
		{"RGB", colour("RGB"), "a colour image (RGB)"},
		{"YBR_FULL", colour("YBR_FULL"), "a colour image (YBR_FULL)"},
		{"YBR_FULL_422", colour("YBR_FULL_422"), "a colour image (YBR_FULL_422)"},
		{"YBR_RCT", colour("YBR_RCT"), "a colour image (YBR_RCT)"},
		{"PALETTE COLOR", []kit.Element{cs(photometric, "PALETTE COLOR"), us(0x00281101, 256)}, "a colour image (PALETTE COLOR)"},
		{"no interpretation", []kit.Element{cs(photometric, "")}, "a colour image (no photometric interpretation)"},
		{"three grey samples", []kit.Element{us(samplesPerPixel, 3)}, "a colour image (MONOCHROME2)"},
		{"float pixels", without(floats), "floating point pixels hold computed values"},
		{"double pixels", without(doubles), "floating point pixels hold computed values"},
		{"padding values", []kit.Element{us(0x00280120, 0), us(0x00280121, 5)}, ""},
		{"an overlay", []kit.Element{us(0x60000010, 8), us(0x60000011, 8), us(0x60000100, 16), us(0x60000102, 12)}, ""},
	}
	for _, c := range cases {
		for _, enhanced := range []bool{false, true} {
			files := kit.Study{Series: []kit.Series{{Enhanced: enhanced, Images: kit.Heads(1, 8, 8)}}}.Files()
			drop := slices.ContainsFunc(c.elements, func(e kit.Element) bool { return e.Tag == floats.Tag || e.Tag == doubles.Tag })
			if files[0] = changed(files[0], c.elements...); drop {
				files[0].Elements = slices.DeleteFunc(files[0].Elements, func(e kit.Element) bool { return e.Tag == pixelData })
				files[0].Data = kit.EncodeFile(kit.ExplicitLittle, files[0].Elements)
			}
			got := opened(t, files, dicomio.Options{}).Study().Series[0]
			if got.Eligible != (c.why == "") || !strings.Contains(got.Why, c.why) {
				t.Errorf("%s, enhanced %v: eligible %v: %s", c.name, enhanced, got.Eligible, got.Why)
			}
		}
	}
}

// What stands about the pixels may be wrong or missing without making them so.
func TestPixelOddities(t *testing.T) {
	words := func(values ...uint16) []byte {
		var out []byte
		for _, v := range values {
			out = binary.LittleEndian.AppendUint16(out, v)
		}
		return out
	}
	row := func(value []byte, bits uint16, more ...kit.Element) []kit.Element {
		return append([]kit.Element{us(0x00280010, 1), us(0x00280011, 3), us(bitsAllocated, bits), us(bitsStored, bits), us(highBit, bits-1),
			{Tag: pixelData, VR: "OW", Value: value}}, more...)
	}
	empty := func(tag uint32) kit.Element { return kit.Element{Tag: tag, VR: "US", Value: []byte{}} }
	cases := []struct {
		name     string
		elements []kit.Element
		want     []float32 // empty: refused as corrupt
	}{
		{"as it should be", row(words(1, 2, 3), 16), []float32{1, 2, 3}},
		{"an odd length, without padding", row([]byte{1, 2, 3}, 8), []float32{1, 2, 3}},
		{"trailing bytes", row(append(words(1, 2, 3), make([]byte, 99)...), 16), []float32{1, 2, 3}},
		{"one byte too few", row(words(1, 2, 3)[:5], 16), nil},
		{"no bits stored", row(words(1, 2, 0xFFFF), 16, empty(bitsStored), empty(highBit)), []float32{1, 2, 65535}},
		{"no bits stored, signed", row(words(1, 2, 0xFFFF), 16, empty(bitsStored), empty(highBit), us(signed, 1)), []float32{1, 2, -1}},
		{"no high bit", row(words(0xF001, 2, 3), 16, us(bitsStored, 12), empty(highBit)), []float32{1, 2, 3}},
		{"a high bit below the bits stored", row(words(1, 2, 0x8003), 16, us(highBit, 7)), []float32{1, 2, 0x8003}},
		{"a high bit of zero", row(words(1, 2, 0xF003), 16, us(bitsStored, 12), us(highBit, 0)), []float32{1, 2, 3}},
		{"values in the high bits", row(words(0x0010, 0x0020, 0x7FF0), 16, us(bitsStored, 12), us(highBit, 15)), []float32{1, 2, 0x7FF}},
		{"values in the middle, overlays on both sides", row(words(0xC014, 0x0028, 0x4FFC), 16, us(bitsStored, 10), us(highBit, 11)), []float32{5, 10, 1023}},
		{"signed twelve bits with rubbish above", row(words(0x7801, 0x0FFF, 0xF7FF), 16, us(bitsStored, 12), us(highBit, 11), us(signed, 1)), []float32{-2047, -1, 2047}},
		{"signed twelve bits, sign-extended", row(words(0xF801, 0xFFFF, 0x07FF), 16, us(bitsStored, 12), us(highBit, 11), us(signed, 1)), []float32{-2047, -1, 2047}},
		{"one bit of eight", row([]byte{1, 0xFE, 3}, 8, us(bitsStored, 1), us(highBit, 0)), []float32{1, 0, 1}},
		{"a high bit beyond those allocated", row([]byte{1, 2, 3}, 8, us(highBit, 15)), nil},
		{"more bits stored than allocated", row([]byte{1, 2, 3}, 8, us(bitsStored, 12), us(highBit, 11)), nil},
		{"no samples per pixel", row(words(1, 2, 3), 16, empty(samplesPerPixel)), []float32{1, 2, 3}},
		{"no pixel representation", row(words(1, 2, 0xFFFF), 16, empty(signed)), []float32{1, 2, 65535}},
		{"a window of no width", row(words(1, 2, 3), 16, ds(0x00281050, "0"), ds(0x00281051, "0")), []float32{1, 2, 3}},
		{"MONOCHROME1", row(words(1, 2, 3), 16, cs(photometric, "MONOCHROME1"), us(bitsStored, 2), us(highBit, 1)), []float32{2, 1, 0}},
		{"MONOCHROME1, rescaled", row(words(1, 2, 3), 16, cs(photometric, "MONOCHROME1"), us(bitsStored, 2), us(highBit, 1), ds(0x00281053, "2"), ds(0x00281052, "10")), []float32{14, 12, 10}},
		{"MONOCHROME1, padded", row(words(1, 2, 3), 16, cs(photometric, "MONOCHROME1"), us(bitsStored, 2), us(highBit, 1), us(0x00280120, 1)), []float32{0, 1, 0}},
	}
	f := sound()
	for _, c := range cases {
		for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle} {
			slice, err := dicomio.ReadSlice(bytes.NewReader(kit.EncodeFile(syntax, f.With(c.elements...))), dicomio.Limits{})
			if len(c.want) == 0 {
				if reason(err) != neurotriage.CorruptDICOM {
					t.Errorf("%s: got %v, %v", c.name, slice.Pixels, err)
				}
			} else if err != nil || !slices.Equal(slice.Pixels, c.want) {
				t.Errorf("%s, %s: got %v, %v", c.name, syntax, slice.Pixels, err)
			}
		}
	}
}
