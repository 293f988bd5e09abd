package jpeg2000

import (
	"errors"
	mathbits "math/bits"
)

var errHigh = errors.New("a code-block of high throughput is damaged")

// highSpace is what decoding a block of high throughput needs; it is reused.
type highSpace struct {
	exponents  [2][]uint8 // of the lower row of the quads above, and of this one; two columns wider on both sides
	quads      []quad     // of one row
	cleanup    []byte
	suffix     []byte
	refinement []byte
	marks      []uint8
}

// decodeHigh fills w.values from the passes of T.814 clause 7.
func (w *workspace) decodeHigh(t *tile, b *block, planes int) error {
	h := &w.high
	width, height := int(b.width), int(b.height)
	w.stride = (width + 3) &^ 3 // whole pairs of quads, so that writing needs no edges
	w.values = grown(w.values, w.stride*((height+1)&^1))
	h.gather(t, b)
	if len(h.cleanup) == 0 {
		return nil // empty sets of passes
	}
	// A set of three passes before the last one's cleanup is a bit plane.
	plane := planes - 1 - int(b.planes) - int(b.cleanup-1)/3
	if plane < 0 || planes > 30 || len(h.refinement) > 0 && plane == 0 {
		return errHigh
	}
	if !w.cleanup(width, height, plane, planes-plane+1) {
		return errHigh
	}
	if len(h.refinement) > 0 {
		r := &refiner{
			values: w.values, stride: w.stride, width: width, height: height,
			half: 1 << (plane - 1), causal: t.style.blockStyle&styleCausal != 0,
		}
		r.mark(&h.marks)
		r.propagate(lowBits{src: h.refinement})
		if b.refinements > 1 {
			r.refine(newBackward(h.refinement))
		}
	}
	return nil
}

// gather finds the data of the last set that has any.
func (h *highSpace) gather(t *tile, b *block) {
	h.cleanup, h.refinement = nil, h.refinement[:0]
	for number := b.first; number > 0; {
		p := t.space.pieces[number-1]
		number = p.next
		data := t.bodies[p.at : p.at+p.length]
		switch p.most {
		case highCleanup:
			h.cleanup, h.refinement = data, h.refinement[:0]
		case highRefinement:
			h.refinement = append(h.refinement, data...)
		}
	}
}

// cleanup decodes the cleanup pass (T.814 7.3) of a plane; no exponent is above
// most.
func (w *workspace) cleanup(width, height, plane, most int) bool {
	h := &w.high
	data := h.cleanup
	if len(data) < 2 {
		return false
	}
	suffix := int(data[len(data)-1])<<4 | int(data[len(data)-2]&15)
	if suffix < 2 || suffix > len(data) || suffix > 4079 {
		return false
	}
	h.suffix = append(h.suffix[:0], data[len(data)-suffix:]...)
	// T.814 7.1.1: the length's own twelve bits read as ones.
	h.suffix[suffix-1] = 0xFF
	h.suffix[suffix-2] |= 0x0F
	d := &highDecoder{
		magnitudes: lowBits{src: data[:len(data)-suffix], ones: true},
		runs:       runDecoder{raw: raw{src: h.suffix}},
		codes:      newBackwardFrom(h.suffix, data[len(data)-2]),
		width:      width, plane: plane, most: most,
	}
	for i := range h.exponents {
		h.exponents[i] = grown(h.exponents[i], w.stride+5)
	}
	h.quads = grown(h.quads, w.stride/2+2)
	d.above, d.here, d.quads = h.exponents[0], h.exponents[1], h.quads
	for y := 0; y < height; y += 2 {
		if !d.codesOfRow(y == 0) {
			return false
		}
		rows := w.values[y*w.stride:]
		if !d.samplesOfRow(rows[:w.stride], rows[w.stride:][:w.stride], y == 0) {
			return false
		}
		d.above, d.here = d.here, d.above
	}
	return true
}

// lowBits reads bits forward, lowest first; the byte after 0xFF holds seven
// (T.814 7.1.2).
type lowBits struct {
	src  []byte
	pos  int
	acc  uint64 // above n bits there may be some of what follows
	n    int
	ff   bool
	ones bool // it reads ones beyond its data, otherwise zeros
}

// fill makes at least 56 bits ready.
func (b *lowBits) fill() {
	if b.pos+8 <= len(b.src) && !b.ff {
		word := le64(b.src[b.pos:])
		// True unless one of the eight bytes is 0xFF.
		if (^word-0x0101010101010101)&word&0x8080808080808080 == 0 {
			b.acc |= word << b.n
			bytes := (63 - b.n) >> 3
			b.pos += bytes
			b.n += 8 * bytes
			return
		}
	}
	b.acc &= 1<<b.n - 1
	for b.n < 56 {
		value, width := uint64(0), 8
		if b.ones {
			value = 0xFF
		}
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

func (b *lowBits) bit() int32 {
	if b.n == 0 {
		b.fill()
	}
	bit := int32(b.acc & 1)
	b.acc >>= 1
	b.n--
	return bit
}

// backward reads bits from the end, lowest first; a byte of seven ones before one
// above 0x8F holds seven (T.814 7.1.4). Beyond its data it reads zeros.
type backward struct {
	src   []byte
	pos   int
	acc   uint64 // as in lowBits
	n     int
	large bool // the last byte was above 0x8F
}

// newBackward starts at the end of the source, as if behind a large byte.
func newBackward(src []byte) backward {
	return backward{src: src, pos: len(src) - 1, large: true}
}

// newBackwardFrom starts in the upper half of the last byte but one.
func newBackwardFrom(src []byte, half byte) backward {
	b := backward{src: src, pos: len(src) - 3, acc: uint64(half >> 4), n: 4, large: half|15 > 0x8F}
	if b.acc&7 == 7 {
		b.n = 3
		b.acc &= 7
	}
	return b
}

// fill makes at least 56 bits ready.
func (b *backward) fill() {
	if b.pos >= 7 && !b.large {
		word := be64(b.src[b.pos-7:])
		// True unless one of the eight bytes ends in seven ones.
		rest := ^word & 0x7F7F7F7F7F7F7F7F
		if (rest-0x0101010101010101)&^rest&0x8080808080808080 == 0 {
			b.acc |= word << b.n
			bytes := (63 - b.n) >> 3
			b.pos -= bytes
			b.n += 8 * bytes
			b.large = b.src[b.pos+1] > 0x8F
			return
		}
	}
	b.acc &= 1<<b.n - 1
	for b.n < 56 {
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

func (b *backward) take(count int) int {
	value := int(b.acc & (1<<count - 1))
	b.acc >>= count
	b.n -= count
	return value
}

func (b *backward) bit() int32 {
	if b.n == 0 {
		b.fill()
	}
	return int32(b.take(1))
}

// prefix reads the prefix of a u and the length of its suffix (T.814 table 3).
func (b *backward) prefix() (u, suffix int) {
	switch zeros := mathbits.TrailingZeros64(b.acc | 8); zeros {
	case 0, 1:
		b.take(zeros + 1)
		return zeros + 1, 0
	case 2:
		b.take(3)
		return 3, 1
	}
	b.take(3)
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
