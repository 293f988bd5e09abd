package dicomio_test

import (
	"bytes"
	"errors"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// FuzzRLE: whatever a frame holds, the answer is a whole slice or a refusal. The
// file around it is sound, so that every run reaches the decoder.
func FuzzRLE(f *testing.F) {
	file := sound()
	us := func(tag uint32, value uint16) kit.Element {
		return kit.Element{Tag: tag, VR: "US", Value: []uint16{value}}
	}
	head := make([]byte, 64)
	head[0], head[4], head[8] = 2, 64, 67
	f.Add(append(bytes.Clone(head), 0x81, 7, 0, 0x02, 1, 2, 3), uint8(1), uint8(3), true)
	f.Add(append(bytes.Clone(head), 0xC1, 7, 0, 0xC1, 1), uint8(8), uint8(8), true)
	head[0], head[8] = 1, 0
	f.Add(append(bytes.Clone(head), 0x80, 0x80, 0xFD, 9), uint8(2), uint8(2), false)
	f.Fuzz(func(t *testing.T, frame []byte, rows, columns uint8, wide bool) {
		if len(frame) > 64<<10 {
			t.Skip("larger than a seed grows to")
		}
		bits := uint16(8)
		if wide {
			bits = 16
		}
		data := kit.EncodeFile(kit.RLE, file.With(us(0x00280010, uint16(rows)), us(0x00280011, uint16(columns)),
			us(0x00280100, bits), us(0x00280101, bits), us(0x00280102, bits-1),
			kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{frame}}))
		slice, err := dicomio.ReadSlice(bytes.NewReader(data), fuzzLimits)
		var refusal *neurotriage.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("no refusal: %v", err)
		}
		if err == nil && len(slice.Pixels) != int(rows)*int(columns) {
			t.Fatalf("%d pixels for %d × %d", len(slice.Pixels), rows, columns)
		}
	})
}
