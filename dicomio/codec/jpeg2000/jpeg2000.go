// Package jpeg2000 decodes grey JPEG 2000 codestreams of ITU-T T.800, reversible
// and irreversible, and those of high throughput (T.814), as they stand in DICOM
// files. Any tiling, progression, precincts, layers and code-block style of part
// 1 are read; progression changes and packed packet headers are not.
//
// Purpose of the files, in the order of the work: markers (headers of codestream
// and tile), tile (bands, precincts, order of packets), packet (tier 2), block
// (tier 1) with mq, ht with its tables (tier 1 of T.814), wavelet.
package jpeg2000

import (
	"errors"
	"fmt"

	"neurotriage/dicomio/codec"
)

// decoder is the state of one codestream.
type decoder struct {
	frame  codec.Frame
	dst    []byte
	src    []byte
	size   size
	high   bool  // code-blocks of T.814 were announced (CAP)
	main   style // of the main header; tiles start from it
	tiles  map[int]*tileData
	work   workspace
	pixels []int32 // the whole picture, before the level shift
}

// tileData collects a tile's parts.
type tileData struct {
	style style
	parts [][]byte
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
	d.pixels = make([]int32, frame.Rows*frame.Columns)
	for index := range d.size.tiles() {
		data, ok := d.tiles[index]
		if !ok {
			return fmt.Errorf("jpeg 2000 tile %d is missing", index)
		}
		if err := d.tile(index, data); err != nil {
			return fmt.Errorf("jpeg 2000 tile %d: %w", index, err)
		}
	}
	d.put()
	return nil
}

// put shifts the level (T.800 G.1), clamps, and writes the samples.
func (d *decoder) put() {
	bits := d.size.precision
	if !d.main.reversible { // lossy samples may overshoot; a reader would wrap them
		bits = min(bits, d.frame.BitsStored)
	}
	lowest, shift := int32(0), int32(1)<<(d.size.precision-1)
	if d.size.signed {
		lowest, shift = -1<<(bits-1), 0
	}
	highest := lowest + (1<<bits - 1)
	for y := range d.frame.Rows {
		row := d.pixels[y*d.frame.Columns:][:d.frame.Columns]
		for x, value := range row {
			row[x] = min(max(value+shift, lowest), highest)
		}
		codec.PutRow(d.frame, d.dst, y, row, d.size.precision)
	}
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
