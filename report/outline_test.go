package report_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"neurotriage/report"
)

// parsed is an object as a parser that is not ours sees it.
func parsed(t testing.TB, object report.Object) []*dicom.Element {
	t.Helper()
	set, err := dicom.Parse(bytes.NewReader(object.Bytes), int64(len(object.Bytes)), nil, dicom.SkipProcessingPixelDataValue())
	if err != nil {
		t.Fatalf("parse the %s: %v", object.Kind, err)
	}
	return set.Elements
}

// value gives an element's value as text, values parted by backslashes; an
// absent element has none.
func value(elements []*dicom.Element, group, element uint16) (string, bool) {
	for _, el := range elements {
		if el.Tag != (tag.Tag{Group: group, Element: element}) {
			continue
		}
		if texts, ok := el.Value.GetValue().([]string); ok {
			return strings.Join(texts, `\`), true
		}
		return strings.Trim(fmt.Sprint(el.Value.GetValue()), "[]"), true
	}
	return "", false
}

// items gives the items of a sequence.
func items(elements []*dicom.Element, group, element uint16) [][]*dicom.Element {
	var list [][]*dicom.Element
	for _, el := range elements {
		if el.Tag != (tag.Tag{Group: group, Element: element}) {
			continue
		}
		all, _ := el.Value.GetValue().([]*dicom.SequenceItemValue)
		for _, item := range all {
			inner, _ := item.GetValue().([]*dicom.Element)
			list = append(list, inner)
		}
	}
	return list
}

// coded writes a code sequence of one item.
func coded(elements []*dicom.Element, group, element uint16) string {
	list := items(elements, group, element)
	if len(list) == 0 {
		return ""
	}
	word, _ := value(list[0], 0x0008, 0x0100)
	scheme, _ := value(list[0], 0x0008, 0x0102)
	meaning, _ := value(list[0], 0x0008, 0x0104)
	return fmt.Sprintf("(%s, %s, %q)", word, scheme, meaning)
}

// outline writes a document's content tree, an item a line, for people.
func outline(elements []*dicom.Element) string {
	var out strings.Builder
	var walk func(item []*dicom.Element, depth int)
	walk = func(item []*dicom.Element, depth int) {
		relation, _ := value(item, 0x0040, 0xA010)
		kind, _ := value(item, 0x0040, 0xA040)
		fmt.Fprintf(&out, "%s%s %s %s%s\n", strings.Repeat("  ", depth), cmp.Or(relation, "ROOT"), kind, coded(item, 0x0040, 0xA043), content(item, kind))
		for _, child := range items(item, 0x0040, 0xA730) {
			walk(child, depth+1)
		}
	}
	walk(elements, 0)
	return out.String()
}

// content writes the value of a content item.
func content(item []*dicom.Element, kind string) string {
	one := func(group, element uint16) string { text, _ := value(item, group, element); return " = " + text }
	switch kind {
	case "TEXT":
		return one(0x0040, 0xA160)
	case "UIDREF":
		return one(0x0040, 0xA124)
	case "CODE":
		return " = " + coded(item, 0x0040, 0xA168)
	case "NUM":
		measured := items(item, 0x0040, 0xA300)[0]
		text, _ := value(measured, 0x0040, 0xA30A)
		exact, _ := value(measured, 0x0040, 0xA161)
		return " = " + text + " " + coded(measured, 0x0040, 0x08EA) + " exactly " + exact
	case "IMAGE":
		r := items(item, 0x0008, 0x1199)[0]
		uid, _ := value(r, 0x0008, 0x1155)
		frame, several := value(r, 0x0008, 0x1160)
		if several {
			uid += " frame " + frame
		}
		return " = " + uid
	}
	return ""
}

// referenced lists the instances that a content tree names, and the evidence
// those that a sequence of (study, series, instance) names.
func referenced(elements []*dicom.Element) []string {
	var list []string
	for _, r := range items(elements, 0x0008, 0x1199) {
		uid, _ := value(r, 0x0008, 0x1155)
		list = append(list, uid)
	}
	for _, child := range items(elements, 0x0040, 0xA730) {
		list = append(list, referenced(child)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// evidence lists the instances below a sequence of studies, and the studies.
func evidence(elements []*dicom.Element, element uint16) (instances, studies []string) {
	for _, study := range items(elements, 0x0040, element) {
		uid, _ := value(study, 0x0020, 0x000D)
		studies = append(studies, uid)
		for _, series := range items(study, 0x0008, 0x1115) {
			instances = append(instances, referenced(series)...)
		}
	}
	slices.Sort(instances)
	return instances, studies
}
