package kit

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The transfer syntaxes that the kit writes (PS3.6 table A-1).
const (
	ImplicitLittle = "1.2.840.10008.1.2"
	ExplicitLittle = "1.2.840.10008.1.2.1"
	Deflated       = "1.2.840.10008.1.2.1.99"
	ExplicitBig    = "1.2.840.10008.1.2.2"
	RLE            = "1.2.840.10008.1.2.5"
)

// Element is one data element. Value is a string, []byte (as they are), []uint16,
// []int16, []uint32, []uint64, []float32 (FL), []float64 (FD), []Item (SQ),
// Fragments or Table.
type Element struct {
	Tag   uint32
	VR    string
	Value any
}

// Item is one item of a sequence.
type Item []Element

// Fragments is encapsulated pixel data behind an empty offset table (PS3.5 A.4).
type Fragments [][]byte

// Table is encapsulated pixel data behind a basic offset table (PS3.5 A.4).
type Table struct {
	Offsets   []uint32
	Fragments Fragments
}

// EncodeFile writes preamble, file meta and data set. Elements may come in any
// order; later ones replace earlier ones with the same tag.
func EncodeFile(transferSyntax string, elements []Element) []byte {
	elements = sorted(elements)
	class, instance := text(elements, 0x00080016), text(elements, 0x00080018)
	meta := encode(ExplicitLittle, []Element{
		{0x00020001, "OB", []byte{0, 1}},
		{0x00020002, "UI", class},
		{0x00020003, "UI", instance},
		{0x00020010, "UI", transferSyntax},
		{0x00020012, "UI", "2.25.302017203712309871823"},
		{0x00020013, "SH", "NEUROTRIAGE_KIT"},
	})
	var out bytes.Buffer
	out.Write(make([]byte, 128))
	out.WriteString("DICM")
	out.Write(encode(ExplicitLittle, []Element{{0x00020000, "UL", []uint32{uint32(len(meta))}}}))
	out.Write(meta)
	data := encode(transferSyntax, elements)
	if transferSyntax != Deflated {
		out.Write(data)
		return out.Bytes()
	}
	deflate, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = deflate.Write(data) // a bytes.Buffer takes everything
	_ = deflate.Close()
	if out.Len()%2 == 1 {
		out.WriteByte(0) // PS3.5 A.5
	}
	return out.Bytes()
}

// EncodeDataSet writes a data set without preamble and file meta.
func EncodeDataSet(transferSyntax string, elements []Element) []byte {
	return encode(transferSyntax, sorted(elements))
}

func sorted(elements []Element) []Element {
	last := map[uint32]Element{}
	for _, e := range elements {
		last[e.Tag] = e
	}
	kept := make([]Element, 0, len(last))
	for _, e := range last {
		kept = append(kept, e)
	}
	slices.SortFunc(kept, func(a, b Element) int { return int(int64(a.Tag) - int64(b.Tag)) })
	return kept
}

func text(elements []Element, tag uint32) string {
	for _, e := range elements {
		if e.Tag == tag {
			s, _ := e.Value.(string)
			return s
		}
	}
	return ""
}

type encoder struct {
	out      []byte
	order    binary.AppendByteOrder
	implicit bool
}

func encode(transferSyntax string, elements []Element) []byte {
	e := encoder{order: binary.LittleEndian, implicit: transferSyntax == ImplicitLittle}
	if transferSyntax == ExplicitBig {
		e.order = binary.BigEndian
	}
	for _, el := range elements {
		e.element(el)
	}
	return e.out
}

func (e *encoder) tag(t uint32) {
	e.out = e.order.AppendUint16(e.out, uint16(t>>16))
	e.out = e.order.AppendUint16(e.out, uint16(t))
}

// head writes tag, VR and length (PS3.5 7.1.2, 7.1.3).
func (e *encoder) head(t uint32, vr string, length uint32) {
	e.tag(t)
	switch {
	case e.implicit:
		e.out = e.order.AppendUint32(e.out, length)
	case strings.Contains("OB OD OF OL OV OW SQ SV UC UN UR UT UV", vr):
		e.out = append(e.out, vr[0], vr[1], 0, 0)
		e.out = e.order.AppendUint32(e.out, length)
	default:
		e.out = append(e.out, vr[0], vr[1])
		e.out = e.order.AppendUint16(e.out, uint16(length))
	}
}

func (e *encoder) mark(t, length uint32) {
	e.tag(t)
	e.out = e.order.AppendUint32(e.out, length)
}

func (e *encoder) element(el Element) {
	const undefined = 0xFFFFFFFF
	switch value := el.Value.(type) {
	case []Item:
		e.head(el.Tag, "SQ", undefined)
		for _, item := range value {
			e.mark(0xFFFEE000, undefined)
			for _, inner := range sorted(item) {
				e.element(inner)
			}
			e.mark(0xFFFEE00D, 0)
		}
		e.mark(0xFFFEE0DD, 0)
	case Fragments:
		e.fragments(el, Table{Fragments: value})
	case Table:
		e.fragments(el, value)
	default:
		raw := e.value(el)
		e.head(el.Tag, el.VR, uint32(len(raw)))
		e.out = append(e.out, raw...)
	}
}

func (e *encoder) fragments(el Element, value Table) {
	e.head(el.Tag, el.VR, 0xFFFFFFFF)
	e.mark(0xFFFEE000, uint32(4*len(value.Offsets)))
	for _, offset := range value.Offsets {
		e.out = e.order.AppendUint32(e.out, offset)
	}
	for _, fragment := range value.Fragments {
		e.mark(0xFFFEE000, uint32(len(fragment)))
		e.out = append(e.out, fragment...)
	}
	e.mark(0xFFFEE0DD, 0)
}

// value writes a value with its padding (PS3.5 6.2).
func (e *encoder) value(el Element) []byte {
	var raw []byte
	switch value := el.Value.(type) {
	case string:
		raw = []byte(value)
		if len(raw)%2 == 1 && el.VR == "UI" {
			raw = append(raw, 0)
		} else if len(raw)%2 == 1 {
			raw = append(raw, ' ')
		}
	case []byte:
		raw = value
	case []uint16:
		for _, v := range value {
			raw = e.order.AppendUint16(raw, v)
		}
	case []int16:
		for _, v := range value {
			raw = e.order.AppendUint16(raw, uint16(v))
		}
	case []uint32:
		for _, v := range value {
			raw = e.order.AppendUint32(raw, v)
		}
	case []float32:
		for _, v := range value {
			raw = e.order.AppendUint32(raw, math.Float32bits(v))
		}
	case []float64:
		for _, v := range value {
			raw = e.order.AppendUint64(raw, math.Float64bits(v))
		}
	case []uint64:
		for _, v := range value {
			raw = e.order.AppendUint64(raw, v)
		}
	default:
		panic(fmt.Sprintf("kit: element %08x has a value of type %T", el.Tag, el.Value))
	}
	return raw
}
