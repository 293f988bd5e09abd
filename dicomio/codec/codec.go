// Package codec holds what the decoders of compressed pixel data share: the
// frame that a file's header promises, the two kinds of error, and how decoded
// samples become native bytes. The decoders are its subfolders, pure functions
// on bytes: jpeg (JPEG lossless, baseline and extended), jpegls and jpeg2000
// (with HTJ2K). They know nothing of DICOM files.
//
// Promises of every decoder: the codestream's own size is compared with the
// frame before anything is allocated; memory grows with the frame, never with a
// number that the codestream claims; damaged input gives an error, never a
// panic or an endless loop.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrUnsupported marks a codestream that is legal and that no decoder here
// reads. Every other error means that the codestream is damaged or does not
// fit its frame.
var ErrUnsupported = errors.New("not supported")

// Frame is what the file's header says of the one grey frame to decode.
type Frame struct {
	Rows, Columns int
	BitsAllocated int // 8 or 16: the width of a native sample
	BitsStored    int
	HighBit       int  // BitsStored - 1, or 0 for that, save in odd files
	Signed        bool // pixel representation 1, two's complement
}

// Width is the number of bits up to the highest that belongs to a sample: what
// lossy samples must not overshoot.
func (f Frame) Width() int { return max(f.BitsStored, f.HighBit+1) }

// Bytes is the length of the native frame.
func (f Frame) Bytes() int { return f.Rows * f.Columns * f.BitsAllocated / 8 }

// maxPixels keeps products of sizes far from overflow on every platform.
const maxPixels = 1 << 28

// Check compares the frame with dst and with what the codestream says of itself.
// Precision may be below BitsStored (real files are like that) and above it, but
// has to fit the native sample.
func (f Frame) Check(dst []byte, rows, columns, precision int) error {
	switch {
	case f.BitsAllocated != 8 && f.BitsAllocated != 16:
		return fmt.Errorf("%d bits allocated: %w", f.BitsAllocated, ErrUnsupported)
	case f.Rows <= 0 || f.Columns <= 0 || f.Rows > maxPixels/f.Columns:
		return fmt.Errorf("the header has %d × %d pixels", f.Rows, f.Columns)
	case len(dst) != f.Bytes():
		return fmt.Errorf("the native frame has %d bytes, %d × %d pixels of %d bits need %d",
			len(dst), f.Rows, f.Columns, f.BitsAllocated, f.Bytes())
	case rows != f.Rows || columns != f.Columns:
		return fmt.Errorf("the codestream has %d × %d pixels, the header %d × %d", rows, columns, f.Rows, f.Columns)
	case precision < 1 || precision > f.BitsAllocated:
		return fmt.Errorf("the codestream has %d bits a sample, %d are allocated", precision, f.BitsAllocated)
	}
	return nil
}

// PutRow writes decoded samples as one native little endian row of dst, as PutRun
// does.
func PutRow[T uint16 | int32](f Frame, dst []byte, row int, samples []T, precision int) {
	PutRun(f, dst, row, 0, samples, precision)
}

// PutRun writes decoded samples as native little endian ones from a row and
// column of dst on.
//
// A codestream of BitsStored bits or fewer has the samples themselves: they go
// below HighBit. Bits above the codestream's precision were never coded: a signed
// frame's samples are extended from it, an unsigned one's have none. A codestream
// of more bits has the native words as they are.
func PutRun[T uint16 | int32](f Frame, dst []byte, row, column int, samples []T, precision int) {
	at := row*f.Columns + column
	if precision == f.BitsStored && f.Width() == f.BitsStored || precision > f.BitsStored {
		putPlain(f, dst, at, samples)
		return
	}
	spare := 32 - precision
	shift := f.Width() - f.BitsStored
	word := func(s T) uint16 {
		value := uint32(s) << spare
		if f.Signed {
			return uint16(int32(value) >> spare << shift)
		}
		return uint16(value >> spare << shift)
	}
	if f.BitsAllocated == 8 {
		out := dst[at:][:len(samples)]
		for i, s := range samples {
			out[i] = byte(word(s))
		}
		return
	}
	out := dst[at*2:][:len(samples)*2]
	for i, s := range samples {
		binary.LittleEndian.PutUint16(out[2*i:], word(s))
	}
}

// putPlain writes samples as they are.
func putPlain[T uint16 | int32](f Frame, dst []byte, at int, samples []T) {
	if f.BitsAllocated == 8 {
		out := dst[at:][:len(samples)]
		for i, s := range samples {
			out[i] = byte(s)
		}
		return
	}
	out := dst[at*2:][:len(samples)*2]
	for i, s := range samples {
		binary.LittleEndian.PutUint16(out[2*i:], uint16(s))
	}
}
