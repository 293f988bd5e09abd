package jpeg2000

import (
	"errors"
	"fmt"
	mathbits "math/bits"
)

var errPacketEnds = errors.New("the data ends inside a packet header")

// readPackets gives the code-blocks of a tile their data (T.800 B.9 and B.10).
func readPackets(resolutions []*resolution, s *style, source []byte) error {
	count := 0
	return packetOrder(resolutions, s, func(r *resolution, p *precinct) error {
		rest, err := readPacket(p, s, source)
		if err != nil {
			return fmt.Errorf("packet %d (resolution %d, layer %d): %w", count, r.level, p.layer, err)
		}
		count++
		p.layer++
		source = rest
		return nil
	})
}

// delivery is the share of a packet's body that belongs to a code-block.
type delivery struct {
	block  *block
	word   int // of block.segments
	length int
}

func readPacket(p *precinct, s *style, source []byte) (rest []byte, err error) {
	if s.sop && len(source) >= 6 && be16(source) == markerSOP {
		source = source[6:]
	}
	header := &headerBits{src: source}
	var body []delivery
	if header.bit() == 1 {
		for _, part := range p.parts {
			for i := range part.blocks {
				if body, err = readBlockHeader(header, part, i, p.layer, s, body); err != nil {
					return nil, err
				}
			}
		}
	}
	if source, err = header.end(); err != nil {
		return nil, err
	}
	if s.eph && len(source) >= 2 && be16(source) == markerEPH {
		source = source[2:]
	}
	for _, d := range body {
		if d.length > len(source) {
			return nil, fmt.Errorf("a code-block has %d bytes, %d remain", d.length, len(source))
		}
		d.block.segments[d.word].add(source[:d.length])
		source = source[d.length:]
	}
	return source, nil
}

// add appends data; a single piece is not copied.
func (c *codeword) add(data []byte) {
	switch {
	case c.data == nil:
		c.data, c.shared = data, true
	case c.shared:
		c.data, c.shared = append(append(make([]byte, 0, len(c.data)+len(data)), c.data...), data...), false
	default:
		c.data = append(c.data, data...)
	}
}

// readBlockHeader reads what a packet header says of one code-block (T.800 B.10.3
// to B.10.7).
func readBlockHeader(header *headerBits, part *precinctBand, index, layer int, s *style, body []delivery) ([]delivery, error) {
	b := &part.blocks[index]
	if !b.included {
		if !part.inclusion.below(header, index, layer+1) {
			return body, header.err()
		}
		for !part.zeroes.below(header, index, b.planes+1) {
			if b.planes++; b.planes > 64 {
				return nil, errors.New("a code-block lacks more bit planes than there are")
			}
		}
		b.included = true
	} else if header.bit() == 0 {
		return body, header.err()
	}
	passes := header.passes()
	for header.bit() == 1 {
		if b.length++; b.length > 32 {
			return nil, errors.New("the length of a code-block is damaged")
		}
	}
	if s.blockStyle&styleHigh != 0 {
		return b.highLengths(header, passes, body)
	}
	for passes > 0 {
		if n := len(b.segments); n == 0 || b.segments[n-1].passes == b.segments[n-1].most {
			b.segments = append(b.segments, codeword{most: longest(s.blockStyle, b.passes)})
		}
		word := len(b.segments) - 1
		joining := min(passes, b.segments[word].most-b.segments[word].passes)
		length := header.bits(b.length + mathbits.Len(uint(joining)) - 1)
		b.segments[word].passes += joining
		b.passes += joining
		passes -= joining
		body = append(body, delivery{b, word, length})
	}
	return body, header.err()
}

// longest is the number of passes in the codeword that starts with the given
// pass (T.800 D.4.2 and D.6).
func longest(style, pass int) int {
	switch {
	case style&styleTermination != 0:
		return 1
	case style&styleBypass == 0:
		return 1 << 20
	case pass < 10:
		return 10 - pass
	case (pass-10)%3 == 0: // raw significance and refinement
		return 2
	}
	return 1
}

// highLengths reads the lengths of the two codewords of a T.814 code-block. The
// passes of earlier, empty sets only count bit planes (T.814 B.2).
func (b *block) highLengths(header *headerBits, passes int, body []delivery) ([]delivery, error) {
	if len(b.segments) > 0 {
		return nil, errors.New("a code-block of high throughput is spread over layers")
	}
	empty := (passes - 1) / 3
	b.planes += empty
	passes -= 3 * empty
	b.passes = passes
	first := header.bits(b.length + mathbits.Len(uint(3*empty+1)) - 1)
	b.segments = append(b.segments, codeword{passes: 1, most: 1})
	body = append(body, delivery{b, 0, first})
	if passes > 1 {
		second := header.bits(b.length + passes - 2)
		b.segments = append(b.segments, codeword{passes: passes - 1, most: 2})
		body = append(body, delivery{b, 1, second})
	}
	return body, header.err()
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

// bits reads count bits; more than 31 give a number larger than any length.
func (h *headerBits) bits(count int) int {
	value := 0
	for range min(count, 40) {
		value = value<<1 | h.bit()
	}
	return value
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

// tagTree is the tree of T.800 B.10.2, decoded step by step.
type tagTree struct {
	levels []tagLevel // leaves first
}

type tagLevel struct {
	across int
	nodes  []tagNode
}

// tagNode knows that its value is at least low, and once found is exactly low.
type tagNode struct {
	low   int
	found bool
}

func newTagTree(across, down int) *tagTree {
	t := &tagTree{}
	for {
		t.levels = append(t.levels, tagLevel{across, make([]tagNode, across*down)})
		if across*down <= 1 {
			return t
		}
		across, down = (across+1)/2, (down+1)/2
	}
}

// below reads on until it is known whether the leaf's value is below the limit.
func (t *tagTree) below(h *headerBits, leaf, limit int) bool {
	x, y := leaf%t.levels[0].across, leaf/t.levels[0].across
	low := 0
	for i := len(t.levels) - 1; i >= 0; i-- {
		level := &t.levels[i]
		node := &level.nodes[y>>i*level.across+x>>i]
		node.low = max(node.low, low)
		for !node.found && node.low < limit && !h.over {
			if h.bit() == 1 {
				node.found = true
			} else {
				node.low++
			}
		}
		low = node.low
	}
	leafNode := &t.levels[0].nodes[leaf]
	return leafNode.found && leafNode.low < limit
}
