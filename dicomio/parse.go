package dicomio

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"neurotriage"
)

// parse hands vetted elements to the parser. The recover is the second line of
// defence: no panic is known that gets past the wall.
func parse(v vetted) (data dicom.Dataset, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = neurotriage.Refuse(neurotriage.CorruptDICOM, "parse headers: the parser gave up: %v", cause)
		}
	}()
	if len(v.header) == 0 {
		return data, nil
	}
	meta := metaFor(v.layout)
	parser, err := dicom.NewParser(io.MultiReader(bytes.NewReader(meta), bytes.NewReader(v.header)),
		int64(len(meta)+len(v.header)), nil)
	if err != nil {
		return data, neurotriage.Refuse(neurotriage.CorruptDICOM, "parse headers: %w", err)
	}
	for {
		el, err := parser.Next()
		if err == dicom.ErrorEndOfDICOM { //nolint:errorlint // returned bare, and the loop is hot
			return data, nil
		}
		if err != nil {
			return data, neurotriage.Refuse(neurotriage.CorruptDICOM, "parse headers: %w", err)
		}
		data.Elements = append(data.Elements, el)
	}
}

// metaFor makes a file meta group of our own (PS3.10 7.1): the parser never sees
// the file's, which may lie or name a syntax that it panics on. What the wall hands
// on has explicit VRs.
func metaFor(layout syntax) []byte {
	uid := explicitLittle + "\x00"
	if layout.bigEndian {
		uid = explicitBig + "\x00"
	}
	meta := append(make([]byte, preambleBytes), magic+"\x02\x00\x00\x00UL\x04\x00"...)
	meta = binary.LittleEndian.AppendUint32(meta, uint32(8+len(uid)))
	meta = append(meta, "\x02\x00\x10\x00UI"...)
	return append(binary.LittleEndian.AppendUint16(meta, uint16(len(uid))), uid...)
}

// reader looks values up in a data set, level by level.
type reader struct {
	levels  []level
	blocks  []map[reserved]uint16 // of private creators, level by level
	decoder textDecoder
}

// find gives the element with this tag from the first level that has it.
func (r *reader) find(t tag.Tag) *dicom.Element {
	for _, level := range r.levels {
		if el := level[t]; el != nil {
			return el
		}
	}
	return nil
}

// items gives the items of a sequence, or nil.
func items(el *dicom.Element) []*dicom.SequenceItemValue {
	all, _ := el.Value.GetValue().([]*dicom.SequenceItemValue)
	return all
}

// firstItem gives the elements of a sequence's first item, or nil.
func firstItem(el *dicom.Element) []*dicom.Element {
	all := items(el)
	if len(all) == 0 {
		return nil
	}
	return elementsOf(all[0])
}

func elementsOf(item *dicom.SequenceItemValue) []*dicom.Element {
	elements, _ := item.GetValue().([]*dicom.Element)
	return elements
}

// values gives an element's values as text, undecoded and without padding.
func (r *reader) values(t tag.Tag) []string {
	if el := r.find(t); el != nil {
		return textsOf(el.Value.GetValue())
	}
	return nil
}

// textsOf gives the values of an element that has text, without padding.
func textsOf(value any) []string {
	raw, ok := value.([]string)
	if bytes, isBytes := value.([]byte); isBytes { // private, of an implicit file
		raw, ok = []string{string(bytes)}, true
	}
	if !ok || len(raw) == 1 && trimmed(raw[0]) == "" {
		return nil
	}
	if !slices.ContainsFunc(raw, func(text string) bool { return len(trimmed(text)) < len(text) }) {
		return raw
	}
	all := make([]string, len(raw))
	for i, text := range raw {
		all[i] = trimmed(text)
	}
	return all
}

// trimmed takes off the padding of a text (PS3.5 6.2).
func trimmed(value string) string { return strings.Trim(value, " \x00") }

// ascii gives the first value of a VR that has no character set.
func (r *reader) ascii(t tag.Tag) string {
	if v := r.values(t); len(v) > 0 {
		return v[0]
	}
	return ""
}

// text gives a value in the data set's character set. The parser split it at
// backslashes before decoding, which is undone: in some character sets a
// backslash is half a letter (PS3.5 6.1.2.5).
func (r *reader) text(t tag.Tag) string {
	raw := strings.Join(r.values(t), `\`)
	return strings.TrimSpace(r.decoder.decode(raw[:min(len(raw), maxTextBytes)]))
}

// maxTextBytes is how much of a text is looked at. Names and descriptions have some
// hundred characters at most by the standard (PS3.5 6.2).
const maxTextBytes = 1024

func clip(text string) string {
	if len(text) <= maxTextBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxTextBytes], "")
}

// numbers gives DS and IS values, and binary numbers. Unreadable values are NaN.
func (r *reader) numbers(t tag.Tag) []float64 {
	el := r.find(t)
	if el == nil {
		return nil
	}
	value := el.Value.GetValue()
	switch raw := value.(type) {
	case []int:
		numbers := make([]float64, len(raw))
		for i, one := range raw {
			numbers[i] = float64(one)
		}
		return numbers
	case []float64:
		return raw
	}
	all := textsOf(value)
	numbers := make([]float64, len(all))
	for i, text := range all {
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			number = math.NaN()
		}
		numbers[i] = number
	}
	return numbers
}

// single gives an FL value, which in implicit files comes as the bytes of a
// private element, or 0.
func (r *reader) single(t tag.Tag) float64 {
	el := r.find(t)
	if el == nil {
		return 0
	}
	if raw, ok := el.Value.GetValue().([]byte); ok {
		if len(raw) != 4 {
			return 0
		}
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return r.number(t, 0)
}

// number gives the first number, or absent when there is none that is finite.
func (r *reader) number(t tag.Tag, absent float64) float64 {
	if n := r.numbers(t); len(n) > 0 && !math.IsNaN(n[0]) && !math.IsInf(n[0], 0) {
		return n[0]
	}
	return absent
}

// integer gives the first number that fits, or absent.
func (r *reader) integer(t tag.Tag, absent int) int {
	n := r.number(t, float64(absent))
	if math.Abs(n) > math.MaxInt32 {
		return absent
	}
	return int(n)
}

// present reports a sequence with items, or a value that is not empty.
func (r *reader) present(t tag.Tag) bool {
	el := r.find(t)
	if el == nil {
		return false
	}
	switch value := el.Value.GetValue().(type) {
	case []*dicom.SequenceItemValue:
		return len(value) > 0
	case []string:
		return len(textsOf(value)) > 0
	case []int:
		return len(value) > 0
	}
	return true
}

// within gives the text of an attribute in a sequence's first item.
func (r *reader) within(sequence, t tag.Tag) string {
	el := r.find(sequence)
	if el == nil {
		return ""
	}
	return r.inside(firstItem(el)).text(t)
}

// inside reads the elements of one item alone.
func (r *reader) inside(elements []*dicom.Element) *reader {
	return &reader{levels: []level{levelOf(elements)}, decoder: r.decoder}
}

// vector gives exactly n finite numbers.
func (r *reader) vector(t tag.Tag, n int) ([]float64, bool) {
	v := r.numbers(t)
	if len(v) != n {
		return nil, false
	}
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) > 1e6 {
			return nil, false
		}
	}
	return v, true
}
