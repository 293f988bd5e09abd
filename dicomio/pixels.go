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
	invert           bool
	sum              int64 // smallest + largest storable value, the mirror of MONOCHROME1
	slope, intercept float64
}

// samplesOf prepares the arithmetic of PS3.3 C.7.6.3.1 and C.11.1.
func samplesOf(m image) samples {
	f := m.frame
	s := samples{
		left: uint(31 - f.HighBit), right: uint(32 - f.BitsStored),
		signed: f.Signed, slope: m.slope, intercept: m.intercept,
		// MONOCHROME1 shows its smallest value as white (C.7.6.3.1.2): mirrored
		// about the middle of what can be stored, bright is bright.
		invert: f.Photometric == "MONOCHROME1",
	}
	s.sum = 1<<f.BitsStored - 1
	if f.Signed {
		s.sum = -1
	}
	return s
}

// value cuts the stored value out of a word.
func (s samples) value(word uint32) int64 {
	if s.signed {
		return int64(int32(word<<s.left) >> s.right)
	}
	return int64(word << s.left >> s.right)
}

// units turns a stored value into modality units.
func (s samples) units(stored int64) float32 {
	if s.invert {
		stored = s.sum - stored
	}
	return float32(float64(stored)*s.slope + s.intercept)
}

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

// unpack turns native little endian bytes into modality units in canonical
// orientation. dst has as many elements as the frame has pixels.
func unpack(dst []float32, raw []byte, m image, t neurotriage.Turn, order binary.ByteOrder) {
	rows, columns, _ := lay(t, m.frame.Rows, m.frame.Columns, [2]float64{})
	w := walkOf(t, rows, columns)
	s := samplesOf(m)
	bytesPerRow := m.frame.Columns * m.frame.BitsAllocated / 8
	for row := range m.frame.Rows {
		line := raw[row*bytesPerRow : (row+1)*bytesPerRow]
		at := w.start + row*w.down
		switch {
		case m.frame.BitsAllocated == 16 && order == binary.LittleEndian:
			unpack16(dst, line, at, w.right, s)
		default:
			unpackAny(dst, line, at, w.right, s, m.frame.BitsAllocated, order)
		}
	}
	if m.hasPadding {
		fillPadding(dst, m, s)
	}
}

// unpack16 is the road that nearly every MR image takes.
func unpack16(dst []float32, line []byte, at, step int, s samples) {
	plain := !s.invert && s.slope == 1 && s.intercept == 0
	switch {
	case plain && s.signed && s.left == 16 && s.right == 16:
		for ; len(line) >= 2; line = line[2:] {
			dst[at] = float32(int16(binary.LittleEndian.Uint16(line)))
			at += step
		}
	case plain && !s.signed:
		for ; len(line) >= 2; line = line[2:] {
			dst[at] = float32(uint32(binary.LittleEndian.Uint16(line)) << s.left >> s.right)
			at += step
		}
	default:
		for ; len(line) >= 2; line = line[2:] {
			dst[at] = s.units(s.value(uint32(binary.LittleEndian.Uint16(line))))
			at += step
		}
	}
}

func unpackAny(dst []float32, line []byte, at, step int, s samples, bits int, order binary.ByteOrder) {
	width := bits / 8
	for ; len(line) >= width; line = line[width:] {
		var word uint32
		switch width {
		case 1:
			word = uint32(line[0])
		case 2:
			word = uint32(order.Uint16(line))
		default:
			word = order.Uint32(line)
		}
		dst[at] = s.units(s.value(word))
		at += step
	}
}

// fillPadding gives padding pixels (PS3.3 C.7.5.1.1.2) the smallest value of a
// real one, so that no border shines and no window is stretched by them.
func fillPadding(dst []float32, m image, s samples) {
	low, high := s.units(int64(m.padding)), s.units(int64(m.paddingLimit))
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
