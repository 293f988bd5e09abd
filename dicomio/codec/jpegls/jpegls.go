// Package jpegls decodes grey JPEG-LS pictures of ITU-T T.87, lossless and near
// lossless, 2 to 16 bits, with coding parameters of their own and restart
// intervals.
package jpegls

import (
	"encoding/binary"
	"errors"
	"fmt"

	"neurotriage/dicomio/codec"
)

// Markers of T.81 table B.1 and T.87 table C.1, second byte.
const (
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerDRI   = 0xDD
	markerRST0  = 0xD0
	markerTEM   = 0x01
	markerSOF55 = 0xF7
	markerLSE   = 0xF8
)

// decoder is the state between SOI and the end of the one scan.
type decoder struct {
	frame     codec.Frame
	dst       []byte
	src       []byte
	precision int // 0 before the frame header
	component byte
	restart   int // rows between restart markers; 0: none
	preset    preset
}

// preset holds coding parameters of an LSE segment; zero means the default
// (T.87 C.2.4.1.1).
type preset struct{ maxval, t1, t2, t3, reset int }

// Decode decodes one grey frame into native little endian samples. dst has
// frame.Bytes bytes.
func Decode(dst, src []byte, frame codec.Frame) error {
	if len(src) < 2 || src[0] != 0xFF || src[1] != markerSOI {
		return errors.New("the codestream does not start with a jpeg SOI marker")
	}
	d := &decoder{frame: frame, dst: dst, src: src[2:]}
	for {
		marker, body, err := d.segment()
		if err != nil {
			return err
		}
		switch {
		case marker == markerSOS:
			return d.scan(body)
		case marker == markerSOF55:
			err = d.frameHeader(body)
		case marker == markerLSE:
			err = d.parameters(body)
		case marker == markerDRI:
			err = d.restartInterval(body)
		case marker >= 0xC0 && marker <= 0xCF: // frames and tables of other processes
			err = fmt.Errorf("jpeg marker 0x%02x in a jpeg-ls codestream: %w", marker, codec.ErrUnsupported)
		}
		if err != nil {
			return err
		}
	}
}

// segment takes the next marker segment from the source (T.81 B.1.1).
func (d *decoder) segment() (marker byte, body []byte, err error) {
	for len(d.src) > 1 && d.src[0] == 0xFF && d.src[1] == 0xFF { // fill bytes
		d.src = d.src[1:]
	}
	if len(d.src) < 4 {
		return 0, nil, errors.New("the jpeg-ls codestream ends before its scan")
	}
	marker = d.src[1]
	switch {
	case d.src[0] != 0xFF:
		return 0, nil, fmt.Errorf("jpeg-ls byte 0x%02x stands where a marker belongs", d.src[0])
	case marker == 0, marker == markerTEM, marker >= markerRST0 && marker <= markerEOI:
		return 0, nil, fmt.Errorf("jpeg-ls marker 0x%02x stands before the scan", marker)
	}
	length := int(binary.BigEndian.Uint16(d.src[2:]))
	if length < 2 || length > len(d.src)-2 {
		return 0, nil, fmt.Errorf("jpeg-ls segment 0x%02x has length %d, %d bytes remain", marker, length, len(d.src)-2)
	}
	body, d.src = d.src[4:2+length], d.src[2+length:]
	return marker, body, nil
}

// frameHeader reads SOF55 (T.87 C.2.2) and compares it with the file's header.
func (d *decoder) frameHeader(body []byte) error {
	if d.precision != 0 {
		return errors.New("the jpeg-ls codestream has two frame headers")
	}
	if len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return fmt.Errorf("the jpeg-ls frame header has %d bytes", len(body))
	}
	if body[5] != 1 {
		return fmt.Errorf("jpeg-ls with %d components: %w", body[5], codec.ErrUnsupported)
	}
	precision := int(body[0])
	if precision < 2 || precision > 16 {
		return fmt.Errorf("jpeg-ls with %d bits", precision)
	}
	rows, columns := int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if err := d.frame.Check(d.dst, rows, columns, precision); err != nil {
		return err
	}
	d.precision, d.component = precision, body[6]
	return nil
}

// parameters reads LSE (T.87 C.2.4.1).
func (d *decoder) parameters(body []byte) error {
	if len(body) < 1 {
		return errors.New("a jpeg-ls parameter segment is empty")
	}
	if body[0] != 1 { // mapping tables, larger sizes
		return fmt.Errorf("jpeg-ls parameters of kind %d: %w", body[0], codec.ErrUnsupported)
	}
	if len(body) != 11 {
		return fmt.Errorf("the jpeg-ls coding parameters have %d bytes instead of 11", len(body))
	}
	at := func(i int) int { return int(binary.BigEndian.Uint16(body[1+2*i:])) }
	d.preset = preset{at(0), at(1), at(2), at(3), at(4)}
	return nil
}

// restartInterval reads DRI (T.87 C.2.5): rows, in two to four bytes.
func (d *decoder) restartInterval(body []byte) error {
	if len(body) < 2 || len(body) > 4 {
		return fmt.Errorf("the jpeg-ls restart interval has %d bytes", len(body))
	}
	d.restart = 0
	for _, b := range body {
		d.restart = d.restart<<8 | int(b)
	}
	return nil
}

// scan reads SOS (T.87 C.2.3) and decodes what follows it.
func (d *decoder) scan(body []byte) error {
	switch {
	case d.precision == 0:
		return errors.New("the jpeg-ls scan stands before the frame header")
	case len(body) != 6 || body[0] != 1:
		return fmt.Errorf("the jpeg-ls scan header has %d bytes, one component needs 6", len(body))
	case body[1] != d.component:
		return fmt.Errorf("the jpeg-ls scan is of component %d, the frame of %d", body[1], d.component)
	case body[2] != 0:
		return fmt.Errorf("jpeg-ls mapping table %d: %w", body[2], codec.ErrUnsupported)
	}
	near, shift := int(body[3]), int(body[5]&15)
	if shift >= d.precision {
		return fmt.Errorf("jpeg-ls point transform %d of %d bits", shift, d.precision)
	}
	m, err := newModel(d.precision, near, d.preset)
	if err != nil {
		return err
	}
	return d.rows(m, shift)
}

// rows decodes row after row. Each buffer has a sample more on both sides: the
// neighbours that T.87 A.2.1 defines beyond the edges.
func (d *decoder) rows(m *model, shift int) error {
	columns := d.frame.Columns
	above, row := make([]int32, columns+2), make([]int32, columns+2)
	source := &bits{src: d.src}
	intervals := 0
	for y := range d.frame.Rows {
		if d.restart > 0 && y > 0 && y%d.restart == 0 {
			if err := source.nextInterval(intervals); err != nil {
				return fmt.Errorf("row %d: %w", y, err)
			}
			intervals++
			m.start()
			clear(above)
		}
		above[columns+1] = above[columns]
		row[0] = above[1]
		if !m.row(row, above, source) {
			return fmt.Errorf("row %d: the bits are no jpeg-ls code", y)
		}
		if source.overrun() {
			return fmt.Errorf("row %d: the jpeg-ls scan ends before the frame is complete", y)
		}
		samples := row[1 : columns+1]
		if shift > 0 {
			samples = make([]int32, columns)
			for i, sample := range row[1 : columns+1] {
				samples[i] = sample << shift
			}
		}
		codec.PutRow(d.frame, d.dst, y, samples, d.precision)
		row, above = above, row
	}
	return nil
}
