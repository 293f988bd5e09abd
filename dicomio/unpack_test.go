package dicomio

import (
	"encoding/binary"
	"testing"

	"neurotriage"
)

// BenchmarkUnpack is the arithmetic alone, 384 × 274 in 16 bits.
func BenchmarkUnpack(b *testing.B) {
	plain := image{units: identity, frame: FrameHeader{Rows: 384, Columns: 274, BitsAllocated: 16, BitsStored: 16, HighBit: 15, Signed: true}}
	scaled, packed := plain, plain
	scaled.units = line{slope: 1.5, intercept: -3}
	packed.frame.BitsStored, packed.frame.HighBit, packed.frame.Signed = 12, 11, false
	for _, c := range []struct {
		name string
		m    image
		turn neurotriage.Turn
	}{
		{"plain", plain, neurotriage.Turn{}},
		{"twelve bits", packed, neurotriage.Turn{}},
		{"upside down", plain, neurotriage.Turn{FlipRows: true}},
		{"mirrored", plain, neurotriage.Turn{FlipColumns: true}},
		{"transposed", plain, neurotriage.Turn{Transpose: true}},
		{"rescaled", scaled, neurotriage.Turn{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			raw, dst := make([]byte, 384*274*2), make([]float32, 384*274)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				unpack(dst, raw, c.m, c.turn, binary.LittleEndian)
			}
		})
	}
}
