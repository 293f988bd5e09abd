package dicomio

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"neurotriage"
)

// expand gives one view a frame of every instance whose pixels can be read. A
// view is the instance as if the frame were a file of its own, so that all that
// judges and orders classic slices does so with frames.
func expand(group []*instance, limits Limits) []*instance {
	var all []*instance
	for _, i := range group {
		if i.image.frames <= 1 || i.readable(limits) != nil {
			all = append(all, i)
			continue
		}
		i.store = &frameStore{}
		for n := range i.image.frames {
			all = append(all, i.view(n))
		}
	}
	return all
}

// view is frame n, from 0.
func (i *instance) view(n int) *instance {
	v := *i
	v.number, v.frames = n+1, nil
	switch {
	case n < len(i.frames):
		v.take(i.frames[n])
	default: // the groups say nothing of this frame, and one place cannot be that of all
		v.geometry.placed = false
	}
	return &v
}

// countFrames refuses more frames than can be held. They are counted before any
// view is made: a small file may announce many.
func countFrames(all []*instance, limits Limits) *neurotriage.Refusal {
	sum := 0
	for _, i := range all {
		if i.image.frames > 1 && i.image.frames <= limits.Frames {
			sum += i.image.frames
		}
		if sum > limits.StudyFrames {
			return neurotriage.Refuse(neurotriage.TooLarge, "read study: more than %d frames in multi-frame images", limits.StudyFrames)
		}
	}
	return nil
}

// holdsFrames compares the frames that are announced with the pixel data: a
// frame that is missing must not be taken for one that is dark.
func (i *instance) holdsFrames() error {
	frames := int64(i.image.frames)
	switch {
	case i.pixels.encapsulated() && int64(len(i.pixels.fragments)) < frames:
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "%d frames are announced, pixel data has %d fragments", frames, len(i.pixels.fragments))
	case !i.pixels.encapsulated() && i.pixels.native.length < frames*int64(i.image.frame.FrameBytes()):
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "pixel data has %d bytes, %d × %d × %d pixels of %d bits need %d",
			i.pixels.native.length, frames, i.image.frame.Rows, i.image.frame.Columns, i.image.frame.BitsAllocated,
			frames*int64(i.image.frame.FrameBytes()))
	}
	return nil
}

// index is the frame's place in the pixel data, from 0.
func (i *instance) index() int { return max(0, i.number-1) }

// frameStore is what the views of one instance share. Frames are read where they
// lie, each for itself. Only of streams that cannot be read at an offset (archive
// entries, deflated data sets) the pixel data is held, in pieces as they come,
// from the first frame read to the last: to inflate it again for each frame
// would take quadratic time.
type frameStore struct {
	mutex sync.Mutex
	parts [][]fragment // by frame, once it is known
	held  *heldPixels
	plan  int // frames that will be read
	left  int // of these, until held is let go
}

// heldBytes is the size of one piece: memory grows with what is there, not with
// what is announced.
const heldBytes = 1 << 20

// heldPixels is a stretch of a stream that can be read at its offsets.
type heldPixels struct {
	base   int64
	end    int64
	pieces [][]byte
}

// ReadAt reads at an offset of the stream.
func (h *heldPixels) ReadAt(p []byte, offset int64) (int, error) {
	n := 0
	for n < len(p) && offset >= h.base && offset < h.end {
		at := offset - h.base
		piece := h.pieces[at/heldBytes]
		got := copy(p[n:], piece[at%heldBytes:])
		n += got
		offset += int64(got)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Read is never called: an input prefers ReadAt.
func (h *heldPixels) Read([]byte) (int, error) {
	return 0, errors.New("held pixels are read at offsets")
}

// hold gives the pixel data of a forward stream as an input that can be read at
// offsets, and counts down the frames that are still to come.
func (s *frameStore) hold(in *input, p pixelPlace) (*input, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.held == nil {
		first, last := p.extent()
		if err := in.skip(first); err != nil {
			return nil, err
		}
		held := &heldPixels{base: first, end: first}
		for held.end < last {
			piece := make([]byte, min(heldBytes, last-held.end))
			if err := in.read(piece); err != nil {
				return nil, err
			}
			held.pieces = append(held.pieces, piece)
			held.end += int64(len(piece))
		}
		if err := in.finish(); err != nil {
			return nil, err
		}
		s.held, s.left = held, s.plan
	}
	held := s.held
	if s.left--; s.left <= 0 {
		s.held = nil
	}
	return newInput(held, held.end), nil
}

// partsOf gives the fragments of a frame.
func (s *frameStore) partsOf(in *input, i *instance) ([]fragment, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.parts == nil {
		parts, err := assign(in.at, i.pixels, i.image.frames, i.image.frame)
		if err != nil {
			return nil, fmt.Errorf("tell the frames apart: %w", err)
		}
		s.parts = parts
	}
	return s.parts[i.index()], nil
}
