package dicomio

import (
	"bytes"

	"neurotriage"
)

// What nests behind the wall: sequences with their items, and the fragments of
// encapsulated pixel data.

// maxItems is how many items a sequence may have of which any is read, other than one
// a frame: an empty one costs the parser a hundred times its size.
const maxItems = 1 << 15

// sequence walks the items of a sequence (PS3.5 7.5), and hands them on with
// delimiters when keep is set.
func (w *wall) sequence(el element, layout syntax, depth int, keep bool) error {
	if depth >= maxDepth {
		return w.corrupt(el, "sequences nest deeper than %d levels", maxDepth)
	}
	if keep {
		w.emit(element{tag: el.tag, vr: el.vr, length: undefinedLength})
	}
	end := w.in.off + int64(el.length)
	for n := 0; el.length == undefinedLength || w.in.off < end; n++ {
		item, err := w.element(layout)
		if err != nil {
			return err
		}
		if item.tag == tagSequenceEnd && el.length == undefinedLength {
			break
		}
		if item.tag != tagItem {
			return w.corrupt(item, "a sequence holds something that is not an item")
		}
		if err := w.fits(item, el, end); err != nil {
			return err
		}
		wanted := keep
		if ofFrames := el.tag == tagPerFrame && depth == 0; ofFrames && n >= w.limits.Frames {
			wanted = false // nobody may ask for that frame
		} else if keep && !ofFrames && n >= maxItems {
			return neurotriage.Refuse(neurotriage.TooLarge, "a sequence holds more than %d items at byte %d", maxItems, item.at)
		}
		if err := w.item(item, layout, depth, wanted); err != nil {
			return err
		}
	}
	if keep {
		w.emit(element{tag: tagSequenceEnd})
	}
	return nil
}

// item walks one item.
func (w *wall) item(item element, layout syntax, depth int, keep bool) error {
	if keep {
		if err := w.room(item); err != nil {
			return err
		}
		w.emit(element{tag: tagItem, length: undefinedLength})
	}
	if err := w.dataset(item, layout, depth+1, keep); err != nil {
		return err
	}
	if keep {
		w.emit(element{tag: tagItemEnd})
	}
	return nil
}

// named gives an element of VR UN the VR of the dictionary: archives and converters
// that did not know one write it for standard elements too. Its content is implicit
// little endian (PS3.5 6.2.2).
func (w *wall) named(el element, layout syntax) (element, syntax) {
	if el.vr != "UN" || w.out.layout.bigEndian || el.tag>>16%2 == 1 {
		return el, layout
	}
	switch vr := dictionaryVR(el.tag); {
	case vr == "SQ":
		el.vr = vr
		return el, syntax{implicit: true}
	case shortVR(vr) && el.length != undefinedLength:
		el.vr = vr
	}
	return el, layout
}

// maxUnnamedBytes is the largest private sequence without a VR that is looked into.
const maxUnnamedBytes = 1 << 20

// unnamed walks a private sequence that does not say that it is one: implicit
// files name no VR, and what passed through one has UN (PS3.5 6.2.2). Its content
// is implicit little endian. Where it turns out to be something else it is passed
// over, as other private values are.
func (w *wall) unnamed(el element, depth int) error {
	layout := syntax{implicit: true}
	el.vr = "SQ"
	if el.length == undefinedLength {
		return w.sequence(el, layout, depth, true)
	}
	if el.length > maxUnnamedBytes || w.inside { // no byte is copied for each of its levels
		return w.in.skip(int64(el.length))
	}
	value := make([]byte, el.length)
	if err := w.in.read(value); err != nil {
		return err
	}
	inner := &wall{in: inputOf(value), limits: w.limits, out: w.out, heads: w.heads, inside: true}
	switch err := inner.sequence(el, layout, depth, true); {
	case err == nil:
		w.out.header, w.heads = inner.out.header, inner.heads
	case asRefusal(err) != nil && asRefusal(err).Reason == neurotriage.TooLarge:
		return err
	}
	return nil
}

// inputOf reads a value that is held already.
func inputOf(value []byte) *input {
	return &input{src: bytes.NewReader(value), at: bytes.NewReader(value), size: int64(len(value)), window: make([]byte, 64)}
}

// pixelData notes where the pixel data lies and that all of it is there.
func (w *wall) pixelData(el element, layout syntax) error {
	w.out.pixels.tag, w.out.pixels.vr = el.tag, el.vr
	if el.length == undefinedLength {
		table, fragments, err := w.fragments(layout)
		w.out.pixels.table, w.out.pixels.fragments = table, fragments
		return err
	}
	w.out.pixels.native = fragment{offset: w.in.off, length: int64(el.length)}
	left := w.in.left()
	if left >= int64(el.length) {
		return nil // it is all there, and what is behind it is not asked for
	}
	err := errTruncated
	if left < 0 {
		err = w.in.skip(int64(el.length)) // only a deflated stream has to be walked to know
	}
	return w.corruptOr(err, el, "pixel data of %d bytes is announced, the file holds less", el.length)
}

// fragments walks encapsulated pixel data (PS3.5 A.4): an offset table, then
// fragments, then a delimiter.
func (w *wall) fragments(layout syntax) (table fragment, all []fragment, err error) {
	for first := true; ; first = false {
		item, err := w.element(layout)
		if err != nil {
			return table, all, err
		}
		if item.tag == tagSequenceEnd {
			return table, all, nil
		}
		if item.tag != tagItem || item.length == undefinedLength {
			return table, all, w.corrupt(item, "encapsulated pixel data holds something that is not a fragment")
		}
		here := fragment{offset: w.in.off, length: int64(item.length)}
		if err := w.in.skip(here.length); err != nil {
			return table, all, w.corruptOr(err, item, "a fragment of %d bytes leaves the file", item.length)
		}
		switch {
		case first:
			table = here
		case len(all) >= maxFragments(w.limits):
			return table, all, neurotriage.Refuse(neurotriage.TooLarge, "more than %d fragments", len(all))
		default:
			all = append(all, here)
		}
	}
}

// maxFragments leaves room for a few fragments a frame.
func maxFragments(l Limits) int { return 16 * l.Frames }
