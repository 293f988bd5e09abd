package kit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Macro is a functional group macro: a sequence of one item (PS3.3 C.7.6.16).
func Macro(tag uint32, elements ...Element) Element {
	return Element{Tag: tag, VR: "SQ", Value: []Item{elements}}
}

// enhanced lists the elements of a series as one enhanced MR image (PS3.3 A.36).
func (s Study) enhanced(r Series) []Element {
	first := r.Images[0]
	elements := s.instance(r, first, r.before)
	moved := []uint32{ // into functional groups, or not part of enhanced images
		0x00180020, 0x00180021, 0x00180022, 0x00180050, 0x00180080, 0x00180081, 0x00180082, 0x00180088, 0x00181314,
		0x00200032, 0x00200037, 0x00280030, 0x00281052, 0x00281053, 0x00281054,
	}
	for _, e := range append(slices.Clone(first.Extra), Element{Tag: 0x00180010}) {
		moved = append(moved, e.Tag)
	}
	elements = slices.DeleteFunc(elements, func(e Element) bool { return slices.Contains(moved, e.Tag) })
	shared, frames := r.groups()
	elements = append(elements,
		Element{0x00280008, "IS", fmt.Sprint(len(r.Images))}, first.join(r),
		Element{0x00089205, "CS", "MONOCHROME"}, Element{0x00089208, "CS", "MAGNITUDE"}, Element{0x00089209, "CS", "UNKNOWN"},
		Element{0x00189008, "CS", echoPulse(r.Timing.Scanning)},
		Element{0x00189018, "CS", yesNo(strings.Contains(r.Timing.Scanning, "EP"))},
		Element{0x00209222, "SQ", []Item{dimension(0x00209056), dimension(0x00209057)}},
		Element{0x52009229, "SQ", []Item{shared}}, Element{0x52009230, "SQ", frames})
	if r.Agent != "" {
		elements = append(elements, Macro(0x00180012, Element{0x00080104, "LO", r.Agent}))
	}
	return append(elements, r.Extra...)
}

// dimension says what an index of frames counts: an attribute of the frame content
// (PS3.3 C.7.6.17).
func dimension(of uint32) Item { return Dimension(of, 0x00209111) }

// Dimension is an item of the Dimension Index Sequence: an attribute and the macro in
// which it stands.
func Dimension(of, macro uint32) Item {
	pointer := func(tag uint32) []uint16 { return []uint16{uint16(tag >> 16), uint16(tag)} }
	return Item{{0x00209165, "AT", pointer(of)}, {0x00209167, "AT", pointer(macro)}}
}

// parts cuts the series into the objects of a concatenation (PS3.3 C.7.6.16.2.2.4).
func (r Series) parts(s Study) []Series {
	if r.Parts < 2 {
		return []Series{r}
	}
	var all []Series
	size := (len(r.Images) + r.Parts - 1) / r.Parts
	for images := range slices.Chunk(r.Images, size) {
		part := r
		part.Images, part.before = images, len(all)*size
		part.Stack.Origin = r.Stack.position(part.before)
		part.Extra = append(slices.Clone(r.Extra),
			Element{0x00200242, "UI", UID(s.Name + "/" + r.Name + "/source")},
			Element{0x00209161, "UI", UID(s.Name + "/" + r.Name + "/concatenation")},
			Element{0x00209162, "US", []uint16{uint16(len(all) + 1)}}, Element{0x00209163, "US", []uint16{uint16(r.Parts)}},
			Element{0x00209228, "UL", []uint32{uint32(part.before)}})
		all = append(all, part)
	}
	return all
}

// groups makes the functional groups: what all frames share, and each frame's.
func (r Series) groups() (Item, []Item) {
	k := r.Stack
	modifier := []Element{{0x00189009, "CS", yesNo(r.Timing.TI != 0)}}
	if strings.Contains(r.Timing.Variant, "SP") {
		modifier = append(modifier, Element{0x00189016, "CS", "RF"})
	}
	if r.Timing.TI != 0 {
		modifier = append(modifier, Element{0x00189079, "FD", []float64{r.Timing.TI}})
	}
	shared := Item{
		Macro(0x00289110, Element{0x00280030, "DS", number(k.Spacing[:]...)}, Element{0x00180050, "DS", number(k.Thickness)},
			Element{0x00180088, "DS", number(k.Between)}),
		Macro(0x00209116, Element{0x00200037, "DS", number(append(k.Right[:], k.Down[:]...)...)}),
		Macro(0x00189112, Element{0x00180080, "DS", number(r.Timing.TR)}, Element{0x00181314, "DS", number(r.Timing.Flip)}),
		Macro(0x00189114, Element{0x00189082, "FD", []float64{r.Timing.TE}}),
		Macro(0x00189115, modifier...),
		Macro(0x00189226, Element{0x00089007, "CS", r.ImageType}, Element{0x00089209, "CS", "UNKNOWN"}),
	}
	frames := make([]Item, len(r.Images))
	for i, image := range r.Images {
		position := k.position(i)
		frames[i] = Item{
			Macro(0x00209111, Element{0x00209056, "SH", "1"}, Element{0x00209057, "UL", []uint32{uint32(r.before + i + 1)}},
				Element{0x00209157, "UL", []uint32{1, uint32(r.before + i + 1)}}),
			Macro(0x00209113, Element{0x00200032, "DS", number(position[:]...)}),
		}
		if image.Slope != 0 {
			frames[i] = append(frames[i], Macro(0x00289145, Element{0x00281052, "DS", number(image.Intercept)},
				Element{0x00281053, "DS", number(image.Slope)}, Element{0x00281054, "LO", "US"}))
		}
		frames[i] = append(frames[i], image.Extra...)
	}
	return shared, frames
}

// join makes one pixel data element of the frames of all images.
func (m Image) join(r Series) Element {
	var native [][]byte
	var fragments Fragments
	var last Element
	for _, image := range r.Images {
		for _, e := range image.elements(r.Syntax) {
			last = e // pixel data comes last
		}
		switch value := last.Value.(type) {
		case Fragments:
			fragments = append(fragments, value...)
		case []byte:
			native = append(native, value[:len(value)-m.padding()])
		}
	}
	if last.Value = any(fragments); fragments == nil {
		joined := bytes.Join(native, nil)
		last.Value = append(joined, make([]byte, len(joined)%2)...)
	}
	return last
}

// padding is what a single native frame of odd length has behind it.
func (m Image) padding() int {
	if m.Allocated == 16 || m.Allocated == 32 || m.Allocated == 0 && (m.Bits == 0 || m.Bits > 8) {
		return 0
	}
	return m.Rows * m.Columns % 2
}

func echoPulse(scanning string) string {
	switch se, gr := strings.Contains(scanning, "SE"), strings.Contains(scanning, "GR"); {
	case se && gr:
		return "BOTH"
	case gr:
		return "GRADIENT"
	}
	return "SPIN"
}

func yesNo(yes bool) string {
	if yes {
		return "YES"
	}
	return "NO"
}
