package jpeg2000

import (
	"errors"
	"fmt"
	mathbits "math/bits"

	"neurotriage/dicomio/codec"
)

var errHigh = errors.New("a code-block of high throughput is damaged")

// quadCode is a code's meaning: what stands in quadCodesFirst, unpacked.
type quadCode struct {
	significant, known, one uint8 // bit j for sample j
	follows                 bool  // a u
	length                  uint8
}

// quadTables are the codes by row (the first, the others), context and next
// seven bits.
var quadTables = func() (tables [2][8][128]quadCode) {
	for row, codes := range [][]uint32{quadCodesFirst[:], quadCodesOther[:]} {
		for _, c := range codes {
			digit := func(i int) uint8 { return uint8(c>>(4*i)) & 15 }
			code := quadCode{significant: digit(6), follows: digit(5) == 1, known: digit(4), one: digit(3), length: digit(2)}
			for high := 0; high < 128; high += 1 << code.length {
				tables[row][digit(7)][high|int(c&0xFF)] = code
			}
		}
	}
	return tables
}()

// highSpace is what decoding a block of high throughput needs; it is reused.
type highSpace struct {
	exponents [2][]uint8 // of the lower row of the quads above, and of this one; two columns wider on both sides
	suffix    []byte
}

// decodeHigh fills w.values from the cleanup pass of T.814 clause 7.3.
func (w *workspace) decodeHigh(b *block, planes int) error {
	w.values = grown(w.values, b.width()*b.height())
	if len(b.segments) > 1 && len(b.segments[1].data) > 0 {
		return fmt.Errorf("refinement passes of high throughput: %w", codec.ErrUnsupported)
	}
	data := b.segments[0].data
	plane := planes - 1 - b.planes
	if len(data) == 0 {
		return nil // an empty set of passes
	}
	if plane < 0 || planes > 30 || len(data) < 2 {
		return errHigh
	}
	suffix := int(data[len(data)-1])<<4 | int(data[len(data)-2]&15)
	if suffix < 2 || suffix > len(data) || suffix > 4079 {
		return errHigh
	}
	h := &w.high
	h.suffix = append(h.suffix[:0], data[len(data)-suffix:]...)
	// T.814 7.1.1: the length's own twelve bits read as ones.
	h.suffix[suffix-1] = 0xFF
	h.suffix[suffix-2] |= 0x0F
	d := &highDecoder{
		magnitudes: lowBits{src: data[:len(data)-suffix]},
		runs:       runDecoder{raw: raw{src: h.suffix}},
		codes:      newBackward(h.suffix, data[len(data)-2]),
		values:     w.values, width: b.width(), height: b.height(), plane: plane, most: b.planes + 2,
	}
	for i := range h.exponents {
		h.exponents[i] = grown(h.exponents[i], d.width+5)
	}
	for y := 0; y < d.height; y += 2 {
		d.above, d.here = h.exponents[0], h.exponents[1]
		clear(d.here)
		if !d.row(y) {
			return errHigh
		}
		h.exponents[0], h.exponents[1] = d.here, d.above
	}
	return nil
}

// highDecoder decodes one code-block. Quads are 2 × 2 samples; sample j of a quad
// stands in column j/2 and row j%2.
type highDecoder struct {
	magnitudes    lowBits
	runs          runDecoder
	codes         backward
	values        []int32
	width, height int
	plane         int
	most          int     // largest exponent that the bit planes allow
	above, here   []uint8 // exponents, zero where not significant, from index 2
}

// row decodes a row of quads, two of them at a time.
func (d *highDecoder) row(y int) bool {
	table, first := &quadTables[1], 0
	if y == 0 {
		table, first = &quadTables[0], 1
	}
	var left uint8 // significance of the quad before
	for x := 0; x < d.width; x += 4 {
		quads := 1
		if x+2 < d.width {
			quads = 2
		}
		var pair [2]quadCode
		for i := range quads {
			context := left>>2&1 | left>>3&1
			if first == 1 {
				context = left&1 | left>>1&1 | left>>1&2 | left>>1&4
			} else {
				context = context<<1 | d.contextAbove(x+2*i+2)
			}
			if context != 0 || d.runs.next() {
				d.codes.fill()
				pair[i] = table[context][d.codes.acc&127]
				d.codes.skip(int(pair[i].length))
			}
			left = pair[i].significant
		}
		u, ok := d.exponents(pair, first == 1)
		if !ok {
			return false
		}
		for i := range quads {
			if pair[i].significant != 0 && !d.quad(x+2*i, y, &pair[i], u[i]+d.predicted(x+2*i+2, pair[i].significant, first)) {
				return false
			}
		}
	}
	return true
}

// contextAbove is the part of a quad's context that comes from the row above
// (T.814 7.3.5): at is the index of its first column.
func (d *highDecoder) contextAbove(at int) uint8 {
	var context uint8
	if d.above[at-1]|d.above[at] != 0 {
		context = 1
	}
	if d.above[at+1]|d.above[at+2] != 0 {
		context |= 4
	}
	return context
}

// predicted is κ, the exponent to which u adds (T.814 7.3.7).
func (d *highDecoder) predicted(at int, significant uint8, first int) int {
	if first == 1 || significant&(significant-1) == 0 {
		return 1
	}
	return max(1, int(max(d.above[at-1], d.above[at], d.above[at+1], d.above[at+2]))-1)
}

// exponents reads the u of a pair of quads (T.814 7.3.6).
func (d *highDecoder) exponents(pair [2]quadCode, first bool) (u [2]int, ok bool) {
	both := first && pair[0].follows && pair[1].follows
	more := 0
	if both && d.runs.next() {
		both, more = false, 2
	}
	d.codes.fill()
	var suffixes [2]int
	for i := range pair {
		switch {
		case !pair[i].follows:
		case both && i == 1 && u[0] > 2: // the second is 1 or 2
			u[1] = 1 + d.codes.take(1)
		default:
			u[i], suffixes[i] = d.codes.prefix()
			u[i] += more
		}
	}
	for i, length := range suffixes {
		suffix := d.codes.take(length)
		if suffix >= 28 { // would be extended, for exponents that no picture here has
			return u, false
		}
		u[i] += suffix
	}
	return u, true
}

// quad reads the magnitudes and signs of a quad (T.814 7.3.8) whose largest
// exponent is at most bound.
func (d *highDecoder) quad(x, y int, code *quadCode, bound int) bool {
	if bound > d.most {
		return false
	}
	for j := range 4 {
		if code.significant>>j&1 == 0 {
			continue
		}
		d.magnitudes.fill()
		length := bound - int(code.known>>j&1)
		v := d.magnitudes.take(length) | int(code.one>>j&1)<<length
		column, row := x+j>>1, y+j&1
		if column >= d.width || row >= d.height {
			continue // no encoder makes such a sample significant
		}
		// v is 2(μ-1) and the sign; the value is μ and a half, doubled.
		value := int32((v|1)+2) << d.plane
		if v&1 != 0 {
			value = -value
		}
		d.values[row*d.width+column] = value
		if j&1 == 1 {
			d.here[column+2] = uint8(mathbits.Len(uint(v | 1)))
		}
	}
	return true
}

// lowBits reads bits forward, lowest first; the byte after 0xFF holds seven.
// Beyond its data it reads ones (T.814 7.1.2).
type lowBits struct {
	src []byte
	pos int
	acc uint64
	n   int
	ff  bool
}

// fill makes at least 48 bits ready.
func (b *lowBits) fill() {
	for b.n <= 48 {
		value, width := uint64(0xFF), 8
		if b.pos < len(b.src) {
			value = uint64(b.src[b.pos])
			b.pos++
			if b.ff {
				width, value = 7, value&0x7F
			}
			b.ff = value == 0xFF
		}
		b.acc |= value << b.n
		b.n += width
	}
}

func (b *lowBits) take(count int) int {
	value := int(b.acc & (1<<count - 1))
	b.acc >>= count
	b.n -= count
	return value
}

// backward reads bits from the end, lowest first; a byte of seven ones before one
// above 0x8F holds seven (T.814 7.1.4). Beyond its data it reads zeros.
type backward struct {
	src   []byte
	pos   int
	acc   uint64
	n     int
	large bool // the last byte was above 0x8F
}

// newBackward starts in the upper half of the last byte but one.
func newBackward(src []byte, half byte) backward {
	b := backward{src: src, pos: len(src) - 3, acc: uint64(half >> 4), n: 4, large: half|15 > 0x8F}
	if b.acc&7 == 7 {
		b.n = 3
		b.acc &= 7
	}
	return b
}

// fill makes at least 48 bits ready.
func (b *backward) fill() {
	for b.n <= 48 {
		value, width := uint64(0), 8
		if b.pos >= 0 {
			value = uint64(b.src[b.pos])
			b.pos--
			if b.large && value&0x7F == 0x7F {
				width = 7
			}
			b.large = value > 0x8F
		}
		b.acc |= value & (1<<width - 1) << b.n
		b.n += width
	}
}

func (b *backward) skip(count int) { b.acc >>= count; b.n -= count }

func (b *backward) take(count int) int {
	value := int(b.acc & (1<<count - 1))
	b.skip(count)
	return value
}

// prefix reads the prefix of a u and the length of its suffix (T.814 table 3).
func (b *backward) prefix() (u, suffix int) {
	switch zeros := mathbits.TrailingZeros64(b.acc | 8); zeros {
	case 0, 1:
		b.skip(zeros + 1)
		return zeros + 1, 0
	case 2:
		b.skip(3)
		return 3, 1
	}
	b.skip(3)
	return 5, 5
}

// runDecoder is the adaptive run-length decoder of T.814 7.3.3 (MEL). Its bits
// are stuffed as those of the raw passes.
type runDecoder struct {
	raw
	state int
	run   int
	one   bool
}

// runExponents is T.814 table 2.
var runExponents = [13]uint8{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5}

// next reads a symbol.
func (r *runDecoder) next() bool {
	if r.run == 0 && !r.one {
		exponent := int(runExponents[r.state])
		if r.bit() == 1 {
			r.run = 1 << exponent
			r.state = min(r.state+1, len(runExponents)-1)
		} else {
			for range exponent {
				r.run = r.run<<1 | int(r.bit())
			}
			r.state = max(r.state-1, 0)
			r.one = true
		}
	}
	if r.run > 0 {
		r.run--
		return false
	}
	r.one = false
	return true
}
