package jpeg2000_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/dicomio/codec"
	"neurotriage/dicomio/codec/internal/peer"
	"neurotriage/dicomio/codec/jpeg2000"
)

var update = flag.Bool("update", false, "write testdata again with OpenJPEG and OpenJPH")

// seed is a small codestream under testdata that tests without peers start from.
type seed struct {
	name    string
	picture peer.Picture
	options string
	high    bool
	change  func(t testing.TB, coded []byte) []byte // made of what the program wrote
}

var seeds = []seed{
	{name: "plain", picture: peer.Make(peer.Head, 12, 10, 12, true), options: "-n 3"},
	{name: "modes", picture: peer.Make(peer.Noise, 9, 11, 8, false), options: "-n 2 -M 63 -b 4,4"},
	{name: "bypass", picture: peer.Make(peer.Noise, 8, 8, 16, false), options: "-n 1 -M 1"},
	{name: "layers", picture: peer.Make(peer.Noise, 16, 16, 12, false), options: "-n 2 -r 8,2,1 -SOP -EPH -p PCRL -c [16,16]"},
	{name: "tiles", picture: peer.Make(peer.Head, 9, 14, 8, false), options: "-n 2 -t 8,6 -d 3,1 -TP R"},
	{name: "lossy", picture: peer.Make(peer.Head, 12, 10, 12, false), options: "-n 3 -I"},
	{name: "high", picture: peer.Make(peer.Noise, 12, 10, 12, false), options: "-num_decomps 2 -reversible true", high: true},
	{name: "highlossy", picture: peer.Make(peer.Head, 9, 14, 8, false), options: "-num_decomps 1 -qstep 0.01 -block_size {8,8}", high: true},
	{name: "changes", picture: peer.Make(peer.Noise, 12, 14, 12, false), options: "-n 3 -POC T1=0,0,1,1,1,RLCP/T1=1,0,1,3,1,CPRL"},
	{name: "packed", picture: peer.Make(peer.Head, 12, 14, 12, false), options: "-n 2 -r 4,1 -t 8,8 -SOP -EPH", change: func(t testing.TB, coded []byte) []byte {
		return packed(t, coded, true, 30)
	}},
	{name: "region", picture: peer.Make(peer.Head, 12, 14, 8, false), options: "-n 2 -ROI c=0,U=10"},
	{name: "refined", picture: refinedSeed, high: true, change: func(t testing.TB, _ []byte) []byte {
		r := newRefined(t, peer.Head, refinedSeed.Rows, refinedSeed.Columns, refinedSeed.Bits)
		propagation, refinement := r.passes(true)
		both := append(propagation, refinement...)
		return r.codestream(r.zeroes,
			contribution{1, [][2]int{{len(r.cleanup), lengthBits}}, r.cleanup},
			contribution{3, [][2]int{{len(both), lengthBits + 1}, {len(r.full), lengthBits}}, append(both, r.full...)})
	}},
}

// refinedSeed is coded in two sets, the first with refinement.
var refinedSeed = peer.Make(peer.Head, 12, 13, 12, false)

func (s seed) path() string { return filepath.Join("testdata", s.name+".j2k") }

func (s seed) read(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lossless reports whether the samples come back exactly.
func (s seed) lossless() bool { return !strings.HasSuffix(s.name, "lossy") }

func TestSeeds(t *testing.T) {
	if *update {
		for _, s := range seeds {
			coder := peer.OpenJPEG
			if s.high {
				coder = peer.OpenJPH
			}
			data, err := os.ReadFile(coder(t, s.picture, strings.Fields(s.options)...))
			if err != nil {
				t.Fatal(err)
			}
			if s.change != nil {
				data = s.change(t, data)
			}
			peer.Write(t, s.path(), data)
		}
	}
	for _, s := range seeds {
		t.Run(s.name, func(t *testing.T) {
			values := decodeBytes(t, s.picture, s.read(t))
			distance, at := peer.Farthest(values, s.picture.Samples)
			if s.lossless() && distance > 0 || distance > 1<<s.picture.Bits/20 {
				t.Errorf("sample %d is %d, want %d", at, values[at], s.picture.Samples[at])
			}
		})
	}
}

// TestPrecisionBelowBitsStored: an unsigned codestream below a signed header is
// a bit pattern whose sign stands in the highest coded bit.
func TestPrecisionBelowBitsStored(t *testing.T) {
	s := seeds[6] // 12 bits, unsigned
	f := s.picture.Frame()
	f.BitsStored, f.Signed = 16, true
	got := make([]byte, f.Bytes())
	if err := jpeg2000.Decode(got, s.read(t), f); err != nil {
		t.Fatal(err)
	}
	for i, value := range peer.Values(got, f) {
		if want := s.picture.Samples[i] << 20 >> 20; value != want {
			t.Fatalf("sample %d is %d, want %d", i, value, want)
		}
	}
}

// TestInsideJP2: the codestream of a JP2 file is found.
func TestInsideJP2(t *testing.T) {
	s := seeds[0]
	file := append([]byte("\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a"+"\x00\x00\x00\x0cftypabcd"+"\x00\x00\x00\x00jp2c"), s.read(t)...)
	if distance, at := peer.Farthest(decodeBytes(t, s.picture, file), s.picture.Samples); distance > 0 {
		t.Errorf("sample %d differs by %d", at, distance)
	}
}

// TestPadded: bytes behind the codestream, and a missing end marker, do no harm.
func TestPadded(t *testing.T) {
	for _, s := range seeds {
		data := s.read(t)
		for _, changed := range [][]byte{append(data[:len(data):len(data)], 0), data[:len(data)-2]} {
			if err := jpeg2000.Decode(make([]byte, s.picture.Frame().Bytes()), changed, s.picture.Frame()); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		}
	}
}

// TestFlippedBytes: no byte of a codestream can do more than spoil the picture,
// and no cut either.
func TestFlippedBytes(t *testing.T) {
	for _, s := range seeds {
		good, f := s.read(t), s.picture.Frame()
		got := make([]byte, f.Bytes())
		for at := range good {
			if testing.Short() && at%16 != 0 {
				continue
			}
			for _, flip := range []byte{0xFF, 0x80, 0x10, 0x01} {
				bad := append([]byte(nil), good...)
				bad[at] ^= flip
				_ = jpeg2000.Decode(got, bad, f)
			}
			if err := jpeg2000.Decode(got, good[:at], f); err == nil && at < len(good)-12 && !s.high {
				t.Errorf("%s: cut at byte %d of %d is no error", s.name, at, len(good))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add(s.read(f), uint8(s.picture.Rows), uint8(s.picture.Columns), s.picture.Bits > 8, s.picture.Signed)
	}
	f.Fuzz(func(t *testing.T, src []byte, rows, columns uint8, wide, signed bool) {
		if len(src) > 64<<10 {
			t.Skip("larger than a seed grows to")
		}
		frame := codec.Frame{Rows: int(rows), Columns: int(columns), BitsAllocated: 8, BitsStored: 8, Signed: signed}
		if wide {
			frame.BitsAllocated, frame.BitsStored = 16, 12
		}
		// A changed size would end every run at once: the frame follows it within bounds.
		if at := bytes.Index(src, []byte{0xFF, 0x51, 0, 41}); at >= 0 && at+22 <= len(src) {
			corner := func(i int) int { return int(binary.BigEndian.Uint32(src[at+6+4*i:])) }
			if r, c := corner(1)-corner(3), corner(0)-corner(2); r > 0 && c > 0 && r <= 1<<10 && c <= 1<<10 {
				frame.Rows, frame.Columns = r, c
			}
		}
		_ = jpeg2000.Decode(make([]byte, frame.Bytes()), src, frame)
	})
}
