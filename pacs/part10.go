package pacs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"neurotriage"
)

// file is a Part 10 file taken apart: what a C-STORE says of it, and where its
// dataset begins.
type file struct {
	kind                                  string
	sopClass, sopInstance, transferSyntax string
	data                                  []byte // whole
	dataset                               []byte
}

const (
	preamble   = 128 // bytes (PS3.10 7.1)
	mostOfMeta = 64 << 10
)

// openFile reads the file meta information, which is explicit VR little endian
// (PS3.10 7.1).
func openFile(data []byte) (file, error) {
	f := file{data: data}
	if len(data) < preamble+4 || string(data[preamble:preamble+4]) != "DICM" {
		return f, errors.New("no DICOM file: the prefix DICM is missing")
	}
	rest := data[preamble+4:]
	for len(rest) >= 8 && binary.LittleEndian.Uint16(rest) == 2 && len(data)-len(rest) < mostOfMeta {
		element := binary.LittleEndian.Uint16(rest[2:])
		head, length := 8, uint64(binary.LittleEndian.Uint16(rest[6:]))
		if bytes.Contains([]byte("OB OW UN UT SQ"), rest[4:6]) {
			if head = 12; len(rest) < head {
				break
			}
			length = uint64(binary.LittleEndian.Uint32(rest[8:]))
		}
		if length > uint64(len(rest)-head) {
			return f, fmt.Errorf("element (0002,%04X) says it has %d bytes and %d are left", element, length, len(rest)-head)
		}
		value := strings.TrimRight(string(rest[head:head+int(length)]), "\x00 ")
		switch element {
		case 0x0002:
			f.sopClass = value
		case 0x0003:
			f.sopInstance = value
		case 0x0010:
			f.transferSyntax = value
		}
		rest = rest[head+int(length):]
	}
	f.dataset = rest
	for what, uid := range map[string]string{"class": f.sopClass, "instance": f.sopInstance, "transfer syntax": f.transferSyntax} {
		if err := neurotriage.CheckUID(uid); err != nil {
			return f, fmt.Errorf("the file's header names no %s: %w", what, err)
		}
	}
	return f, nil
}
