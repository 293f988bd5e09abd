package jpeg2000

import (
	"errors"
	"fmt"
	mathbits "math/bits"
)

var errPacketEnds = errors.New("the data ends inside a packet header")

// packetReader gives the code-blocks of a tile their data (T.800 B.9 and B.10).
type packetReader struct {
	tile      *tile
	at        int    // in the tile's bodies
	packed    []byte // headers still to come, where they are packed
	delivered []delivery
}

// delivery is the share of a packet's body that belongs to a code-block; its
// place is known when the header has been read.
type delivery struct {
	block  *block
	length int32
	passes uint8
	most   uint8 // as in piece
}

func (t *tile) readPackets() error {
	r := &packetReader{tile: t, packed: t.packed}
	if blocks := t.space.blocks.used; cap(t.space.pieces) < blocks {
		t.space.pieces = make([]piece, 0, blocks)
	}
	count := 0
	return t.packets(func(p *precinct) error {
		if err := r.packet(p); err != nil {
			return fmt.Errorf("packet %d (resolution %d, layer %d): %w", count, p.level, p.layer, err)
		}
		count++
		p.layer++
		return nil
	})
}

func (r *packetReader) packet(p *precinct) error {
	s, bodies := r.tile.style, r.tile.bodies
	if rest := bodies[r.at:]; s.sop && len(rest) >= 6 && be16(rest) == markerSOP {
		r.at += 6
	}
	packed := r.tile.hasPacked
	header := headerBits{src: bodies[r.at:]}
	if packed {
		header.src = r.packed
	}
	r.delivered = r.delivered[:0]
	if header.bit() == 1 {
		if blocks := len(p.parts[0].blocks) + len(p.parts[1].blocks) + len(p.parts[2].blocks); cap(r.delivered) < blocks {
			r.delivered = make([]delivery, 0, blocks)
		}
		for i := range p.parts {
			part := &p.parts[i]
			for j := range part.blocks {
				if err := r.block(&header, part, j, p.layer); err != nil {
					return err
				}
			}
		}
	}
	rest, err := header.end()
	if err != nil {
		return err
	}
	if s.eph && len(rest) >= 2 && be16(rest) == markerEPH {
		rest = rest[2:]
	}
	if packed {
		r.packed = rest
	} else {
		r.at = len(bodies) - len(rest)
	}
	return r.deliver()
}

// deliver shares the packet's body out.
func (r *packetReader) deliver() error {
	space := &r.tile.space
	if err := spend(&r.tile.budget.pieces, len(r.delivered), "shares of code-blocks"); err != nil {
		return err
	}
	for _, d := range r.delivered {
		if left := len(r.tile.bodies) - r.at; int(d.length) > left {
			return fmt.Errorf("a code-block has %d bytes, %d remain", d.length, left)
		}
		space.pieces = append(space.pieces, piece{at: int32(r.at), length: d.length, passes: d.passes, most: d.most})
		r.at += int(d.length)
		number := int32(len(space.pieces))
		if d.block.last == 0 {
			d.block.first = number
		} else {
			space.pieces[d.block.last-1].next = number
		}
		d.block.last = number
	}
	return nil
}

// block reads what a packet header says of one code-block (T.800 B.10.3 to
// B.10.7).
func (r *packetReader) block(header *headerBits, part *precinctBand, index int, layer int32) error {
	b := &part.blocks[index]
	if !b.included {
		if !part.inclusion.below(header, index, layer+1) {
			return header.err()
		}
		for !part.zeroes.below(header, index, int32(b.planes)+1) {
			if b.planes++; b.planes > 64 {
				return errors.New("a code-block lacks more bit planes than there are")
			}
		}
		b.included = true
	} else if header.bit() == 0 {
		return header.err()
	}
	passes := header.passes()
	for header.bit() == 1 {
		if b.length++; b.length > 32 {
			return errors.New("the length of a code-block is damaged")
		}
	}
	if int(b.passes)+passes > mostPasses {
		return errManyPasses
	}
	if r.tile.style.blockStyle&styleHigh != 0 {
		return r.highLengths(b, header, passes)
	}
	r.lengths(b, header, passes)
	return header.err()
}

// mostPasses is what 64 bit planes may have; those of a band are checked when
// the block is decoded.
const mostPasses = 3*64 - 2

var errManyPasses = errors.New("a code-block has more passes than bit planes")

// lengths reads the lengths of a block's codewords.
func (r *packetReader) lengths(b *block, header *headerBits, passes int) {
	style := r.tile.style.blockStyle
	for passes > 0 {
		start, most := codewordOf(style, int(b.passes))
		joining := min(passes, start+most-int(b.passes))
		d := delivery{block: b, length: header.length(int(b.length) + mathbits.Len(uint(joining)) - 1), passes: uint8(joining)}
		if start == int(b.passes) {
			d.most = uint8(most)
		}
		r.delivered = append(r.delivered, d)
		b.passes += uint8(joining)
		passes -= joining
	}
}

// codewordOf gives the first pass of the codeword that a pass belongs to, and how
// many passes it may have (T.800 D.4.2 and D.6).
func codewordOf(style, pass int) (start, most int) {
	switch {
	case style&styleTermination != 0:
		return pass, 1
	case style&styleBypass == 0:
		return 0, mostPasses
	case pass < 10:
		return 0, 10
	case (pass-10)%3 < 2: // raw significance and refinement
		return pass - (pass-10)%3, 2
	}
	return pass, 1
}

// headerBits reads packet header bits; the byte after 0xFF holds seven (T.800
// B.10.1). Beyond the end it gives zeros and remembers.
type headerBits struct {
	src  []byte
	pos  int
	byte byte
	left int
	over bool
}

func (h *headerBits) bit() int {
	if h.left == 0 {
		h.left = 8
		if h.byte == 0xFF {
			h.left = 7
		}
		if h.pos < len(h.src) {
			h.byte = h.src[h.pos]
			h.pos++
		} else {
			h.byte, h.over = 0, true
		}
	}
	h.left--
	return int(h.byte>>h.left) & 1
}

// bits reads count bits.
func (h *headerBits) bits(count int) int {
	value := 0
	for range count {
		value = value<<1 | h.bit()
	}
	return value
}

// length reads a length; what no source has becomes the largest number.
func (h *headerBits) length(count int) int32 {
	return int32(min(h.bits(min(count, 40)), 1<<31-1))
}

// passes reads the number of coding passes (T.800 table B.4).
func (h *headerBits) passes() int {
	if h.bit() == 0 {
		return 1
	}
	if h.bit() == 0 {
		return 2
	}
	if n := h.bits(2); n < 3 {
		return 3 + n
	}
	if n := h.bits(5); n < 31 {
		return 6 + n
	}
	return 37 + h.bits(7)
}

func (h *headerBits) err() error {
	if h.over {
		return errPacketEnds
	}
	return nil
}

// end gives what follows the header.
func (h *headerBits) end() ([]byte, error) {
	if h.byte == 0xFF { // a stuffed byte follows
		h.left = 0
		h.bit()
	}
	return h.src[h.pos:], h.err()
}
