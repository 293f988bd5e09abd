package peer

import (
	"math/bits"
)

// LosslessJPEG codes the picture's bit patterns as JPEG lossless with predictor
// 1 and one fixed Huffman table: enough to make seeds and hostile variants
// without another program. interval is the number of rows between restart
// markers, 0 for none.
func (p Picture) LosslessJPEG(interval int) []byte {
	out := []byte{0xFF, 0xD8}
	out = append(out, 0xFF, 0xC3, 0, 11, byte(p.Bits), byte(p.Rows>>8), byte(p.Rows), byte(p.Columns>>8), byte(p.Columns), 1, 1, 0x11, 0)
	// Seventeen categories with codes of five bits, in order.
	out = append(out, 0xFF, 0xC4, 0, 19+17, 0, 0, 0, 0, 0, 17)
	out = append(out, make([]byte, 11)...)
	for category := range 17 {
		out = append(out, byte(category))
	}
	if interval > 0 {
		samples := interval * p.Columns
		out = append(out, 0xFF, 0xDD, 0, 4, byte(samples>>8), byte(samples))
	}
	out = append(out, 0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0)
	w := &bitWriter{out: out}
	mask := 1<<p.Bits - 1
	for y := range p.Rows {
		first := y == 0
		if interval > 0 && y > 0 && y%interval == 0 {
			w.flush()
			w.out = append(w.out, 0xFF, byte(0xD0+(y/interval-1)%8))
			first = true
		}
		for x := range p.Columns {
			at := y*p.Columns + x
			prediction := 1 << (p.Bits - 1)
			if x > 0 {
				prediction = int(p.Samples[at-1]) & mask
			} else if !first {
				prediction = int(p.Samples[at-p.Columns]) & mask
			}
			w.difference(int16(int(p.Samples[at])&mask - prediction))
		}
	}
	w.flush()
	return append(w.out, 0xFF, 0xD9)
}

type bitWriter struct {
	out  []byte
	acc  uint64
	used int
}

func (w *bitWriter) put(value, count int) {
	w.acc = w.acc<<count | uint64(value&(1<<count-1))
	for w.used += count; w.used >= 8; w.used -= 8 {
		b := byte(w.acc >> (w.used - 8))
		w.out = append(w.out, b)
		if b == 0xFF {
			w.out = append(w.out, 0)
		}
	}
}

func (w *bitWriter) difference(d int16) {
	size := int(d)
	category := bits.Len(uint(max(size, -size)))
	w.put(category, 5)
	if category == 16 {
		return
	}
	if size < 0 {
		size += 1<<category - 1
	}
	w.put(size, category)
}

func (w *bitWriter) flush() {
	if w.used > 0 {
		w.put(0xFF, 8-w.used)
	}
	w.acc, w.used = 0, 0
}
