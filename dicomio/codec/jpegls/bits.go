package jpegls

import (
	"encoding/binary"
	"errors"
	"fmt"
	mathbits "math/bits"
)

// bits reads coded bits, most significant first; the byte after 0xFF holds seven
// (T.87 A.1). At a marker or at the end it goes on with zeros, and overrun tells
// afterwards.
type bits struct {
	src []byte
	pos int
	acc uint64 // bits left-aligned
	n   int    // valid bits of acc, padding included
	pad int    // of them, zeros that were never in the source
	ff  bool   // the last byte was 0xFF
}

// fill makes at least 48 bits ready.
func (b *bits) fill() {
	if !b.ff && b.pos+8 <= len(b.src) {
		word := binary.BigEndian.Uint64(b.src[b.pos:])
		// True unless one of the eight bytes is 0xFF.
		if (^word-0x0101010101010101)&word&0x8080808080808080 == 0 {
			b.acc |= word >> b.n
			bytes := (63 - b.n) >> 3
			b.pos += bytes
			b.n += 8 * bytes
			return
		}
	}
	b.fillSlow()
}

func (b *bits) fillSlow() {
	// The fast path leaves bits beyond n behind; a stuffed byte would not fit them.
	b.acc = b.acc >> (64 - b.n) << (64 - b.n)
	for b.n < 56 {
		if b.pos >= len(b.src) || b.ff && b.src[b.pos] >= 0x80 || b.src[b.pos] == 0xFF && b.marker() {
			b.n, b.pad = b.n+8, b.pad+8
			continue
		}
		value := b.src[b.pos]
		width := 8
		if b.ff {
			width = 7
		}
		b.acc |= uint64(value) << (64 - b.n - width)
		b.n += width
		b.ff = value == 0xFF
		b.pos++
	}
}

// marker reports whether the 0xFF at the position starts a marker.
func (b *bits) marker() bool { return b.pos+1 >= len(b.src) || b.src[b.pos+1] >= 0x80 }

// take reads count bits, 0 to 24, of which fill made enough ready.
func (b *bits) take(count int) int32 {
	value := int32(b.acc >> 1 >> (63 - count))
	b.acc <<= count
	b.n -= count
	return value
}

// zeros reads zeros and the one after them, and counts the zeros; more than
// limit are no code.
func (b *bits) zeros(limit int) (count int, ok bool) {
	for {
		b.fill()
		run := mathbits.LeadingZeros64(b.acc | 1)
		if run < b.n {
			if count += run; count > limit {
				return 0, false
			}
			b.acc = b.acc << run << 1
			b.n -= run + 1
			return count, true
		}
		if count += b.n; count > limit || b.pad > 64 {
			return 0, false
		}
		b.acc, b.n = 0, 0
	}
}

// golomb reads a limited Golomb code (T.87 A.5.3).
func (b *bits) golomb(k, limit, escapeBits int) (value int32, ok bool) {
	longest := limit - escapeBits - 1
	if k > 24 || longest < 0 { // only sums of damaged errors lead here
		return 0, false
	}
	quotient, ok := b.zeros(longest)
	if !ok {
		return 0, false
	}
	if b.n < 24 {
		b.fill()
	}
	if quotient < longest {
		return int32(quotient)<<k | b.take(k), true
	}
	return b.take(escapeBits) + 1, true
}

// overrun reports whether bits were read that the source does not have.
func (b *bits) overrun() bool { return b.n < b.pad }

// nextInterval goes behind the restart marker that the count demands.
func (b *bits) nextInterval(count int) error {
	for b.pos+1 < len(b.src) && (b.src[b.pos] != 0xFF || b.src[b.pos+1] < 0x80 || b.src[b.pos+1] == 0xFF) {
		b.pos++
	}
	if b.pos+1 >= len(b.src) {
		return errors.New("the jpeg-ls scan ends before the frame is complete")
	}
	if want, got := byte(markerRST0+count%8), b.src[b.pos+1]; got != want {
		return fmt.Errorf("jpeg-ls marker 0x%02x stands where restart marker 0x%02x belongs", got, want)
	}
	*b = bits{src: b.src, pos: b.pos + 2}
	return nil
}
