// Package jpeg decodes the Huffman-coded grey JPEG processes of ITU-T T.81 that
// DICOM uses: lossless (SOF3, all seven predictors, 2 to 16 bits, point
// transform), baseline (SOF0) and extended sequential (SOF1, 8 and 12 bits), each
// with restart intervals. Which of them a codestream is stands in the codestream,
// so that a file with a wrong transfer syntax is read all the same.
package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"

	"neurotriage/dicomio/codec"
)

// Markers of T.81 table B.1, second byte.
const (
	markerSOF0 = 0xC0 // baseline
	markerSOF1 = 0xC1 // extended sequential
	markerSOF3 = 0xC3 // lossless
	markerDHT  = 0xC4
	markerSOFf = 0xCF
	markerJPG  = 0xC8
	markerDAC  = 0xCC
	markerRST0 = 0xD0
	markerRST7 = 0xD7
	markerSOI  = 0xD8
	markerEOI  = 0xD9
	markerSOS  = 0xDA
	markerDQT  = 0xDB
	markerDRI  = 0xDD
	markerTEM  = 0x01
)

// decoder is the state between SOI and the end of the one scan.
type decoder struct {
	frame   codec.Frame
	dst     []byte
	src     []byte
	process byte // SOF marker; 0 before it
	// Of the frame header.
	precision int
	quantiser byte // table of the one component
	component byte
	// Of the other segments.
	restart    int            // samples or blocks between restart markers; 0: none
	huffman    [2][4]codeList // DC or lossless, AC
	quantisers [4]quantiser
}

// Decode decodes one grey frame into native little endian samples. dst has
// frame.Bytes bytes.
func Decode(dst, src []byte, frame codec.Frame) error {
	d := &decoder{frame: frame, dst: dst, src: src}
	if len(src) < 2 || src[0] != 0xFF || src[1] != markerSOI {
		return errors.New("the codestream does not start with a jpeg SOI marker")
	}
	d.src = src[2:]
	for {
		marker, body, err := d.segment()
		if err != nil {
			return err
		}
		if marker == markerSOS {
			return d.scan(body)
		}
		if err := d.apply(marker, body); err != nil {
			return err
		}
	}
}

// segment takes the next marker segment from the source (T.81 B.1.1).
func (d *decoder) segment() (marker byte, body []byte, err error) {
	for {
		if len(d.src) < 2 {
			return 0, nil, errors.New("the jpeg codestream ends before its scan")
		}
		if d.src[0] != 0xFF {
			return 0, nil, fmt.Errorf("jpeg byte 0x%02x stands where a marker belongs", d.src[0])
		}
		marker = d.src[1]
		d.src = d.src[1:]
		if marker != 0xFF { // any number of fill bytes may precede a marker
			break
		}
	}
	d.src = d.src[1:]
	switch {
	case marker == markerEOI:
		return 0, nil, errors.New("the jpeg codestream ends before its scan")
	case marker == markerTEM, marker == 0, marker >= markerRST0 && marker <= markerSOI:
		return 0, nil, fmt.Errorf("jpeg marker 0x%02x stands before the scan", marker)
	case len(d.src) < 2:
		return 0, nil, fmt.Errorf("jpeg segment 0x%02x has no length", marker)
	}
	length := int(binary.BigEndian.Uint16(d.src))
	if length < 2 || length > len(d.src) {
		return 0, nil, fmt.Errorf("jpeg segment 0x%02x has length %d, %d bytes remain", marker, length, len(d.src))
	}
	body, d.src = d.src[2:length], d.src[length:]
	return marker, body, nil
}

// apply keeps what a segment before the scan says. Comments and application
// segments say nothing.
func (d *decoder) apply(marker byte, body []byte) error {
	switch {
	case marker == markerDHT:
		return d.huffmanTables(body)
	case marker == markerDQT:
		return d.quantisationTables(body)
	case marker == markerDRI:
		if len(body) != 2 {
			return fmt.Errorf("the jpeg restart interval has %d bytes instead of 2", len(body))
		}
		d.restart = int(binary.BigEndian.Uint16(body))
	case marker == markerSOF0, marker == markerSOF1, marker == markerSOF3:
		return d.frameHeader(marker, body)
	case marker >= markerSOF0 && marker <= markerSOFf && marker != markerJPG:
		return fmt.Errorf("jpeg process 0x%02x (progressive, hierarchical or arithmetic): %w", marker, codec.ErrUnsupported)
	}
	return nil
}

// frameHeader reads SOFn (T.81 B.2.2) and compares it with the file's header.
func (d *decoder) frameHeader(marker byte, body []byte) error {
	if d.process != 0 {
		return errors.New("the jpeg codestream has two frame headers")
	}
	if len(body) < 6 {
		return fmt.Errorf("the jpeg frame header has %d bytes", len(body))
	}
	d.precision = int(body[0])
	rows, columns := int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	components := int(body[5])
	if len(body) != 6+3*components {
		return fmt.Errorf("the jpeg frame header has %d bytes for %d components", len(body), components)
	}
	if components != 1 {
		return fmt.Errorf("jpeg with %d components: %w", components, codec.ErrUnsupported)
	}
	lowest, highest := 2, 16 // lossless
	switch marker {
	case markerSOF0:
		lowest, highest = 8, 8
	case markerSOF1:
		lowest, highest = 8, 12
	}
	if d.precision < lowest || d.precision > highest {
		return fmt.Errorf("jpeg process 0x%02x with %d bits", marker, d.precision)
	}
	if err := d.frame.Check(d.dst, rows, columns, d.precision); err != nil {
		return err
	}
	d.process, d.component, d.quantiser = marker, body[6], body[8]
	return nil
}

// scan reads SOS (T.81 B.2.3) and decodes what follows it.
func (d *decoder) scan(body []byte) error {
	switch {
	case d.process == 0:
		return errors.New("the jpeg scan stands before the frame header")
	case len(body) != 6 || body[0] != 1:
		return fmt.Errorf("the jpeg scan header has %d bytes, one component needs 6", len(body))
	case body[1] != d.component:
		return fmt.Errorf("the jpeg scan is of component %d, the frame of %d", body[1], d.component)
	}
	dc, ac := body[2]>>4, body[2]&15
	if dc > 3 || ac > 3 {
		return fmt.Errorf("the jpeg scan names huffman tables %d and %d", dc, ac)
	}
	table, err := d.huffman[0][dc].codes()
	if err != nil {
		return err
	}
	if d.process == markerSOF3 {
		return d.lossless(int(body[3]), int(body[5]&15), table)
	}
	// Ss, Se, Ah and Al are fixed for sequential scans (T.81 table B.3), and real
	// files with other values exist: they say nothing, so they are not read.
	acTable, err := d.huffman[1][ac].codes()
	if err != nil {
		return err
	}
	return d.sequential(table, acTable)
}
