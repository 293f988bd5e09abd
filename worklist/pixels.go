package worklist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"neurotriage"
)

// packMark begins a packed slice.
const packMark = "NTS1"

// packHead is what stands before the pixels of a packed slice, little endian.
// A value in modality units is Slope × stored + Intercept.
type packHead struct {
	Mark             [4]byte
	Rows, Columns    uint16
	Spacing          [2]float32 // mm between rows, between columns; 0: unknown
	Slope, Intercept float32
}

// Pack writes a slice for the viewer: 16 bits a pixel, exact for whole modality
// units within 16 bits, else within 1/65535 of the slice's range.
func Pack(s neurotriage.Slice) ([]byte, error) {
	if s.Rows < 1 || s.Columns < 1 || s.Rows > math.MaxUint16 || s.Columns > math.MaxUint16 || len(s.Pixels) != s.Rows*s.Columns {
		return nil, fmt.Errorf("pack slice %s: %d pixels do not make %d rows of %d", s.SOPInstanceUID, len(s.Pixels), s.Rows, s.Columns)
	}
	low, high, whole := span(s.Pixels)
	head := packHead{
		Mark: [4]byte([]byte(packMark)), Rows: uint16(s.Rows), Columns: uint16(s.Columns), //nolint:gosec // bounded above
		Spacing: [2]float32{float32(s.Spacing[0]), float32(s.Spacing[1])}, Slope: 1, Intercept: low,
	}
	if !whole || float64(high)-float64(low) > math.MaxUint16 {
		head.Slope = max((high-low)/math.MaxUint16, math.SmallestNonzeroFloat32)
	}
	var text bytes.Buffer
	text.Grow(binary.Size(head) + 2*len(s.Pixels))
	if err := binary.Write(&text, binary.LittleEndian, head); err != nil {
		return nil, fmt.Errorf("pack slice %s: %w", s.SOPInstanceUID, err)
	}
	packed := text.AvailableBuffer()
	for _, v := range s.Pixels {
		stored := math.Round(float64(v-low) / float64(head.Slope))
		if stored != stored { // a pixel that is no number is shown as black
			stored = 0
		}
		packed = binary.LittleEndian.AppendUint16(packed, uint16(min(max(stored, 0), math.MaxUint16)))
	}
	text.Write(packed)
	return text.Bytes(), nil
}

// span is the range of the finite pixels, and whether all are whole numbers.
func span(pixels []float32) (low, high float32, whole bool) {
	low, high, whole = math.MaxFloat32, -math.MaxFloat32, true
	for _, v := range pixels {
		if v != v || v > math.MaxFloat32 || v < -math.MaxFloat32 {
			continue
		}
		low, high = min(low, v), max(high, v)
		whole = whole && v == float32(int64(v))
	}
	if low > high {
		return 0, 0, true
	}
	return low, high, whole
}

// KeysName names the packed key slices in the media store: they can be shown
// when the study has left the place it was read from.
const KeysName = "keys.slices"

// PackKeys writes the key slices one after the other; one that cannot be packed
// is empty. One object costs the sender one wait.
func PackKeys(keys []neurotriage.KeyImage) []byte {
	var text []byte
	for _, key := range keys {
		packed, err := Pack(key.Slice)
		if err != nil {
			packed = nil
		}
		text = binary.LittleEndian.AppendUint32(text, uint32(len(packed))) //nolint:gosec // limits.frame_pixels bounds a slice far below
		text = append(text, packed...)
	}
	return text
}

// unpackKey gives packed key slice number n, from 0.
func unpackKey(text []byte, n int) ([]byte, error) {
	for ; len(text) >= 4; n-- {
		size := uint64(binary.LittleEndian.Uint32(text))
		if text = text[4:]; size > uint64(len(text)) {
			break
		}
		if n == 0 && size > 0 {
			return text[:size], nil
		}
		text = text[size:]
	}
	return nil, fmt.Errorf("no pixels of that key slice are stored: %w", ErrNotFound)
}
