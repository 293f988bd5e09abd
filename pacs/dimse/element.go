package dimse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// This file reads and writes the few data elements of storage commitment. It is
// no parser of images: rooms that read those have their own.

// Tags of storage commitment (PS3.4 J.3).
const (
	tagReferencedClass    = 0x00081150
	tagReferencedInstance = 0x00081155
	tagTransaction        = 0x00081195
	tagFailureReason      = 0x00081197
	tagFailedSequence     = 0x00081198
	tagReferencedSequence = 0x00081199

	tagItem         = 0xFFFEE000
	tagItemEnd      = 0xFFFEE00D
	tagSequenceEnd  = 0xFFFEE0DD
	undefinedLength = 0xFFFFFFFF
	maxDepth        = 8
)

var errElement = errors.New("dataset ends within an element")

// element is a data element whose value shares the dataset's memory. Of a
// sequence, the value is its items.
type element struct {
	tag   uint32
	value []byte
}

// elements walks through a dataset in little endian; explicit says whether it
// carries value representations.
func elements(b []byte, explicit bool) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		for len(b) > 0 {
			e, rest, err := nextElement(b, explicit, 0)
			if !yield(e, err) || err != nil {
				return
			}
			b = rest
		}
	}
}

// items walks through the items of a sequence's value.
func items(b []byte, explicit bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for item, err := range elements(b, explicit) {
			if err == nil && item.tag != tagItem {
				err = fmt.Errorf("element (%04X,%04X) where an item should be", item.tag>>16, item.tag&0xFFFF)
			}
			if !yield(item.value, err) || err != nil {
				return
			}
		}
	}
}

// nextElement takes one element off.
func nextElement(b []byte, explicit bool, depth int) (e element, rest []byte, err error) {
	if len(b) < 8 {
		return e, nil, errElement
	}
	e.tag = uint32(binary.LittleEndian.Uint16(b))<<16 | uint32(binary.LittleEndian.Uint16(b[2:]))
	length, head := binary.LittleEndian.Uint32(b[4:]), 8
	if explicit && e.tag>>16 != 0xFFFE {
		if vr := string(b[4:6]); !longVR(vr) {
			length = uint32(binary.LittleEndian.Uint16(b[6:]))
		} else if head = 12; len(b) < head {
			return e, nil, errElement
		} else {
			length = binary.LittleEndian.Uint32(b[8:])
		}
	}
	b = b[head:]
	if length == undefinedLength {
		return delimited(e, b, explicit, depth)
	}
	if int64(length) > int64(len(b)) {
		return e, nil, errElement
	}
	e.value = b[:length]
	return e, b[length:], nil
}

// longVR says that the value representation has a 32-bit length (PS3.5 7.1.2).
func longVR(vr string) bool {
	switch vr {
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		return true
	}
	return false
}

// delimited finds the end of an element of undefined length.
func delimited(e element, b []byte, explicit bool, depth int) (element, []byte, error) {
	if depth == maxDepth {
		return e, nil, fmt.Errorf("sequences nested more than %d deep", maxDepth)
	}
	end := uint32(tagSequenceEnd)
	if e.tag == tagItem {
		end = tagItemEnd
	}
	for rest := b; len(rest) > 0; {
		inner, after, err := nextElement(rest, explicit, depth+1)
		if err != nil {
			return e, nil, err
		}
		if inner.tag == end {
			e.value = b[:len(b)-len(rest)]
			return e, after, nil
		}
		rest = after
	}
	return e, nil, errElement
}

// appendData writes an element.
func appendData(b []byte, explicit bool, tag uint32, vr string, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	switch {
	case explicit && longVR(vr):
		b = append(b, vr[0], vr[1], 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	case explicit && vr != "":
		b = append(b, vr[0], vr[1])
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	default:
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	}
	return append(b, value...)
}

// appendUID writes a UID, padded to even length.
func appendUID(b []byte, explicit bool, tag uint32, uid string) []byte {
	value := []byte(uid)
	if len(value)%2 == 1 {
		value = append(value, 0)
	}
	return appendData(b, explicit, tag, "UI", value)
}
