// Package peer makes pictures for the codecs' tests and lets programs that are
// not ours (dcmtk, gdcm, OpenJPEG, OpenJPH) compress and decompress them. Nothing
// but tests imports it.
package peer

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"neurotriage/dicomio/codec"
)

// Picture is a generated grey picture.
type Picture struct {
	Rows, Columns int
	Bits          int // stored; samples use this range
	Signed        bool
	Samples       []int32
}

// Kind is what a picture shows.
type Kind string

// The kinds: each drives other paths of a codec.
const (
	Head  Kind = "head"  // smooth shapes with some noise on black, as MR is
	Noise Kind = "noise" // every value of the range: the longest codes
	Flat  Kind = "flat"  // one value: runs
)

// Make draws a picture; the same arguments give the same picture.
func Make(kind Kind, rows, columns, bits int, signed bool) Picture {
	p := Picture{Rows: rows, Columns: columns, Bits: bits, Signed: signed, Samples: make([]int32, rows*columns)}
	random := rand.New(rand.NewPCG(uint64(rows), uint64(columns*100+bits)))
	span := float64(int64(1) << bits)
	lowest := int32(0)
	if signed {
		lowest = -1 << (bits - 1)
	}
	for i := range p.Samples {
		y, x := float64(i/columns)/float64(rows), float64(i%columns)/float64(columns)
		value := 0.0
		switch kind {
		case Head:
			if radius := math.Hypot(x-0.5, y-0.5); radius < 0.42 {
				value = 0.45 + 0.25*math.Sin(9*x+4*y) + 0.15*math.Cos(17*y) + 0.02*random.NormFloat64()
			}
		case Noise:
			value = random.Float64()
		case Flat:
			value = 0.3
		}
		p.Samples[i] = lowest + int32(min(max(value*span, 0), span-1))
	}
	return p
}

// Name says what the picture is.
func (p Picture) Name() string {
	sign := "unsigned"
	if p.Signed {
		sign = "signed"
	}
	return fmt.Sprintf("%dx%d_%dbit_%s", p.Columns, p.Rows, p.Bits, sign)
}

// Frame is what a DICOM header says of the picture.
func (p Picture) Frame() codec.Frame {
	allocated := 16
	if p.Bits <= 8 {
		allocated = 8
	}
	return codec.Frame{Rows: p.Rows, Columns: p.Columns, BitsAllocated: allocated, BitsStored: p.Bits, Signed: p.Signed}
}

// Native is the picture as native little endian pixel data, sign-extended.
func (p Picture) Native() []byte {
	if p.Bits <= 8 {
		out := make([]byte, len(p.Samples))
		for i, s := range p.Samples {
			out[i] = byte(s)
		}
		return out
	}
	out := make([]byte, 2*len(p.Samples))
	for i, s := range p.Samples {
		binary.LittleEndian.PutUint16(out[2*i:], uint16(s))
	}
	return out
}

// Values reads native samples of the frame as a reader of DICOM does: BitsStored
// bits, sign-extended where the frame is signed (PS3.5 8.1.1).
func Values(native []byte, f codec.Frame) []int32 {
	out := make([]int32, f.Rows*f.Columns)
	for i := range out {
		var raw int32
		if f.BitsAllocated == 8 {
			raw = int32(native[i])
		} else {
			raw = int32(binary.LittleEndian.Uint16(native[2*i:]))
		}
		up := 32 - f.BitsStored
		if f.Signed {
			out[i] = raw << up >> up
		} else {
			out[i] = int32(uint32(raw) << up >> up)
		}
	}
	return out
}

// Farthest is the largest difference between two lists of samples, and where.
func Farthest(a, b []int32) (distance, at int) {
	for i := range a {
		if d := int(a[i]) - int(b[i]); max(d, -d) > distance {
			distance, at = max(d, -d), i
		}
	}
	return distance, at
}
