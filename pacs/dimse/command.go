package dimse

import (
	"encoding/binary"
	"strings"
)

// Command fields (PS3.7 annex E.1). The answer to each has bit 15 set.
const (
	fieldStore       = 0x0001
	fieldEcho        = 0x0030
	fieldEventReport = 0x0100
	fieldAction      = 0x0130
	fieldCancel      = 0x0FFF
	fieldResponse    = 0x8000
)

// noDataset is the command dataset type that says so; every other value says
// that a dataset follows (PS3.7 E.1).
const (
	noDataset   = 0x0101
	withDataset = 0x0001
)

// maxCommand bounds a command set: those we read are some hundred bytes long.
const maxCommand = 16 << 10

// Elements of group 0000 (PS3.7 E.1).
const (
	tagGroupLength       = 0x0000
	tagAffectedClass     = 0x0002
	tagRequestedClass    = 0x0003
	tagCommandField      = 0x0100
	tagMessageID         = 0x0110
	tagRespondedTo       = 0x0120
	tagPriority          = 0x0700
	tagDatasetType       = 0x0800
	tagStatus            = 0x0900
	tagErrorComment      = 0x0902
	tagAffectedInstance  = 0x1000
	tagRequestedInstance = 0x1001
	tagEventType         = 0x1002
	tagActionType        = 0x1008
)

// command is a command set. SOP class and instance are the affected or the
// requested ones: which, the command field says.
type command struct {
	context     byte // presentation context
	field       uint16
	id          uint16 // message id; of an answer: the one responded to
	class       string
	instance    string
	priority    uint16
	datasetType uint16
	status      Status
	comment     string
	kind        uint16 // event type or action type
}

func (c *command) hasDataset() bool { return c.datasetType != noDataset }

// parseCommand reads a command set: implicit VR little endian, group 0000 only
// (PS3.7 6.3.1). class is the presentation context's SOP class; when the command
// repeats it, as it should, no memory is needed for it.
func parseCommand(b []byte, class string) (command, error) {
	c := command{datasetType: noDataset}
	seen := false
	for len(b) > 0 {
		if len(b) < 8 {
			return c, violated(abortInvalidValue, "a command set that ends within an element")
		}
		group, tag := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		n := binary.LittleEndian.Uint32(b[4:])
		if group != 0 {
			return c, violated(abortInvalidValue, "element (%04X,%04X) in a command set", group, tag)
		}
		if int64(n) > int64(len(b)-8) {
			return c, violated(abortInvalidValue, "command element (0000,%04X) is %d bytes long and %d are left", tag, n, len(b)-8)
		}
		value := b[8 : 8+n]
		b = b[8+n:]
		if target := c.number(tag); target != nil {
			if len(value) != 2 {
				return c, violated(abortInvalidValue, "command element (0000,%04X) is %d bytes long instead of 2", tag, len(value))
			}
			*target = binary.LittleEndian.Uint16(value)
			seen = seen || tag == tagCommandField
			continue
		}
		c.text(tag, value, class)
	}
	if !seen {
		return c, violated(abortInvalidValue, "a command set without command field")
	}
	return c, nil
}

// number is where a 16-bit element goes.
func (c *command) number(tag uint16) *uint16 {
	switch tag {
	case tagCommandField:
		return &c.field
	case tagMessageID, tagRespondedTo:
		return &c.id
	case tagPriority:
		return &c.priority
	case tagDatasetType:
		return &c.datasetType
	case tagStatus:
		return (*uint16)(&c.status)
	case tagEventType, tagActionType:
		return &c.kind
	}
	return nil
}

func (c *command) text(tag uint16, value []byte, class string) {
	for len(value) > 0 && (value[len(value)-1] == 0 || value[len(value)-1] == ' ') {
		value = value[:len(value)-1]
	}
	switch tag {
	case tagAffectedClass, tagRequestedClass:
		if string(value) == class { // compares without a copy
			c.class = class
		} else {
			c.class = string(value)
		}
	case tagAffectedInstance, tagRequestedInstance:
		c.instance = string(value)
	case tagErrorComment:
		c.comment = strings.TrimSpace(string(value))
	}
}

// append writes the command set, elements in order of their tags. Which are
// written follows from the field (PS3.7 9.3, 10.3).
func (c *command) append(b []byte) []byte {
	start := len(b)
	b = appendElement(b, tagGroupLength, "\x00\x00\x00\x00")
	request := c.field&fieldResponse == 0
	class, instance := uint16(tagAffectedClass), uint16(tagAffectedInstance)
	if c.field == fieldAction {
		class, instance = tagRequestedClass, tagRequestedInstance
	}
	if c.class != "" {
		b = appendElement(b, class, c.class)
	}
	b = appendNumber(b, tagCommandField, c.field)
	if request {
		b = appendNumber(b, tagMessageID, c.id)
	} else {
		b = appendNumber(b, tagRespondedTo, c.id)
	}
	if c.field == fieldStore {
		b = appendNumber(b, tagPriority, c.priority)
	}
	b = appendNumber(b, tagDatasetType, c.datasetType)
	if !request {
		b = appendNumber(b, tagStatus, uint16(c.status))
	}
	if c.comment != "" {
		b = appendElement(b, tagErrorComment, c.comment)
	}
	if c.instance != "" {
		b = appendElement(b, instance, c.instance)
	}
	switch c.field &^ fieldResponse {
	case fieldEventReport:
		b = appendNumber(b, tagEventType, c.kind)
	case fieldAction:
		b = appendNumber(b, tagActionType, c.kind)
	}
	binary.LittleEndian.PutUint32(b[start+8:], uint32(len(b)-start-12))
	return b
}

func appendNumber(b []byte, tag, value uint16) []byte {
	b = append(b, 0, 0, byte(tag), byte(tag>>8), 2, 0, 0, 0)
	return append(b, byte(value), byte(value>>8))
}

// appendElement pads text with NUL, as UIDs are; comments are even already.
func appendElement(b []byte, tag uint16, text string) []byte {
	n := uint32(len(text) + len(text)%2)
	b = append(b, 0, 0, byte(tag), byte(tag>>8))
	b = binary.LittleEndian.AppendUint32(b, n)
	b = append(b, text...)
	if len(text)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// answer is the command that answers c with the status.
func (c *command) answer(status Status) command {
	a := command{context: c.context, field: c.field | fieldResponse, id: c.id, class: c.class, instance: c.instance,
		datasetType: noDataset, status: status, kind: c.kind}
	if status.Failed() {
		a.comment = comment(status)
	}
	return a
}

// comment is the status in words, of even length and at most 64 characters (LO).
func comment(status Status) string {
	words := status.words()
	if len(words)%2 == 1 {
		words += " "
	}
	return words
}
