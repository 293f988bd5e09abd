package dicomio

import (
	"encoding/binary"
	"fmt"
)

// rleHeaderBytes is the length of an RLE frame's header: the number of segments
// and fifteen offsets (PS3.5 G.5).
const rleHeaderBytes = 64

// decodeRLE decodes RLE lossless (PS3.5 annex G). Each segment holds one byte
// plane of one sample, the most significant plane first (G.2).
func decodeRLE(dst, frame []byte, h FrameHeader) error {
	if len(frame) < rleHeaderBytes {
		return fmt.Errorf("the rle header needs %d bytes, the frame has %d", rleHeaderBytes, len(frame))
	}
	planes := h.BitsAllocated / 8
	want := planes * h.Samples
	if got := binary.LittleEndian.Uint32(frame); int64(got) != int64(want) {
		return fmt.Errorf("the rle frame has %d segments, %d samples of %d bits need %d", got, h.Samples, h.BitsAllocated, want)
	}
	for segment := range want {
		body, err := rleSegment(frame, segment, want)
		if err != nil {
			return err
		}
		// Byte planes of a sample come most significant first; memory is little endian.
		first := segment/planes*planes + planes - 1 - segment%planes
		if err := unpackBits(dst[first:], want, h.Rows*h.Columns, body); err != nil {
			return fmt.Errorf("rle segment %d: %w", segment+1, err)
		}
	}
	return nil
}

// rleSegment cuts out one segment by the header's offsets (PS3.5 G.5).
func rleSegment(frame []byte, segment, segments int) ([]byte, error) {
	start := int64(binary.LittleEndian.Uint32(frame[4+4*segment:]))
	end := int64(len(frame))
	if segment+1 < segments {
		end = int64(binary.LittleEndian.Uint32(frame[8+4*segment:]))
	}
	if start < rleHeaderBytes || end < start || end > int64(len(frame)) {
		return nil, fmt.Errorf("rle segment %d lies at bytes %d to %d of a frame of %d", segment+1, start, end, len(frame))
	}
	return frame[start:end], nil
}

// unpackBits expands PackBits (PS3.5 G.3.2) into count bytes of dst, one every
// stride. Bytes beyond count are padding of the segment and are left alone.
func unpackBits(dst []byte, stride, count int, src []byte) error {
	out := 0
	for out < count {
		if len(src) == 0 {
			return fmt.Errorf("the segment ends after %d of %d bytes", out, count)
		}
		control := int8(src[0])
		src = src[1:]
		switch {
		case control >= 0: // literal run
			n := min(int(control)+1, count-out)
			if len(src) < n {
				return fmt.Errorf("a literal run of %d bytes leaves the segment", n)
			}
			for i, b := range src[:n] {
				dst[(out+i)*stride] = b
			}
			src = src[min(int(control)+1, len(src)):]
			out += n
		case control != -128: // repeated byte
			if len(src) == 0 {
				return fmt.Errorf("a repeat run leaves the segment")
			}
			n := min(1-int(control), count-out)
			for i := range n {
				dst[(out+i)*stride] = src[0]
			}
			src = src[1:]
			out += n
		}
	}
	return nil
}

// decodeNative takes encapsulated frames that are not compressed (PS3.5 A.4.11).
func decodeNative(dst, frame []byte, h FrameHeader) error {
	if len(frame) < h.FrameBytes() {
		return fmt.Errorf("the frame has %d bytes, %d × %d pixels of %d bits need %d",
			len(frame), h.Rows, h.Columns, h.BitsAllocated, h.FrameBytes())
	}
	copy(dst, frame)
	return nil
}
