package jpeg_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"neurotriage/dicomio/codec"
	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpeg"
)

func TestRestartIntervals(t *testing.T) {
	for _, rows := range []int{1, 2, 5, 100} {
		p := peer.Make(peer.Noise, 21, 33, 12, false)
		wantExact(t, p, p.LosslessJPEG(rows))
	}
}

// TestEveryDepth: 2 to 16 bits, signed samples extended from BitsStored.
func TestEveryDepth(t *testing.T) {
	for bits := 2; bits <= 16; bits++ {
		for _, signed := range []bool{false, true} {
			p := peer.Make(peer.Noise, 9, 14, bits, signed)
			wantExact(t, p, p.LosslessJPEG(0))
		}
	}
}

// TestPrecisionBelowBitsStored: the sign of a signed sample then stands in the
// highest coded bit.
func TestPrecisionBelowBitsStored(t *testing.T) {
	p := peer.Make(peer.Noise, 9, 14, 12, true)
	f := p.Frame()
	f.BitsStored = 16
	got := make([]byte, f.Bytes())
	if err := jpeg.Decode(got, p.LosslessJPEG(0), f); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, p.Native()) {
		t.Error("samples were not extended from 12 bits")
	}
}

// TestMissingEnd: a codestream without EOI whose samples are all there is whole.
func TestMissingEnd(t *testing.T) {
	p := peer.Make(peer.Head, 21, 33, 12, false)
	coded := p.LosslessJPEG(0)
	wantExact(t, p, coded[:len(coded)-2])
	wantExact(t, p, append(coded, 0, 0, 0))
}

func TestRefuses(t *testing.T) {
	p := peer.Make(peer.Head, 21, 33, 12, false)
	good := p.LosslessJPEG(4)
	sof, scan := bytes.Index(good, []byte{0xFF, 0xC3}), bytes.Index(good, []byte{0xFF, 0xDA})
	change := func(at int, value byte) []byte {
		bad := slices.Clone(good)
		bad[at] = value
		return bad
	}
	cases := []struct {
		name        string
		coded       []byte
		want        string
		unsupported bool
	}{
		{"empty", nil, "does not start", false},
		{"no start", good[1:], "does not start", false},
		{"only start", good[:2], "ends before its scan", false},
		{"end at once", []byte{0xFF, 0xD8, 0xFF, 0xD9}, "ends before its scan", false},
		{"length beyond the end", change(sof+2, 0xFF), "has length", false},
		{"more rows", change(sof+6, 22), "has 22 × 33 pixels, the header 21 × 33", false},
		{"65,535 columns", change(sof+7, 0xFF), "pixels, the header", false},
		{"no rows", change(sof+6, 0), "has 0 × 33", false},
		{"17 bits", change(sof+4, 17), "with 17 bits", false},
		{"three components", change(sof+9, 3), "bytes for 3 components", false},
		{"progressive", change(sof+1, 0xC2), "progressive", true},
		{"arithmetic", change(sof+1, 0xCB), "arithmetic", true},
		{"predictor 0", change(scan+7, 0), "predictor 0", false},
		{"predictor 8", change(scan+7, 8), "predictor 8", false},
		{"point transform", change(scan+9, 15), "point transform 15", false},
		{"another component", change(scan+5, 9), "component 9", false},
		{"missing table", change(scan+6, 0x30), "huffman table that is not there", false},
		{"no quantiser", change(sof+1, 0xC1), "not there", false},
		{"cut in the scan", good[:len(good)-40], "row", false},
		{"cut after the header", good[:scan+10], "row 0: the jpeg scan ends", false},
		{"wrong restart marker", bytes.Replace(good, []byte{0xFF, 0xD1}, []byte{0xFF, 0xD2}, 1), "restart marker", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := p.Frame()
			err := jpeg.Decode(make([]byte, f.Bytes()), c.coded, f)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if errors.Is(err, codec.ErrUnsupported) != c.unsupported {
				t.Errorf("error %v, unsupported %v wanted", err, c.unsupported)
			}
		})
	}
}

// TestFlippedBytes: no byte of a codestream can do more than spoil the picture.
func TestFlippedBytes(t *testing.T) {
	p := peer.Make(peer.Noise, 12, 20, 12, true)
	f := p.Frame()
	good := p.LosslessJPEG(3)
	got := make([]byte, f.Bytes())
	for at := range good {
		for _, flip := range []byte{0xFF, 0x80, 0x01} {
			bad := slices.Clone(good)
			bad[at] ^= flip
			_ = jpeg.Decode(got, bad, f)
		}
		_ = jpeg.Decode(got, good[:at], f)
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range []peer.Picture{
		peer.Make(peer.Head, 8, 9, 12, true), peer.Make(peer.Noise, 16, 16, 16, false), peer.Make(peer.Flat, 1, 1, 8, false),
	} {
		f.Add(p.LosslessJPEG(0), uint8(p.Rows), uint8(p.Columns), p.Bits > 8, p.Signed)
		f.Add(p.LosslessJPEG(1), uint8(p.Rows), uint8(p.Columns), p.Bits > 8, p.Signed)
	}
	f.Add(baselineSeed(), uint8(8), uint8(8), false, false)
	f.Fuzz(func(t *testing.T, src []byte, rows, columns uint8, wide, signed bool) {
		if len(src) > 64<<10 {
			t.Skip("larger than a seed grows to")
		}
		// The first two bytes after an SOF marker make most sizes wrong: set them right.
		for at := 0; at+9 < len(src); at++ {
			if src[at] == 0xFF && (src[at+1] == 0xC0 || src[at+1] == 0xC1 || src[at+1] == 0xC3) {
				src = slices.Clone(src)
				binary.BigEndian.PutUint16(src[at+5:], uint16(rows))
				binary.BigEndian.PutUint16(src[at+7:], uint16(columns))
				break
			}
		}
		frame := codec.Frame{Rows: int(rows), Columns: int(columns), BitsAllocated: 8, BitsStored: 8, Signed: signed}
		if wide {
			frame.BitsAllocated, frame.BitsStored = 16, 12
		}
		_ = jpeg.Decode(make([]byte, max(0, frame.Bytes())), src, frame)
	})
}

// baselineSeed is one grey baseline block: DC only.
func baselineSeed() []byte {
	out := []byte{0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0}
	out = append(out, bytes.Repeat([]byte{16}, 64)...)
	out = append(out, 0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0)
	for class := range 2 { // two codes of two bits
		out = append(out, 0xFF, 0xC4, 0, 21, byte(class<<4), 0, 2)
		out = append(out, make([]byte, 14)...)
		out = append(out, byte(0), byte(3))
	}
	return append(out, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0b01_101_000, 0xFF, 0xD9)
}

func TestBaselineSeed(t *testing.T) {
	f := codec.Frame{Rows: 8, Columns: 8, BitsAllocated: 8, BitsStored: 8}
	got := make([]byte, 64)
	if err := jpeg.Decode(got, baselineSeed(), f); err != nil {
		t.Fatal(err)
	}
	// DC difference 5 times quantiser 16, over 8, around the middle.
	if want := bytes.Repeat([]byte{128 + 10}, 64); !bytes.Equal(got, want) {
		t.Errorf("samples %v, want %v", got, want)
	}
}

func BenchmarkLossless(b *testing.B) {
	for _, kind := range []peer.Kind{peer.Head, peer.Noise} {
		b.Run(string(kind)+"_512x512_12bit", func(b *testing.B) {
			p := peer.Make(kind, 512, 512, 12, false)
			coded, f := p.LosslessJPEG(0), p.Frame()
			got := make([]byte, f.Bytes())
			b.SetBytes(int64(len(got)))
			b.ReportAllocs()
			for b.Loop() {
				if err := jpeg.Decode(got, coded, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
