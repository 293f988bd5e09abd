package jpeg

import (
	"fmt"

	"neurotriage/dicomio/codec"
)

// lossless decodes a scan of T.81 annex H: differences to a prediction from the
// neighbours left (a), above (b) and above left (c), modulo 2^16.
func (d *decoder) lossless(predictor, shift int, table *codes) error {
	columns := d.frame.Columns
	switch {
	case predictor < 1 || predictor > 7:
		return fmt.Errorf("jpeg lossless predictor %d", predictor)
	case shift >= d.precision:
		return fmt.Errorf("jpeg point transform %d of %d bits", shift, d.precision)
	case d.restart%columns != 0: // T.81 H.1.1
		return fmt.Errorf("jpeg restart interval %d is not a multiple of %d columns", d.restart, columns)
	}
	source := &bits{src: d.src}
	above, row, shifted := make([]uint16, columns), make([]uint16, columns), make([]uint16, columns)
	interval := d.restart / columns // rows; 0: one for all
	for y := range d.frame.Rows {
		first := y == 0
		if interval > 0 && y > 0 && y%interval == 0 {
			if err := source.nextInterval(y/interval - 1); err != nil {
				return fmt.Errorf("row %d: %w", y, err)
			}
			first = true
		}
		if err := readDifferences(row, table, source); err != nil {
			return fmt.Errorf("row %d: %w", y, err)
		}
		if first {
			predictFirst(row, 1<<(d.precision-shift-1))
		} else {
			predict(row, above, predictor)
		}
		for i, sample := range row {
			shifted[i] = sample << shift
		}
		codec.PutRow(d.frame, d.dst, y, shifted, d.precision)
		row, above = above, row
	}
	return nil
}

// readDifferences fills a row with differences modulo 2^16 (T.81 H.2.2).
func readDifferences(row []uint16, table *codes, source *bits) error {
	for x := range row {
		source.fill()
		if entry := table.differences[source.peek(lookupBits)]; entry != 0 {
			source.skip(int(entry & 0xFF))
			row[x] = uint16(entry >> 8)
			continue
		}
		category, ok := table.next(source)
		switch {
		case !ok || category > 16:
			if source.overrun() || source.pad > 0 {
				return errScanEnds
			}
			return fmt.Errorf("column %d: the bits are no jpeg huffman code", x)
		case category == 16: // stands for itself, without further bits
			row[x] = 1 << 15
		default:
			row[x] = uint16(source.signed(int(category)))
		}
	}
	if source.overrun() {
		return errScanEnds
	}
	return nil
}

// predictFirst turns the differences of an interval's first row into samples:
// each from its left neighbour, the first from the middle of the range.
func predictFirst(row []uint16, middle uint16) {
	a := middle
	for x := range row {
		a += row[x]
		row[x] = a
	}
}

// predict turns differences into samples in place (T.81 table H.1). The first
// sample of a row is predicted from above.
func predict(row, above []uint16, predictor int) {
	above = above[:len(row)]
	row[0] += above[0]
	a, c := int32(row[0]), int32(above[0])
	switch predictor {
	case 1:
		predictFirst(row[1:], row[0])
	case 2:
		for x := 1; x < len(row); x++ {
			row[x] += above[x]
		}
	case 3:
		for x := 1; x < len(row); x++ {
			row[x] += above[x-1]
		}
	case 4:
		for x := 1; x < len(row); x++ {
			b := int32(above[x])
			row[x] += uint16(a + b - c)
			a, c = int32(row[x]), b
		}
	case 5:
		for x := 1; x < len(row); x++ {
			b := int32(above[x])
			row[x] += uint16(a + (b-c)>>1)
			a, c = int32(row[x]), b
		}
	case 6:
		for x := 1; x < len(row); x++ {
			b := int32(above[x])
			row[x] += uint16(b + (a-c)>>1)
			a, c = int32(row[x]), b
		}
	case 7:
		for x := 1; x < len(row); x++ {
			row[x] += uint16((a + int32(above[x])) >> 1)
			a = int32(row[x])
		}
	}
}
