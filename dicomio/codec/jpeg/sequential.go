package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"

	"neurotriage/dicomio/codec"
)

// zigzag leads from the order of the codestream to rows of eight (T.81 figure A.6).
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// quantiser is a quantisation table in zigzag order.
type quantiser struct {
	steps [64]int32
	given bool
}

// quantisationTables reads a DQT segment (T.81 B.2.4.1).
func (d *decoder) quantisationTables(body []byte) error {
	for len(body) > 0 {
		wide, place := body[0]>>4, body[0]&15
		size := 64 * (1 + int(wide))
		if wide > 1 || place > 3 || len(body) < 1+size {
			return fmt.Errorf("a jpeg quantisation table of precision %d and number %d has %d bytes", wide, place, len(body))
		}
		table := &d.quantisers[place]
		table.given = true
		for i := range table.steps {
			if wide == 1 {
				table.steps[i] = int32(binary.BigEndian.Uint16(body[1+2*i:]))
			} else {
				table.steps[i] = int32(body[1+i])
			}
		}
		body = body[1+size:]
	}
	return nil
}

// sequential decodes a scan of T.81 annex F.2: blocks of 8 × 8 in rows, which
// reach over the right and the lower edge of the frame.
func (d *decoder) sequential(dc, ac *codes) error {
	if d.quantiser > 3 || !d.quantisers[d.quantiser].given {
		return fmt.Errorf("the jpeg frame names quantisation table %d, which is not there", d.quantiser)
	}
	across, down := (d.frame.Columns+7)/8, (d.frame.Rows+7)/8
	blocks := &blockReader{source: &bits{src: d.src}, dc: dc, ac: ac, quantiser: &d.quantisers[d.quantiser].steps}
	strip := make([]uint16, 8*8*across) // eight rows
	// Lossy samples may overshoot; above the frame's width a reader would wrap them to black.
	middle, highest := 1<<(d.precision-1), 1<<min(d.precision, d.frame.Width())-1
	done, intervals := 0, 0
	for stripe := range down {
		for x := range across {
			if d.restart > 0 && done > 0 && done%d.restart == 0 {
				if err := blocks.source.nextInterval(intervals); err != nil {
					return fmt.Errorf("block %d: %w", done, err)
				}
				intervals++
				blocks.last = 0
			}
			if err := blocks.next(); err != nil {
				return fmt.Errorf("block %d: %w", done, err)
			}
			done++
			transform(&blocks.coefficients, strip[8*x:], 8*across, middle, highest)
		}
		for y := range min(8, d.frame.Rows-8*stripe) {
			codec.PutRow(d.frame, d.dst, 8*stripe+y, strip[8*across*y:][:d.frame.Columns], d.precision)
		}
	}
	return nil
}

// blockReader reads the coefficients of one block after the other.
type blockReader struct {
	source       *bits
	dc, ac       *codes
	quantiser    *[64]int32
	last         int     // DC of the block before, within the interval
	coefficients [64]int // dequantised, in rows
}

// next reads a block (T.81 F.2.2).
func (r *blockReader) next() error {
	r.coefficients = [64]int{}
	source := r.source
	source.fill()
	category, ok := r.dc.next(source)
	if !ok || category > 15 {
		return r.fault()
	}
	// Wrapped to 16 bits so that damaged sums stay in range.
	r.last = int(int16(r.last + source.signed(int(category))))
	r.coefficients[0] = r.last * int(r.quantiser[0])
	for at := 1; at < 64; at++ {
		source.fill()
		value, ok := r.ac.next(source)
		if !ok {
			return r.fault()
		}
		run, category := int(value>>4), int(value&15)
		if category == 0 {
			if run != 15 { // the rest is zero
				break
			}
			at += 15
			continue
		}
		if at += run; at > 63 {
			return errors.New("a jpeg run of zeros leaves the block")
		}
		r.coefficients[zigzag[at]] = source.signed(category) * int(r.quantiser[at])
	}
	if source.overrun() {
		return errScanEnds
	}
	return nil
}

func (r *blockReader) fault() error {
	if r.source.pad > 0 {
		return errScanEnds
	}
	return errors.New("the bits are no jpeg huffman code")
}
