package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errScanEnds = errors.New("the jpeg scan ends before the frame is complete")

// bits reads entropy-coded bits, most significant first, and takes the zero
// byte after each 0xFF away (T.81 F.1.2.3). At a marker or at the end it goes on
// with zeros, and overrun tells afterwards: so the decoding loops stay short.
type bits struct {
	src []byte
	pos int
	acc uint64 // bits left-aligned
	n   int    // valid bits of acc, padding included
	pad int    // of them, zeros that were never in the source
}

// fill makes at least 48 bits ready.
func (b *bits) fill() {
	if b.pos+8 <= len(b.src) {
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
	for b.n < 56 {
		if b.pos >= len(b.src) {
			b.n, b.pad = b.n+8, b.pad+8
			continue
		}
		value := b.src[b.pos]
		if value != 0xFF {
			b.pos++
		} else if b.pos+1 < len(b.src) && b.src[b.pos+1] == 0 {
			b.pos += 2
		} else { // a marker, or the source ends in the middle of one
			b.n, b.pad = b.n+8, b.pad+8
			continue
		}
		b.acc |= uint64(value) << (56 - b.n)
		b.n += 8
	}
}

// peek gives the next count bits, 1 to 16, of which fill made enough ready.
func (b *bits) peek(count int) int { return int(b.acc >> (64 - count)) }

// skip takes bits that were peeked.
func (b *bits) skip(count int) { b.acc <<= count; b.n -= count }

// take reads count bits, 0 to 16.
func (b *bits) take(count int) int {
	value := int(b.acc >> 1 >> (63 - count))
	b.skip(count)
	return value
}

// signed reads a difference of the given category (T.81 F.2.2.1, EXTEND).
func (b *bits) signed(category int) int {
	value := b.take(category)
	if category > 0 && value < 1<<(category-1) {
		value -= 1<<category - 1
	}
	return value
}

// overrun reports whether bits were read that the source does not have. A
// fault is noticed at latest when the next row or block is finished.
func (b *bits) overrun() bool { return b.n < b.pad }

// nextInterval goes to the start of the next restart interval, whose marker has
// to be the one that the count demands (T.81 F.2.1.3.1).
func (b *bits) nextInterval(count int) error {
	// The reader may stand before unread bytes of the last interval: padding only.
	for b.pos+1 < len(b.src) && (b.src[b.pos] != 0xFF || b.src[b.pos+1] == 0 || b.src[b.pos+1] == 0xFF) {
		b.pos++
	}
	if b.pos+1 >= len(b.src) {
		return errScanEnds
	}
	if want, got := byte(markerRST0+count%8), b.src[b.pos+1]; got != want {
		return fmt.Errorf("jpeg marker 0x%02x stands where restart marker 0x%02x belongs", got, want)
	}
	b.pos += 2
	b.acc, b.n, b.pad = 0, 0, 0
	return nil
}
