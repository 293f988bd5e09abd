package jpeg2000_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"neurotriage/dicomio/codec"
	"neurotriage/dicomio/codec/jpeg2000"
)

func TestRefuses(t *testing.T) {
	s := seeds[0] // 12 × 10, three resolutions
	good, f := s.read(t), s.picture.Frame()
	high := seeds[6].read(t)
	find := func(data []byte, marker uint16) int {
		return bytes.Index(data, binary.BigEndian.AppendUint16(nil, marker))
	}
	siz, cod, qcd, sot := find(good, 0xFF51), find(good, 0xFF52), find(good, 0xFF5C), find(good, 0xFF90)
	change := func(at int, values ...byte) []byte {
		bad := slices.Clone(good)
		copy(bad[at:], values)
		return bad
	}
	insert := func(segment ...byte) []byte { return slices.Insert(slices.Clone(good), cod, segment...) }
	cases := []struct {
		name        string
		coded       []byte
		want        string
		unsupported bool
	}{
		{"empty", nil, "does not start", false},
		{"not jpeg 2000", []byte("not a codestream"), "does not start", false},
		{"a jp2 without codestream", []byte("\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a"), "no codestream", false},
		{"4 billion columns", change(siz+6, 0xFF, 0xFF, 0xFF, 0xFF), "the header 12 × 10", false},
		{"13 rows", change(siz+10, 0, 0, 0, 13), "has 13 × 10 pixels, the header 12 × 10", false},
		{"38 bits", change(siz+40, 37), "38 bits a sample", false},
		{"three components", change(siz+38, 0, 3), "3 components", true},
		{"subsampling", change(siz+41, 2), "subsampling", true},
		{"tiles of nothing", change(siz+22, 0, 0, 0, 0), "do not cover", false},
		{"a tile elsewhere", change(siz+30, 0, 0, 0, 1), "do not cover", false},
		{"a tile a sample", change(siz+22, 0, 0, 0, 1, 0, 0, 0, 1), "is missing", false},
		{"no layers", change(cod+6, 0, 0), "0 layers", false},
		{"progression 5", change(cod+5, 5), "progression 5", false},
		{"33 levels", change(cod+9, 33), "33 levels", false},
		{"code-blocks of 4 million", change(cod+10, 9, 9), "code-blocks of", false},
		{"another transform", change(cod+13, 2), "transform 2", false},
		{"unannounced high throughput", change(cod+12, 0x40), "without their announcement", false},
		{"steps missing", change(cod+9, 5), "quantisation steps for 5 levels", false},
		{"60 bit planes", change(qcd+5, 0xF8), "bit planes", true},
		{"quantisation 3", change(qcd+4, 3), "quantisation 3", false},
		{"65,535 layers", change(cod+6, 0xFF, 0xFF), "cannot hold its packets", false},
		{"packed headers for no tile", insert(0xFF, 0x60, 0, 3, 0), "end before the tile-parts", false},
		{"packed headers that lie", insert(0xFF, 0x60, 0, 7, 0, 0xFF, 0xFF, 0xFF, 0xFF), "end before the tile-parts", false},
		{"packed headers twice", insert(0xFF, 0x60, 0, 3, 9, 0xFF, 0x60, 0, 3, 9), "stand twice", false},
		{"empty packed headers", insert(0xFF, 0x60, 0, 2), "cut off", false},
		{"progression changes cut off", insert(0xFF, 0x5F, 0, 3, 0), "cut off", false},
		{"progression change to no order", insert(0xFF, 0x5F, 0, 9, 0, 0, 0, 1, 3, 1, 9), "progression 9", false},
		{"progression change of nothing", insert(0xFF, 0x5F, 0, 9, 2, 0, 0, 1, 2, 1, 0), "resolutions 2 to 2", false},
		{"progression changes twice", insert(0xFF, 0x5F, 0, 9, 0, 0, 0, 1, 3, 1, 0, 0xFF, 0x5F, 0, 9, 0, 0, 0, 1, 3, 1, 0), "stand twice", false},
		{"tile 7 of 1", change(sot+4, 0, 7), "tile 7 of 1", false},
		{"tile too long", change(sot+6, 0, 1, 0, 0), "has length 65536", false},
		{"no tile", append(slices.Clone(good[:sot]), 0xFF, 0xD9), "tile 0 is missing", false},
		{"cut in a packet", change(sot+6, 0, 0, 0, 60), "cut off", false},
		{"high throughput cut", high[:len(high)-40], "has length", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			frame := f
			if strings.HasPrefix(c.name, "high") {
				frame = seeds[6].picture.Frame()
			}
			err := jpeg2000.Decode(make([]byte, frame.Bytes()), c.coded, frame)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if errors.Is(err, codec.ErrUnsupported) != c.unsupported {
				t.Errorf("error %v, unsupported %v wanted", err, c.unsupported)
			}
		})
	}
}

// TestBudget: packets that bring nothing, each with its byte, are read up to what
// the picture explains.
func TestBudget(t *testing.T) {
	s := seeds[0] // three resolutions
	good := s.read(t)
	cod, sot := bytes.Index(good, []byte{0xFF, 0x52}), bytes.Index(good, []byte{0xFF, 0x90})
	for _, c := range []struct {
		layers  int
		refused bool
	}{{1000, false}, {20_000, false}, {30_000, true}, {65_535, true}} {
		data := append(slices.Clone(good[:len(good)-2]), make([]byte, 3*c.layers)...)
		binary.BigEndian.PutUint16(data[cod+6:], uint16(c.layers))
		binary.BigEndian.PutUint32(data[sot+6:], uint32(len(data)-sot))
		err := jpeg2000.Decode(make([]byte, s.picture.Frame().Bytes()), data, s.picture.Frame())
		if (err != nil) != c.refused || c.refused && !errors.Is(err, codec.ErrUnsupported) {
			t.Errorf("%d layers: %v", c.layers, err)
		}
	}
}

// TestMemoryFollowsTheFrame: whatever a small codestream claims of itself, no
// more is allocated than the frame explains.
func TestMemoryFollowsTheFrame(t *testing.T) {
	s := seeds[3]
	good, f := s.read(t), s.picture.Frame()
	got := make([]byte, f.Bytes())
	for at := range good {
		for _, value := range []byte{0xFF, 0x00} {
			bad := slices.Clone(good)
			bad[at] = value
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = jpeg2000.Decode(got, bad, f)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
				t.Fatalf("byte %d = 0x%02x allocates %d bytes for %d pixels", at, value, used, f.Rows*f.Columns)
			}
		}
	}
}
