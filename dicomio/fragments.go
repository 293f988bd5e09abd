package dicomio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"neurotriage"
)

// encapsulated reports pixel data in fragments.
func (p pixelPlace) encapsulated() bool { return p.table.offset > 0 }

// extent is where pixel data and its offset tables begin and end.
func (p pixelPlace) extent() (first, last int64) {
	first, last = p.native.offset, p.native.offset+p.native.length
	if !p.encapsulated() {
		return first, last
	}
	first, last = p.table.offset, p.table.offset+p.table.length
	if p.extended.length > 0 {
		first = min(first, p.extended.offset)
	}
	if p.lengths.length > 0 {
		first = min(first, p.lengths.offset)
	}
	if n := len(p.fragments); n > 0 {
		last = p.fragments[n-1].offset + p.fragments[n-1].length
	}
	return first, last
}

// assign tells which fragments make which frame. With as many fragments as
// frames there is no question; otherwise the basic offset table says it, or the
// extended one (PS3.5 A.4, PS3.3 C.7.6.3.1.8), or the codestreams do by how they
// begin, because tables are empty or wrong in many files.
func assign(r io.ReaderAt, p pixelPlace, frames int, h FrameHeader) ([][]fragment, error) {
	starts, err := p.starts(r, frames)
	if err != nil {
		return nil, err
	}
	if starts == nil && len(p.fragments) != frames {
		if starts, err = codestreams(r, p.fragments, h); err != nil {
			return nil, err
		}
		if len(starts) != frames || starts[0] != 0 {
			return nil, neurotriage.Refuse(neurotriage.CorruptDICOM,
				"%d frames in %d fragments, no offset table that fits, and %d codestreams", frames, len(p.fragments), len(starts))
		}
	}
	parts := make([][]fragment, frames)
	for n := range parts {
		from, to := n, n+1
		if starts != nil {
			from, to = starts[n], len(p.fragments)
			if n+1 < frames {
				to = starts[n+1]
			}
		}
		parts[n] = p.fragments[from:to]
	}
	return p.trim(r, parts)
}

// starts gives the first fragment of each frame by the offset tables, or nil
// where they are not needed, absent or do not fit.
func (p pixelPlace) starts(r io.ReaderAt, frames int) ([]int, error) {
	if len(p.fragments) == frames {
		return nil, nil
	}
	for _, t := range []struct {
		place fragment
		width int
	}{{p.table, 4}, {p.extended, 8}} {
		offsets, err := readTable(r, t.place, t.width, frames)
		if err != nil {
			return nil, err
		}
		if starts := p.match(offsets); starts != nil {
			return starts, nil
		}
	}
	return nil, nil
}

// readTable reads one little endian number a frame, or gives nil when the table
// has another length.
func readTable(r io.ReaderAt, place fragment, width, frames int) ([]uint64, error) {
	if place.length == 0 || place.length != int64(width)*int64(frames) {
		return nil, nil
	}
	raw := make([]byte, place.length) // at most 8 bytes for each of the frames that limits allow
	if _, err := r.ReadAt(raw, place.offset); err != nil {
		return nil, ended(err)
	}
	table := make([]uint64, frames)
	for n := range table {
		if width == 4 {
			table[n] = uint64(binary.LittleEndian.Uint32(raw[4*n:]))
		} else {
			table[n] = binary.LittleEndian.Uint64(raw[8*n:])
		}
	}
	return table, nil
}

// match finds the fragments that begin at the offsets, which count from the
// first fragment's item tag (PS3.5 A.4).
func (p pixelPlace) match(offsets []uint64) []int {
	var starts []int
	at := 0
	for n, offset := range offsets {
		for at < len(p.fragments) && uint64(p.fragments[at].offset-p.fragments[0].offset) < offset {
			at++
		}
		if at == len(p.fragments) || uint64(p.fragments[at].offset-p.fragments[0].offset) != offset || n == 0 && at != 0 || n > 0 && at <= starts[n-1] {
			return nil
		}
		starts = append(starts, at)
	}
	return starts
}

// codestreams gives the fragments that begin like a frame.
func codestreams(r io.ReaderAt, fragments []fragment, h FrameHeader) ([]int, error) {
	var starts []int
	rle := binary.LittleEndian.AppendUint32(nil, uint32(h.Samples*h.BitsAllocated/8)) // PS3.5 G.5: segments,
	rle = binary.LittleEndian.AppendUint32(rle, rleHeaderBytes)                       // and where the first begins
	marks := [][]byte{{0xFF, 0xD8, 0xFF}, {0xFF, 0x4F, 0xFF, 0x51}, rle}
	for n, f := range fragments {
		var head [8]byte
		if _, err := r.ReadAt(head[:min(8, f.length)], f.offset); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if slices.ContainsFunc(marks, func(mark []byte) bool { return bytes.HasPrefix(head[:], mark) }) {
			starts = append(starts, n)
		}
	}
	return starts, nil
}

// trim takes off the padding that the extended table's lengths (7FE0,0002) tell
// from the frame. Lengths that do not fit are not believed.
func (p pixelPlace) trim(r io.ReaderAt, parts [][]fragment) ([][]fragment, error) {
	lengths, err := readTable(r, p.lengths, 8, len(parts))
	if err != nil || lengths == nil {
		return parts, err
	}
	for n, length := range lengths {
		if one := parts[n]; len(one) == 1 && length > 0 && length <= uint64(one[0].length) {
			parts[n] = []fragment{{offset: one[0].offset, length: int64(length)}}
		}
	}
	return parts, nil
}

// total is the length of a frame's fragments together.
func total(parts []fragment) (int, error) {
	sum := int64(0)
	for _, f := range parts {
		sum += f.length
	}
	if sum > 1<<31-1 {
		return 0, neurotriage.Refuse(neurotriage.TooLarge, "a frame of %d compressed bytes", sum)
	}
	return int(sum), nil
}

// extendedTable notes where an extended offset table lies (PS3.3 C.7.6.3.1.8).
func (w *wall) extendedTable(el element) error {
	here := fragment{offset: w.in.off, length: int64(el.length)}
	switch el.tag {
	case tagExtendedOffsets:
		w.out.pixels.extended = here
	case tagExtendedLengths:
		w.out.pixels.lengths = here
	}
	err := w.in.skip(here.length)
	return w.corruptOr(err, el, "an offset table of %d bytes leaves the file", here.length)
}
