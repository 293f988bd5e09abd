package dicomio

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"neurotriage"
)

// Who wrote a file (PS3.10 7.1). pacs/dimse says the same in associations.
const (
	ImplementationClassUID    = "2.25.263130198875433852013244046653511113323"
	ImplementationVersionName = "NEUROTRIAGE_1"
)

// Element is one data element to be written. The value's type follows the VR:
//
//	AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT   string; backslashes part values
//	US UL FL FD                                          []uint16 []uint32 []float32 []float64
//	OB OW                                                []byte, little endian
//	SQ                                                   []Dataset, an item each
type Element struct {
	Tag   uint32
	VR    string
	Value any
}

// Dataset is the elements of an object or of an item, in any order.
type Dataset []Element

// Encode writes an object as a file (PS3.10) in explicit VR little endian, its
// elements sorted at every level, its text in UTF-8. The set needs SOP class and
// SOP instance UID and must not hold a character set. It reports what would break
// the encoding: values that do not fit their VR, and tags that stand twice.
// The same set gives the same bytes.
func Encode(set Dataset) ([]byte, error) {
	header, err := FileMeta(textOf(set, tagSOPClass), textOf(set, tagSOPInstance), explicitLittle)
	if err != nil {
		return nil, err
	}
	e := encoder{out: header}
	if err := e.dataset(append(slices.Clone(set), Element{tagCharacterSet, "CS", "ISO_IR 192"})); err != nil {
		return nil, fmt.Errorf("write object %s: %w", textOf(set, tagSOPInstance), err)
	}
	return e.out, nil
}

// FileMeta writes preamble and file meta information (PS3.10 7.1): what stands
// before a data set in the given transfer syntax.
func FileMeta(sopClass, sopInstance, transferSyntax string) ([]byte, error) {
	for _, uid := range []string{sopClass, sopInstance, transferSyntax} {
		if err := neurotriage.CheckUID(uid); err != nil {
			return nil, fmt.Errorf("write file meta: %w", err)
		}
	}
	group := encoder{}
	err := group.dataset(Dataset{
		{0x00020001, "OB", []byte{0, 1}},
		{0x00020002, "UI", sopClass},
		{0x00020003, "UI", sopInstance},
		{0x00020010, "UI", transferSyntax},
		{0x00020012, "UI", ImplementationClassUID},
		{0x00020013, "SH", ImplementationVersionName},
	})
	if err != nil {
		return nil, fmt.Errorf("write file meta: %w", err)
	}
	e := encoder{out: append(make([]byte, preambleBytes), magic...)}
	err = e.dataset(Dataset{{0x00020000, "UL", []uint32{uint32(len(group.out))}}}) //nolint:gosec // some hundred bytes
	return append(e.out, group.out...), err
}

const (
	tagSOPClass    = 0x00080016
	tagSOPInstance = 0x00080018
)

func textOf(set Dataset, tag uint32) string {
	for _, el := range set {
		if value, ok := el.Value.(string); ok && el.Tag == tag {
			return value
		}
	}
	return ""
}

// encoder writes explicit VR little endian (PS3.5 7.1.2).
type encoder struct{ out []byte }

func (e *encoder) dataset(set Dataset) error {
	set = slices.Clone(set)
	slices.SortFunc(set, func(a, b Element) int { return cmp.Compare(a.Tag, b.Tag) })
	for i, el := range set {
		if i > 0 && set[i-1].Tag == el.Tag {
			return fmt.Errorf("element %s stands twice", tagText(el.Tag))
		}
		if err := e.element(el); err != nil {
			return fmt.Errorf("element %s %s: %w", tagText(el.Tag), el.VR, err)
		}
	}
	return nil
}

func (e *encoder) element(el Element) error {
	at := len(e.out)
	e.out = binary.LittleEndian.AppendUint16(e.out, uint16(el.Tag>>16))
	e.out = binary.LittleEndian.AppendUint16(e.out, uint16(el.Tag)) //nolint:gosec // its lower half
	e.out = append(e.out, el.VR...)
	long := !shortVR(el.VR)
	if long {
		e.out = append(e.out, 0, 0, 0, 0, 0, 0)
	} else {
		e.out = append(e.out, 0, 0)
	}
	start := len(e.out)
	if err := e.value(el); err != nil {
		return err
	}
	length := len(e.out) - start
	switch {
	case long && uint64(length) >= undefinedLength:
		return fmt.Errorf("a value of %d bytes is too long", length)
	case long:
		binary.LittleEndian.PutUint32(e.out[at+8:], uint32(length)) //nolint:gosec // checked above
	case length > math.MaxUint16:
		return fmt.Errorf("a value of %d bytes is too long", length)
	default:
		binary.LittleEndian.PutUint16(e.out[at+6:], uint16(length)) //nolint:gosec // checked above
	}
	return nil
}

// value appends a value with its padding to even length (PS3.5 7.1.1).
func (e *encoder) value(el Element) error {
	if !fits(el) {
		return fmt.Errorf("a value of type %T does not fit", el.Value)
	}
	switch value := el.Value.(type) {
	case string:
		return e.text(el.VR, value)
	case []byte:
		e.out = append(e.out, value...)
		e.pad(len(value), 0)
	case []uint16:
		for _, v := range value {
			e.out = binary.LittleEndian.AppendUint16(e.out, v)
		}
	case []uint32:
		for _, v := range value {
			e.out = binary.LittleEndian.AppendUint32(e.out, v)
		}
	case []float32:
		for _, v := range value {
			e.out = binary.LittleEndian.AppendUint32(e.out, math.Float32bits(v))
		}
	case []float64:
		for _, v := range value {
			e.out = binary.LittleEndian.AppendUint64(e.out, math.Float64bits(v))
		}
	case []Dataset:
		return e.items(value)
	}
	return nil
}

// fits tells whether the VR has values of this Go type.
func fits(el Element) bool {
	switch el.Value.(type) {
	case string:
		return len(el.VR) == 2 && strings.Contains("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT", el.VR)
	case []byte:
		return el.VR == "OB" || el.VR == "OW"
	case []uint16:
		return el.VR == "US"
	case []uint32:
		return el.VR == "UL"
	case []float32:
		return el.VR == "FL"
	case []float64:
		return el.VR == "FD"
	case []Dataset:
		return el.VR == "SQ"
	}
	return false
}

// items writes a sequence with defined lengths (PS3.5 7.5.1).
func (e *encoder) items(items []Dataset) error {
	for i, item := range items {
		e.out = append(e.out, 0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0)
		start := len(e.out)
		if err := e.dataset(item); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
		binary.LittleEndian.PutUint32(e.out[start-4:], uint32(len(e.out)-start)) //nolint:gosec // element checks the whole
	}
	return nil
}

func (e *encoder) text(vr, value string) error {
	if err := checkText(vr, value); err != nil {
		return err
	}
	e.out = append(e.out, value...)
	padding := byte(' ')
	if vr == "UI" {
		padding = 0
	}
	e.pad(len(value), padding)
	return nil
}

func (e *encoder) pad(length int, with byte) {
	if length%2 == 1 {
		e.out = append(e.out, with)
	}
}

// checkText reports what no reader could take as the text that was meant.
// Lengths of values are left to whoever knows the attribute: sites have accession
// numbers that are longer than the standard's sixteen characters.
func checkText(vr, value string) error {
	if !utf8.ValidString(value) {
		return errors.New("the text is not valid UTF-8")
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7F || r >= 0x80 && r < 0xA0 }
	if vr == "LT" || vr == "ST" || vr == "UT" { // which may hold paragraphs (PS3.5 6.1.3)
		control = func(r rune) bool {
			return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' || r == 0x7F || r >= 0x80 && r < 0xA0
		}
	}
	if strings.ContainsFunc(value, control) {
		return errors.New("the text holds control characters")
	}
	if vr == "UI" && value != "" {
		for uid := range strings.SplitSeq(value, `\`) {
			if err := neurotriage.CheckUID(uid); err != nil {
				return err
			}
		}
	}
	if beyondASCII := func(r rune) bool { return r >= utf8.RuneSelf }; !charsetVR(vr) && strings.ContainsFunc(value, beyondASCII) {
		return errors.New("the text is not ASCII")
	}
	return nil
}

// charsetVR tells which VRs are subject to the specific character set (PS3.5 6.1.2.2).
func charsetVR(vr string) bool {
	return len(vr) == 2 && strings.Contains("LO LT PN SH ST UC UT", vr)
}
