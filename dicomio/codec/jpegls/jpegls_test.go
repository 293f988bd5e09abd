package jpegls_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"neurotriage/dicomio/codec"
	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpegls"
)

// standard is the example of T.87 H.3 with its pixels.
var (
	standard = fromHex("ffd8 fff7 000b 08 0004 0004 01 011100 ffda 0008 01 0100 00 00 00" +
		"c000 006c 8020 8e01 c000 0057 4000 006e e600 0001 bc18 0000 05d8 0000 9160 ffd9")
	standardPixels = []byte{0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145}
	standardFrame  = codec.Frame{Rows: 4, Columns: 4, BitsAllocated: 8, BitsStored: 8}
)

func fromHex(s string) []byte {
	out, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return out
}

func TestExampleOfTheStandard(t *testing.T) {
	got := make([]byte, 16)
	if err := jpegls.Decode(got, standard, standardFrame); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, standardPixels) {
		t.Errorf("pixels %v, want %v", got, standardPixels)
	}
	// The default parameters written out change nothing.
	preset := slices.Concat(standard[:15], fromHex("fff8 000d 01 00ff 0003 0007 0015 0040"), standard[15:])
	clear(got)
	if err := jpegls.Decode(got, preset, standardFrame); err != nil || !bytes.Equal(got, standardPixels) {
		t.Errorf("with written parameters: error %v, pixels %v", err, got)
	}
}

// TestPrecisionBelowBitsStored: the sign stands in the highest coded bit.
func TestPrecisionBelowBitsStored(t *testing.T) {
	f := standardFrame
	f.BitsAllocated, f.BitsStored, f.Signed = 16, 12, true
	got := make([]byte, 32)
	if err := jpegls.Decode(got, standard, f); err != nil {
		t.Fatal(err)
	}
	for i, want := range standardPixels {
		if value := int16(binary.LittleEndian.Uint16(got[2*i:])); value != int16(int8(want)) {
			t.Errorf("sample %d is %d, want %d", i, value, int8(want))
		}
	}
}

func TestRefuses(t *testing.T) {
	change := func(at int, value byte) []byte {
		bad := slices.Clone(standard)
		bad[at] = value
		return bad
	}
	insert := func(segment string) []byte { return slices.Concat(standard[:15], fromHex(segment), standard[15:]) }
	cases := []struct {
		name        string
		coded       []byte
		want        string
		unsupported bool
	}{
		{"empty", nil, "does not start", false},
		{"only start", standard[:2], "ends before its scan", false},
		{"length beyond the end", change(4, 0xFF), "has length", false},
		{"more rows", change(8, 5), "has 5 × 4 pixels, the header 4 × 4", false},
		{"1 bit", change(6, 1), "with 1 bits", false},
		{"12 bits in bytes", change(6, 12), "12 bits a sample, 8 are allocated", false},
		{"three components", change(11, 3), "frame header has", false},
		{"jpeg process", change(3, 0xC3), "0xc3", true},
		{"mapping table", change(21, 1), "mapping table", true},
		{"near too large", change(22, 200), "NEAR 200", false},
		{"another component", change(20, 7), "component 7", false},
		{"point transform", change(24, 9), "point transform 9", false},
		{"maxval beyond the bits", insert("fff8 000d 01 0fff 0000 0000 0000 0000"), "MAXVAL 4095", false},
		{"thresholds fall", insert("fff8 000d 01 0000 0009 0003 0015 0000"), "thresholds 9, 3, 21", false},
		{"larger sizes", insert("fff8 0007 04 04 0004 00"), "kind 4", true},
		{"cut in the scan", standard[:36], "row", false},
		{"restart marker missing", insert("ffdd 0004 0002"), "row 2", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := jpegls.Decode(make([]byte, 16), c.coded, standardFrame)
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
	got := make([]byte, 16)
	for at := range standard {
		for flip := range 255 {
			bad := slices.Clone(standard)
			bad[at] ^= byte(flip + 1)
			_ = jpegls.Decode(got, bad, standardFrame)
		}
		_ = jpegls.Decode(got, standard[:at], standardFrame)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(standard, uint8(4), uint8(4), false, false)
	f.Add(slices.Concat(standard[:15], fromHex("fff8 000d 01 00ff 0003 0007 0015 0040"), standard[15:]), uint8(4), uint8(4), true, true)
	f.Add(slices.Concat(standard[:15], fromHex("ffdd 0003 02"), standard[15:]), uint8(4), uint8(4), true, true)
	f.Fuzz(func(t *testing.T, src []byte, rows, columns uint8, wide, signed bool) {
		if len(src) > 64<<10 {
			t.Skip("larger than a seed grows to")
		}
		if at := bytes.Index(src, []byte{0xFF, 0xF7}); at >= 0 && at+9 <= len(src) {
			src = slices.Clone(src)
			binary.BigEndian.PutUint16(src[at+5:], uint16(rows))
			binary.BigEndian.PutUint16(src[at+7:], uint16(columns))
		}
		frame := codec.Frame{Rows: int(rows), Columns: int(columns), BitsAllocated: 8, BitsStored: 8, Signed: signed}
		if wide {
			frame.BitsAllocated, frame.BitsStored = 16, 12
		}
		_ = jpegls.Decode(make([]byte, frame.Bytes()), src, frame)
	})
}

func BenchmarkLossless(b *testing.B) {
	if _, err := exec.LookPath("dcmcjpls"); err != nil {
		b.Skip("dcmcjpls is not installed (Debian package dcmtk): it makes the pictures")
	}
	for _, kind := range []peer.Kind{peer.Head, peer.Noise} {
		b.Run(string(kind)+"_512x512_12bit", func(b *testing.B) {
			p := peer.Make(kind, 512, 512, 12, false)
			coded, _ := p.Convert(b, "dcmcjpls", "+el")
			f := p.Frame()
			got := make([]byte, f.Bytes())
			b.SetBytes(int64(len(got)))
			b.ReportAllocs()
			for b.Loop() {
				if err := jpegls.Decode(got, coded, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
