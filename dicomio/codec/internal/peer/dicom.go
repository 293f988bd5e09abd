package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
)

const explicitLittle = "1.2.840.10008.1.2.1"

// File is the picture as an uncompressed MR image file (explicit little endian).
func (p Picture) File() []byte { return File(p) }

// File is pictures of one shape as the frames of one file.
func File(frames ...Picture) []byte {
	var b bytes.Buffer
	p := frames[0]
	b.Write(make([]byte, 128))
	b.WriteString("DICM")
	meta := bytes.Buffer{}
	element(&meta, 0x0002, 0x0001, "OB", []byte{0, 1})
	element(&meta, 0x0002, 0x0002, "UI", []byte("1.2.840.10008.5.1.4.1.1.4"))
	element(&meta, 0x0002, 0x0003, "UI", []byte("1.2.826.0.1.3680043.10.1.1"))
	element(&meta, 0x0002, 0x0010, "UI", []byte(explicitLittle))
	element(&meta, 0x0002, 0x0012, "UI", []byte("1.2.826.0.1.3680043.10.1"))
	element(&b, 0x0002, 0x0000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(meta.Len())))
	b.Write(meta.Bytes())
	short := func(v int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(v)) }
	sign := 0
	if p.Signed {
		sign = 1
	}
	f := p.Frame()
	element(&b, 0x0008, 0x0016, "UI", []byte("1.2.840.10008.5.1.4.1.1.4"))
	element(&b, 0x0008, 0x0018, "UI", []byte("1.2.826.0.1.3680043.10.1.1"))
	element(&b, 0x0008, 0x0060, "CS", []byte("MR"))
	element(&b, 0x0020, 0x000D, "UI", []byte("1.2.826.0.1.3680043.10.1.2"))
	element(&b, 0x0020, 0x000E, "UI", []byte("1.2.826.0.1.3680043.10.1.3"))
	element(&b, 0x0028, 0x0002, "US", short(1))
	element(&b, 0x0028, 0x0004, "CS", []byte("MONOCHROME2"))
	if len(frames) > 1 {
		element(&b, 0x0028, 0x0008, "IS", fmt.Appendf(nil, "%d ", len(frames)))
	}
	element(&b, 0x0028, 0x0010, "US", short(p.Rows))
	element(&b, 0x0028, 0x0011, "US", short(p.Columns))
	element(&b, 0x0028, 0x0100, "US", short(f.BitsAllocated))
	element(&b, 0x0028, 0x0101, "US", short(p.Bits))
	element(&b, 0x0028, 0x0102, "US", short(p.Bits-1))
	element(&b, 0x0028, 0x0103, "US", short(sign))
	vr := "OW"
	if f.BitsAllocated == 8 {
		vr = "OB"
	}
	var pixels []byte
	for _, frame := range frames {
		pixels = append(pixels, frame.stored()...)
	}
	element(&b, 0x7FE0, 0x0010, vr, pixels)
	return b.Bytes()
}

// stored is native pixel data whose bits above BitsStored are zero, as DICOM
// wants them of an image without overlays.
func (p Picture) stored() []byte {
	out := p.Native()
	if p.Bits > 8 {
		for i := 0; i < len(out); i += 2 {
			binary.LittleEndian.PutUint16(out[i:], binary.LittleEndian.Uint16(out[i:])&(1<<p.Bits-1))
		}
	} else {
		for i := range out {
			out[i] &= 1<<p.Bits - 1
		}
	}
	return out
}

func element(b *bytes.Buffer, group, number uint16, vr string, value []byte) {
	if len(value)%2 == 1 {
		pad := byte(0)
		if vr == "CS" {
			pad = ' '
		}
		value = append(value[:len(value):len(value)], pad)
	}
	tag := binary.LittleEndian.AppendUint16(nil, group)
	tag = binary.LittleEndian.AppendUint16(tag, number)
	b.Write(tag)
	b.WriteString(vr)
	if vr == "OB" || vr == "OW" {
		b.Write([]byte{0, 0})
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(value))))
	} else {
		b.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(value))))
	}
	b.Write(value)
}

var pixelData = []byte{0xE0, 0x7F, 0x10, 0x00}

// Pixels takes the pixel data of a file that a peer wrote from a picture: native
// bytes, or the fragments of its one frame joined.
func Pixels(path string) ([]byte, error) {
	fragments, err := Fragments(path)
	return bytes.Join(fragments, nil), err
}

// Fragments takes the pixel data apart: native bytes are one fragment.
func Fragments(path string) ([][]byte, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	at := bytes.LastIndex(file, append(pixelData[:4:4], 'O'))
	if at < 0 || len(file) < at+12 {
		return nil, fmt.Errorf("%s has no pixel data", path)
	}
	length := binary.LittleEndian.Uint32(file[at+8:])
	body := file[at+12:]
	if length != 0xFFFFFFFF {
		if int(length) > len(body) {
			return nil, errors.New("pixel data of " + strconv.Itoa(int(length)) + " bytes leaves the file")
		}
		return [][]byte{body[:length]}, nil
	}
	var fragments [][]byte
	for item := 0; len(body) >= 8; item++ {
		kind, n := binary.LittleEndian.Uint32(body), int(binary.LittleEndian.Uint32(body[4:]))
		if kind != 0xE000FFFE || n > len(body)-8 { // sequence delimiter
			break
		}
		if item > 0 { // the first is the offset table
			fragments = append(fragments, body[8:8+n])
		}
		body = body[8+n:]
	}
	return fragments, nil
}
