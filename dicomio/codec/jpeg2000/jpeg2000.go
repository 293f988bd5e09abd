// Package jpeg2000 decodes grey JPEG 2000 codestreams of ITU-T T.800, reversible
// and irreversible, and those of high throughput (T.814), as they stand in DICOM
// files. Any tiling, progression and changes of it, precincts, layers, packed
// packet headers and code-block styles of part 1 are read, and all three passes
// of high throughput.
//
// Purpose of the files, in the order of the work: markers and packed (headers of
// codestream and tile), tile and precinct (its parts), progression (order of
// packets), packet and highpacket (tier 2), block with mq (tier 1), high with
// highrow, refine and hightables (tier 1 of T.814), wavelet with lift, output.
// budget bounds what a codestream may ask for.
package jpeg2000

import (
	"errors"
	"fmt"

	"neurotriage/dicomio/codec"
)

// decoder is the state of one codestream.
type decoder struct {
	frame      codec.Frame
	dst        []byte
	src        []byte
	size       size
	high       bool  // code-blocks of T.814 were announced (CAP)
	main       style // of the main header; tiles start from it
	changes    []change
	mainPacked packedHeaders // PPM
	packed     []byte        // what is left of it
	tiles      map[int]*tileData
	budget     budget
	space      space
	work       workspace
	jobs       []job
	exact      []int32   // samples of a tile, reversible
	real       []float32 // and irreversible
}

// tileData collects a tile's parts.
type tileData struct {
	own     *style // where its headers change the main one's
	changes []change
	parts   [][]byte
	packed  [][]byte // packet headers, a piece for each part
}

// Decode decodes one grey frame into native little endian samples. dst has
// frame.Bytes bytes.
func Decode(dst, src []byte, frame codec.Frame) error {
	src, err := codestream(src)
	if err != nil {
		return err
	}
	d := &decoder{frame: frame, dst: dst, src: src, tiles: map[int]*tileData{}}
	if err := d.headers(); err != nil {
		return err
	}
	d.budget = newBudget(frame.Rows*frame.Columns, d.size.precision)
	for index := range d.size.tiles() {
		data, ok := d.tiles[index]
		if !ok {
			return fmt.Errorf("jpeg 2000 tile %d is missing", index)
		}
		if err := d.tile(index, data); err != nil {
			return fmt.Errorf("jpeg 2000 tile %d: %w", index, err)
		}
	}
	return nil
}

// codestream finds the codestream in a JP2 file (T.800 annex I), which some
// programs store in place of a bare one.
func codestream(src []byte) ([]byte, error) {
	const signature = "\x00\x00\x00\x0cjP  "
	if len(src) < 12 || string(src[:8]) != signature {
		return src, nil
	}
	for len(src) >= 8 {
		length := int64(be32(src))
		kind, head := string(src[4:8]), int64(8)
		switch {
		case length == 1 && len(src) >= 16:
			length, head = int64(be32(src[8:]))<<32|int64(be32(src[12:])), 16
		case length == 0:
			length = int64(len(src))
		}
		if length < head || length > int64(len(src)) {
			return nil, fmt.Errorf("jp2 box %q has length %d, %d bytes remain", kind, length, len(src))
		}
		if kind == "jp2c" {
			return src[head:length], nil
		}
		src = src[length:]
	}
	return nil, errors.New("the jp2 file has no codestream")
}
