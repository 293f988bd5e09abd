package codec_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"neurotriage/dicomio/codec"
)

// TestPutRun: how samples of a codestream become native words, by header.
func TestPutRun(t *testing.T) {
	for _, c := range []struct {
		name      string
		allocated int
		stored    int
		high      int
		signed    bool
		precision int
		sample    int32
		want      uint16
	}{
		{"as it is", 16, 12, 11, false, 12, 0xABC, 0xABC},
		{"a high bit left out", 16, 12, 0, false, 12, 0xABC, 0xABC},
		{"negative, signed", 16, 12, 11, true, 12, -5, 0xFFFB},
		{"negative, as a pattern", 16, 12, 11, true, 12, 0xFFB, 0xFFB},
		{"precision below, unsigned", 16, 16, 15, false, 12, 0xFFB, 0xFFB},
		{"precision below, signed", 16, 16, 15, true, 12, 0xFFB, 0xFFFB},
		{"precision below, signed on both sides", 16, 16, 15, true, 12, -5, 0xFFFB},
		{"precision below, a signed codestream in an unsigned frame", 16, 16, 15, false, 12, -5, 0x0FFB},
		{"precision above: the words themselves", 16, 12, 11, false, 16, 0xF123, 0xF123},
		{"high bit at the top, samples coded", 16, 12, 15, false, 12, 0xABC, 0xABC0},
		{"high bit at the top, words coded", 16, 12, 15, false, 16, 0xABC0, 0xABC0},
		{"high bit at the top, signed", 16, 12, 15, true, 12, -5, 0xFFB0},
		{"high bit at the top, precision below", 16, 12, 15, true, 8, 0xFB, 0xFFB0},
		{"bytes", 8, 8, 7, false, 8, 0xAB, 0xAB},
		{"bytes, precision below, signed", 8, 8, 7, true, 6, 0x3B, 0xFB},
		{"bytes, high bit at the top", 8, 6, 7, false, 6, 0x2B, 0xAC},
	} {
		f := codec.Frame{Rows: 2, Columns: 3, BitsAllocated: c.allocated, BitsStored: c.stored, HighBit: c.high, Signed: c.signed}
		dst := make([]byte, f.Bytes())
		codec.PutRun(f, dst, 1, 2, []int32{c.sample}, c.precision)
		got := uint16(dst[len(dst)-1])
		if c.allocated == 16 {
			got = binary.LittleEndian.Uint16(dst[len(dst)-2:])
		}
		if got != c.want {
			t.Errorf("%s: 0x%04x, want 0x%04x", c.name, got, c.want)
		}
	}
}

// TestCheck: nothing is decoded into a frame that it does not fit.
func TestCheck(t *testing.T) {
	good := codec.Frame{Rows: 4, Columns: 5, BitsAllocated: 16, BitsStored: 12}
	wide, huge := good, good
	wide.BitsAllocated = 32
	huge.Rows, huge.Columns = 1<<20, 1<<20
	for _, c := range []struct {
		name                  string
		frame                 codec.Frame
		bytes, rows, columns  int
		precision             int
		refused, notSupported bool
	}{
		{"good", good, 40, 4, 5, 12, false, false},
		{"more bits than stored", good, 40, 4, 5, 16, false, false},
		{"more bits than allocated", good, 40, 4, 5, 17, true, false},
		{"no bits", good, 40, 4, 5, 0, true, false},
		{"turned", good, 40, 5, 4, 12, true, false},
		{"another size", good, 40, 4, 6, 12, true, false},
		{"a short buffer", good, 39, 4, 5, 12, true, false},
		{"32 bits", wide, 80, 4, 5, 12, true, true},
		{"a size that overflows", huge, 0, 1 << 20, 1 << 20, 12, true, false},
	} {
		err := c.frame.Check(make([]byte, c.bytes), c.rows, c.columns, c.precision)
		if (err != nil) != c.refused || errors.Is(err, codec.ErrUnsupported) != c.notSupported {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
