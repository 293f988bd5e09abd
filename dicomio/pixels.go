package dicomio

import (
	"encoding/binary"
	"math"

	"neurotriage"
)

// samples is how stored bits become a value in modality units.
type samples struct {
	left, right      uint // shifts that cut BitsStored bits out below HighBit, with sign
	signed           bool
	slope, intercept float64
}

// samplesOf prepares the arithmetic of PS3.3 C.7.6.3.1 and C.11.1.
func samplesOf(m image) samples {
	f := m.frame
	s := samples{
		left: uint(31 - f.HighBit), right: uint(32 - f.BitsStored),
		signed: f.Signed, slope: m.units.slope, intercept: m.units.intercept,
	}
	if f.Photometric == "MONOCHROME1" {
		// It shows its smallest value as white (C.7.6.3.1.2). Mirrored about the
		// middle of what can be stored, bright is bright: x becomes sum - x.
		sum := float64(uint64(1)<<f.BitsStored - 1)
		if f.Signed {
			sum = -1
		}
		s.slope, s.intercept = -m.units.slope, m.units.slope*sum+m.units.intercept
	}
	return s
}

// value cuts the stored value out of a word.
func (s samples) value(word uint32) float64 {
	if s.signed {
		return float64(int32(word<<(s.left&31)) >> (s.right & 31))
	}
	return float64(word << (s.left & 31) >> (s.right & 31))
}

// units turns a stored value into modality units.
func (s samples) units(stored float64) float32 { return float32(stored*s.slope + s.intercept) }

// plain reports stored values that are modality units.
func (s samples) plain() bool { return s.slope == 1 && s.intercept == 0 }

// walk visits canonical pixels in the order of stored ones.
type walk struct{ start, right, down int }

// walkOf gives where the first stored pixel lands among rows × columns canonical
// ones, and how far apart stored neighbours land.
func walkOf(t neurotriage.Turn, rows, columns int) walk {
	right, down := 1, columns
	start := 0
	if t.FlipColumns {
		start += columns - 1
		right = -right
	}
	if t.FlipRows {
		start += (rows - 1) * columns
		down = -down
	}
	if t.Transpose {
		right, down = down, right
	}
	return walk{start: start, right: right, down: down}
}

// unpack turns native bytes into modality units in canonical orientation. dst
// has as many elements as the frame has pixels.
func unpack(dst []float32, raw []byte, m image, t neurotriage.Turn, order binary.ByteOrder) {
	rows, columns, _ := lay(t, m.frame.Rows, m.frame.Columns, [2]float64{})
	w := walkOf(t, rows, columns)
	s := samplesOf(m)
	bytesPerRow := m.frame.Columns * m.frame.BitsAllocated / 8
	buffer := make([]float32, m.frame.Columns)
	for row := range m.frame.Rows {
		line := raw[row*bytesPerRow:][:bytesPerRow]
		at := w.start + row*w.down
		if w.right == 1 {
			s.row(dst[at:][:m.frame.Columns], line, m.frame.BitsAllocated, order)
			continue
		}
		s.row(buffer, line, m.frame.BitsAllocated, order)
		for _, v := range buffer {
			dst[at] = v
			at += w.right
		}
	}
	if m.hasPadding {
		fillPadding(dst, m, s)
	}
}

// row turns one stored row into modality units.
func (s samples) row(out []float32, line []byte, bits int, order binary.ByteOrder) {
	switch {
	case bits == 16 && order == binary.LittleEndian:
		s.row16(out, line)
	case bits == 16:
		for i := range out {
			out[i] = s.units(s.value(uint32(order.Uint16(line[2*i:]))))
		}
	case bits == 8:
		for i, b := range line[:len(out)] {
			out[i] = s.units(s.value(uint32(b)))
		}
	default:
		for i := range out {
			out[i] = s.units(s.value(order.Uint32(line[4*i:])))
		}
	}
}

// row16 is the road that nearly every MR slice takes: its loops have no branches.
func (s samples) row16(out []float32, line []byte) {
	left, right := s.left&31, s.right&31
	switch {
	case s.plain() && s.signed:
		for i := range out {
			out[i] = float32(int32(uint32(binary.LittleEndian.Uint16(line[2*i:2*i+2]))<<left) >> right)
		}
	case s.plain():
		for i := range out { // below 1<<16, so that the quicker signed conversion holds
			out[i] = float32(int32(uint32(binary.LittleEndian.Uint16(line[2*i:2*i+2])) << left >> right))
		}
	case s.signed:
		for i := range out {
			out[i] = s.units(float64(int32(uint32(binary.LittleEndian.Uint16(line[2*i:2*i+2]))<<left) >> right))
		}
	default:
		for i := range out {
			out[i] = s.units(float64(int32(uint32(binary.LittleEndian.Uint16(line[2*i:2*i+2])) << left >> right)))
		}
	}
}

// fillPadding gives padding pixels (PS3.3 C.7.5.1.1.2) the smallest value of a
// real one, so that no border shines and no window is stretched by them.
func fillPadding(dst []float32, m image, s samples) {
	low, high := s.units(m.padding), s.units(m.paddingLimit)
	if low > high {
		low, high = high, low
	}
	smallest := float32(math.Inf(1))
	for _, v := range dst {
		if (v < low || v > high) && v < smallest {
			smallest = v
		}
	}
	if math.IsInf(float64(smallest), 1) {
		return // nothing but padding: flat either way
	}
	for i, v := range dst {
		if v >= low && v <= high {
			dst[i] = smallest
		}
	}
}
