package jpeg2000_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"neurotriage/dicomio/codec/internal/peer"
)

// No program at hand writes refinement passes. So OpenJPH codes a picture without
// its lowest bit, as one code-block, and the tests add that bit in the passes of
// T.814 7.4 and 7.5. OpenJPEG and OpenJPH, which read them, have to agree.

// refined is a picture that is being coded so.
type refined struct {
	peer.Picture
	coefficients []int32
	cleanup      []byte // of all bits but the lowest
	full         []byte // of all bits
	zeroes       int    // bit planes missing, from the header of cleanup
	main         []byte // main header of the whole picture
	want         []int32
}

func newRefined(t testing.TB, kind peer.Kind, rows, columns, bits int) *refined {
	t.Helper()
	r := &refined{Picture: peer.Make(kind, rows, columns, bits, false)}
	half := r.Picture
	half.Bits--
	half.Samples = make([]int32, len(r.Samples))
	for i, s := range r.Samples {
		if kind == peer.Flat { // few significant samples among many of size one
			s = 1<<(bits-1) + s%7%3 - 1 + int32(i%13/12*5)
			r.Samples[i] = s
		}
		c := s - 1<<(bits-1)
		r.coefficients = append(r.coefficients, c)
		half.Samples[i] = c/2 + 1<<(bits-2)
	}
	options := []string{"-num_decomps", "0", "-reversible", "true", "-prog_order", "LRCP", "-block_size", "{64,64}"}
	r.main, r.full, _ = onePacket(t, peer.OpenJPH(t, r.Picture, options...))
	_, r.cleanup, r.zeroes = onePacket(t, peer.OpenJPH(t, half, options...))
	return r
}

// onePacket reads a codestream of one code-block.
func onePacket(t testing.TB, path string) (main, body []byte, zeroes int) {
	t.Helper()
	coded, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sot := bytes.Index(coded, []byte{0xFF, 0x90, 0, 10})
	sod := bytes.Index(coded[sot:], []byte{0xFF, 0x93}) + sot
	main = coded[:sot]
	bits, at, left, last := byte(0), sod+2, 0, byte(0)
	next := func() int {
		if left == 0 {
			last, bits = bits, coded[at]
			at++
			if left = 8; last == 0xFF {
				left = 7
			}
		}
		left--
		return int(bits>>left) & 1
	}
	notEmpty, included := next(), next()
	if notEmpty == 0 || included == 0 {
		t.Fatal("OpenJPH wrote no code-block")
	}
	for next() == 0 {
		zeroes++
	}
	if next() != 0 {
		t.Fatal("OpenJPH wrote more than a cleanup pass")
	}
	width, length := 3, 0
	for next() == 1 {
		width++
	}
	for range width {
		length = length<<1 | next()
	}
	if bits == 0xFF {
		at++
	}
	return main, coded[at : at+length], zeroes
}

// passes codes the lowest bit and says what a decoder can know of the picture
// after one pass or both.
func (r *refined) passes(magnitudes bool) (propagation, refinement []byte) {
	marks := make([]bool, (r.Rows+2)*(r.Columns+2))
	at := func(y, x int) int { return (y+1)*(r.Columns+2) + x + 1 }
	r.want = make([]int32, len(r.Samples))
	for i, c := range r.coefficients {
		marks[at(i/r.Columns, i%r.Columns)] = c/2 != 0
		if r.want[i] = c / 2 * 2; c > 1 {
			r.want[i]++ // the half of the bit that is not known
		} else if c < -1 {
			r.want[i]--
		}
	}
	var bits, backward bitsUp
	for top := 0; top < r.Rows; top += 4 {
		for group := 0; group < r.Columns; group += 4 {
			var signs []int32
			for x := group; x < min(group+4, r.Columns); x++ {
				for y := top; y < min(top+4, r.Rows); y++ {
					i := y*r.Columns + x
					c := r.coefficients[i]
					if c/2 != 0 {
						if backward.put(c & 1); magnitudes {
							r.want[i] = c
						}
						continue
					}
					near := false
					for dy := -1; dy <= 1; dy++ {
						for dx := -1; dx <= 1; dx++ {
							near = near || marks[at(y+dy, x+dx)]
						}
					}
					if near {
						bits.put(c & 1)
						if c != 0 {
							marks[at(y, x)], r.want[i] = true, c
							signs = append(signs, c)
						}
					}
				}
			}
			for _, c := range signs {
				bits.put(int32(uint32(c) >> 31))
			}
		}
	}
	for i := range r.want {
		r.want[i] = max(r.want[i]+(1<<(r.Bits-1)), 0)
	}
	return bits.forward(), backward.backward()
}

// bitsUp are bits in the order of coding.
type bitsUp []int32

func (b *bitsUp) put(bit int32) { *b = append(*b, bit&1) }

// forward packs bits from the lowest of each byte; the byte after 0xFF has seven.
func (b bitsUp) forward() (out []byte) {
	for len(b) > 0 {
		width := 8
		if len(out) > 0 && out[len(out)-1] == 0xFF {
			width = 7
		}
		out = append(out, b.byte(width))
		b = b[min(width, len(b)):]
	}
	if len(out) > 0 && out[len(out)-1] == 0xFF {
		out = append(out, 0)
	}
	return out
}

// backward packs them from the end; seven ones below a byte above 0x8F stay alone.
func (b bitsUp) backward() (out []byte) {
	last := byte(0xFF)
	for len(b) > 0 {
		width := 8
		if last > 0x8F && b.byte(7) == 0x7F {
			width = 7
		}
		last = b.byte(width)
		out = append([]byte{last}, out...)
		b = b[min(width, len(b)):]
	}
	return out
}

func (b bitsUp) byte(width int) (value byte) {
	for i, bit := range b[:min(width, len(b))] {
		value |= byte(bit) << i
	}
	return value
}

// contribution is what a layer brings of the code-block.
type contribution struct {
	passes  int
	lengths [][2]int // value and number of bits
	body    []byte
}

// codestream writes the layers as packets.
func (r *refined) codestream(zeroes int, layers ...contribution) []byte {
	out := bytes.Clone(r.main)
	binary.BigEndian.PutUint16(out[bytes.Index(out, []byte{0xFF, 0x52})+6:], uint16(len(layers)))
	var data []byte
	for i, c := range layers {
		var header []int
		put := func(value, count int) {
			for count--; count >= 0; count-- {
				header = append(header, value>>count&1)
			}
		}
		if c.passes == 0 {
			data = append(data, 0)
			continue
		}
		put(3, 2) // not empty; included
		if i == 0 {
			put(1, zeroes+1)
		}
		switch {
		case c.passes == 1:
			put(0, 1)
		case c.passes == 2:
			put(2, 2)
		case c.passes < 6:
			put(0b11<<2|c.passes-3, 4)
		default:
			put(0b1111<<5|c.passes-6, 9)
		}
		if i == 0 {
			put(1<<(lengthBits-3+1)-2, lengthBits-3+1)
		} else {
			put(0, 1)
		}
		for _, length := range c.lengths {
			put(length[0], length[1])
		}
		acc, used, width := byte(0), 0, 8
		flush := func() {
			data = append(data, acc<<(width-used))
			if width = 8; acc<<(width-used) == 0xFF && used == 8 {
				width = 7
			}
			acc, used = 0, 0
		}
		for _, bit := range header {
			acc = acc<<1 | byte(bit)
			if used++; used == width {
				flush()
			}
		}
		if used > 0 || width == 7 {
			flush()
		}
		data = append(data, c.body...)
	}
	out = append(out, 0xFF, 0x90, 0, 10, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(14+len(data)))
	out = append(append(out, 0, 1, 0xFF, 0x93), data...)
	return append(out, 0xFF, 0xD9)
}

// lengthBits is Lblock: enough for every length here.
const lengthBits = 14

var refinedSizes = [][2]int{{64, 64}, {37, 29}, {1, 1}, {3, 50}, {50, 3}, {6, 64}, {61, 63}}

// TestRefinementPasses: both passes, one pass, of pictures of every kind and
// shape. Beside ours, OpenJPEG's and OpenJPH's pixels are compared.
func TestRefinementPasses(t *testing.T) {
	peer.Need(t, "ojph_compress", "ojph_expand", "opj_decompress")
	for i, size := range refinedSizes {
		for _, kind := range []peer.Kind{peer.Head, peer.Noise, peer.Flat} {
			bits := []int{8, 12, 16}[i%3]
			r := newRefined(t, kind, size[0], size[1], bits)
			for passes := 2; passes <= 3; passes++ {
				propagation, refinement := r.passes(passes == 3)
				body := append(bytes.Clone(r.cleanup), propagation...)
				second := len(propagation)
				if passes == 3 {
					body = append(body, refinement...)
					second += len(refinement)
				}
				if second == 0 {
					continue // nothing is beside anything
				}
				coded := r.codestream(r.zeroes, contribution{passes, [][2]int{{len(r.cleanup), lengthBits}, {second, lengthBits + passes - 2}}, body})
				t.Run(fmt.Sprintf("%s_%s_%d_passes", r.Name(), kind, passes), func(t *testing.T) {
					want := peer.Picture{Rows: r.Rows, Columns: r.Columns, Bits: r.Bits, Samples: r.want}
					wantExact(t, want, decodeBytes(t, want, coded))
					wantSame(t, decodeBytes(t, want, coded), decodedByOpenJPH(t, want, coded))
					wantExact(t, want, decodedByOpenJPEG(t, want, coded))
				})
			}
		}
	}
}

func decodedByOpenJPH(t testing.TB, p peer.Picture, coded []byte) []int32 {
	t.Helper()
	path := t.TempDir() + "/in.j2c"
	peer.Write(t, path, coded)
	peer.Run(t, "ojph_expand", "-i", path, "-o", path+".pgm")
	return peer.PGM(t, path+".pgm", p)
}

// TestSetsAndLayers: a block's passes spread over layers, placeholders before
// them, empty sets, and a second set that is finer than the first (T.814 B.2 and
// B.3). No program at hand reads all of these: only what went in is compared.
func TestSetsAndLayers(t *testing.T) {
	peer.Need(t, "ojph_compress")
	const w = lengthBits
	r := newRefined(t, peer.Head, 64, 61, 12)
	propagation, refinement := r.passes(true)
	both := append(bytes.Clone(propagation), refinement...)
	want := peer.Picture{Rows: r.Rows, Columns: r.Columns, Bits: r.Bits, Samples: r.want}
	cleanup, full := len(r.cleanup), len(r.full)
	set := append(bytes.Clone(r.cleanup), both...)
	for _, c := range []struct {
		name   string
		zeroes int
		want   peer.Picture
		layers []contribution
	}{
		{"refinement in the second layer", r.zeroes, want, []contribution{
			{1, [][2]int{{cleanup, w}}, r.cleanup}, {2, [][2]int{{len(both), w + 1}}, both},
		}},
		{"a layer a pass, and an empty one", r.zeroes, want, []contribution{
			{1, [][2]int{{cleanup, w}}, r.cleanup}, {}, {1, [][2]int{{len(propagation), w}}, propagation}, {1, [][2]int{{len(refinement), w}}, refinement},
		}},
		{"placeholders before", r.zeroes - 1, want, []contribution{
			{6, [][2]int{{cleanup, w + 2}, {len(both), w + 1}}, set},
		}},
		{"placeholders in a layer of their own", r.zeroes - 1, want, []contribution{
			{3, [][2]int{{0, w + 1}}, nil}, {3, [][2]int{{cleanup, w}, {len(both), w + 1}}, set},
		}},
		{"some placeholders in a layer of their own", r.zeroes - 1, want, []contribution{
			{2, [][2]int{{0, w + 1}}, nil}, {2, [][2]int{{cleanup, w + 1}}, r.cleanup}, {2, [][2]int{{len(both), w + 1}}, both},
		}},
		{"a finer set behind", r.zeroes, r.Picture, []contribution{
			{3, [][2]int{{cleanup, w}, {len(both), w + 1}}, set}, {1, [][2]int{{full, w}}, r.full},
		}},
		{"a finer set with the refinement of the first", r.zeroes, r.Picture, []contribution{
			{1, [][2]int{{cleanup, w}}, r.cleanup}, {3, [][2]int{{len(both), w + 1}, {full, w}}, append(bytes.Clone(both), r.full...)},
		}},
		{"an empty set behind", r.zeroes, want, []contribution{
			{3, [][2]int{{cleanup, w}, {len(both), w + 1}}, set}, {3, [][2]int{{0, w}, {0, w + 1}}, nil},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantExact(t, c.want, decodeBytes(t, c.want, r.codestream(c.zeroes, c.layers...)))
		})
	}
}

func wantSame(t testing.TB, ours, theirs []int32) {
	t.Helper()
	if distance, at := peer.Farthest(ours, theirs); distance > 0 {
		t.Errorf("sample %d is %d, theirs is %d", at, ours[at], theirs[at])
	}
}
