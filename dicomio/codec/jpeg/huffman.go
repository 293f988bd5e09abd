package jpeg

import (
	"errors"
	"fmt"
)

// lookupBits is the width of the table that decodes short codes at once: long
// enough for nearly every code of real images, small enough for the first cache.
const lookupBits = 11

// codes decodes one Huffman table (T.81 annex C and F.2.2.3).
type codes struct {
	// lookup, by the next lookupBits bits: length of the code << 8 | its value; 0
	// for a longer code.
	lookup [1 << lookupBits]uint16
	// differences, by the same bits: where a code and the bits of its difference
	// fit together, (difference << 8 | their length); 0 otherwise. Only for
	// tables whose values are all categories.
	differences [1 << lookupBits]int32
	// last[n] is the largest code of length n shifted to 16 bits, plus one; it
	// never falls with n, and offset[n] leads from a code to its value.
	last   [17]int
	offset [17]int
	values []byte
}

// codeList is a Huffman table as a segment has it: counts[i] codes of i+1 bits.
type codeList struct{ counts, values []byte }

// huffmanTables reads a DHT segment (T.81 B.2.4.2). A table is built only when a
// scan asks for it: a codestream may define a million.
func (d *decoder) huffmanTables(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return fmt.Errorf("a jpeg huffman table has %d bytes", len(body))
		}
		class, place := body[0]>>4, body[0]&15
		if class > 1 || place > 3 {
			return fmt.Errorf("a jpeg huffman table has class %d and number %d", class, place)
		}
		var total int
		for _, n := range body[1:17] {
			total += int(n)
		}
		if total > 256 || len(body) < 17+total {
			return fmt.Errorf("a jpeg huffman table of %d codes has %d bytes", total, len(body))
		}
		d.huffman[class][place] = codeList{body[1:17], body[17 : 17+total]}
		body = body[17+total:]
	}
	return nil
}

var errNoTable = errors.New("the jpeg scan names a huffman table that is not there")

// codes builds the tables that decode.
func (l codeList) codes() (*codes, error) {
	if l.counts == nil {
		return nil, errNoTable
	}
	c := &codes{values: l.values}
	code, used := 0, 0
	for i, count := range l.counts {
		length := i + 1
		code <<= 1
		c.offset[length] = used - code
		for range int(count) {
			if code >= 1<<length {
				return nil, errors.New("a jpeg huffman table has more codes than bits allow")
			}
			c.enter(code, length, l.values[used])
			code++
			used++
		}
		c.last[length] = code << (16 - length)
	}
	return c, nil
}

// enter puts a code into the lookup tables if it is short enough.
func (c *codes) enter(code, length int, value byte) {
	if length > lookupBits {
		return
	}
	first := code << (lookupBits - length)
	for i := range 1 << (lookupBits - length) {
		c.lookup[first+i] = uint16(length)<<8 | uint16(value)
		if category := int(value); length+category <= lookupBits {
			difference := 0
			if category > 0 {
				difference = i >> (lookupBits - length - category)
				if difference < 1<<(category-1) {
					difference -= 1<<category - 1
				}
			}
			c.differences[first+i] = int32(difference<<8 | length + category)
		}
	}
}

// next reads one value. A code that the table lacks gives ok false.
func (c *codes) next(b *bits) (value byte, ok bool) {
	if entry := c.lookup[b.peek(lookupBits)]; entry != 0 {
		b.skip(int(entry >> 8))
		return byte(entry), true
	}
	code := b.peek(16)
	for length := lookupBits + 1; length <= 16; length++ {
		if code < c.last[length] {
			at := code>>(16-length) + c.offset[length]
			b.skip(length)
			return c.values[at], true
		}
	}
	return 0, false
}
