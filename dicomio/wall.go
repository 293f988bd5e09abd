package dicomio

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"neurotriage"
)

// The wall: every byte is looked at here before the parser sees it. It walks
// the elements of a data set (PS3.5 7.1), checks that each length fits into what
// is left and that nesting ends, notes where the pixel data lies without reading
// it, and copies only what the room asks for, in a form that the parser is known
// to take: known groups, known VRs, sequences with delimiters. What the parser
// stumbles over (OV, SV, UV, UN, character sets, huge values, private groups,
// pixel data, file meta) never reaches it.

// maxDepth is how deep sequences may nest. Real files stay below ten; the parser
// recurses without a limit and a stack overflow kills the process.
const maxDepth = 64

// maxHeads is how many elements and items are handed on: the parser spends up to
// a kilobyte on one of eight bytes.
const maxHeads = 400_000

// maxValueBytes is the largest single value that is handed on: the parser takes a
// length of 65535 for an undefined one.
const maxValueBytes = 64<<10 - 2

// undefinedLength marks a value that ends at a delimiter (PS3.5 7.1.1).
const undefinedLength = 0xFFFFFFFF

const (
	tagItem         = uint32(0xFFFEE000)
	tagItemEnd      = uint32(0xFFFEE00D)
	tagSequenceEnd  = uint32(0xFFFEE0DD)
	tagPixelData    = uint32(0x7FE00010)
	tagFloatPixels  = uint32(0x7FE00008)
	tagDoublePixels = uint32(0x7FE00009)
	tagCharacterSet = uint32(0x00080005)
	tagPerFrame     = uint32(0x52009230)

	tagExtendedOffsets = uint32(0x7FE00001)
	tagExtendedLengths = uint32(0x7FE00002)
	tagSyntaxUID       = uint32(0x00020010)
	tagMediaClass      = uint32(0x00020002)
	tagMediaInstance   = uint32(0x00020003)
)

// fragment is a stretch of the file, or of what the file inflates to.
type fragment struct {
	offset int64
	length int64
}

// pixelPlace says where the pixel data lies.
type pixelPlace struct {
	tag       uint32 // 0 when there is none
	vr        string
	native    fragment
	table     fragment   // basic offset table (PS3.5 A.4)
	extended  fragment   // extended offset table
	lengths   fragment   // and its lengths
	fragments []fragment // of encapsulated pixel data, offset table left out
}

// vetted is what came through the wall.
type vetted struct {
	transferSyntax string
	mediaClass     string // SOP class of the file meta, a second witness
	mediaInstance  string
	layout         syntax // of the data set; header is explicit in its byte order
	dataset        int64  // where the data set begins
	deflated       int64  // where the deflate stream begins, 0 when there is none
	header         []byte // elements that the parser may see, without file meta
	characterSet   []byte // (0008,0005) of the data set, undecoded
	mosaic         int    // slices that a Siemens mosaic shows, 0 for other images
	pixels         pixelPlace
}

// wall walks one file.
type wall struct {
	in     *input
	limits Limits
	out    vetted
	heads  int  // elements and items that were handed on
	inside bool // of a private sequence without a VR
}

// vet walks a file's headers. On error the result holds what was vetted before
// the fault, so that a damaged slice can still be named.
func vet(in *input, limits Limits) (vetted, error) {
	w := &wall{in: in, limits: limits}
	if err := w.file(); err != nil {
		var refusal *neurotriage.Refusal
		if !errors.As(err, &refusal) && errors.Is(err, errTruncated) {
			err = neurotriage.Refuse(neurotriage.CorruptDICOM, "read headers at byte %d: %w", in.off, err)
		}
		return w.out, err
	}
	return w.out, nil
}

func (w *wall) file() error {
	if err := w.meta(); err != nil {
		return err
	}
	w.out.dataset = w.in.off
	layout := layoutOf(w.out.transferSyntax)
	if layout.deflated {
		// The data set behind the file meta is one raw deflate stream (PS3.5 A.5).
		w.out.deflated = w.in.off
		w.in = newInput(&boundedReader{src: flate.NewReader(&restOf{w.in}), left: w.limits.FileBytes}, -1)
	}
	w.out.layout = w.guess(layout)
	return w.dataset(element{length: undefinedLength}, w.out.layout, 0, true)
}

// restOf reads what is left of an input.
type restOf struct{ in *input }

func (r *restOf) Read(p []byte) (int, error) {
	if n := r.in.w - r.in.r; n > 0 {
		n = copy(p, r.in.window[r.in.r:r.in.w])
		r.in.r += n
		r.in.off += int64(n)
		return n, nil
	}
	n, err := r.in.pull(p, r.in.off)
	r.in.off += int64(n)
	return n, err
}

// meta reads the preamble and the file meta group, which is explicit little
// endian in every file (PS3.10 7.1). Both may be missing.
func (w *wall) meta() error {
	if head, err := w.in.peek(preambleBytes + len(magic)); err == nil && bytes.Equal(head[preambleBytes:], []byte(magic)) {
		if _, err := w.in.next(preambleBytes + len(magic)); err != nil {
			return err
		}
	}
	layout := syntax{}
	for {
		head, err := w.in.peek(2)
		if err != nil || binary.LittleEndian.Uint16(head) != 2 {
			return nil // the data set walk reports what is missing
		}
		el, err := w.element(layout)
		if err != nil {
			return err
		}
		if el.length > maxValueBytes {
			if err := w.in.skip(int64(el.length)); err != nil {
				return w.corrupt(el, "a length of %d leaves the file", el.length)
			}
			continue
		}
		value := make([]byte, el.length)
		if err := w.in.read(value); err != nil {
			return err
		}
		switch el.tag {
		case tagSyntaxUID:
			w.out.transferSyntax = trimUID(value)
		case tagMediaClass:
			w.out.mediaClass = trimUID(value)
		case tagMediaInstance:
			w.out.mediaInstance = trimUID(value)
		}
	}
}

// trimUID takes off the padding of a UI value (PS3.5 6.2); blanks are seen too.
func trimUID(value []byte) string { return strings.Trim(string(value), "\x00 ") }

// guess corrects a layout that the first element contradicts: files whose meta
// group is missing or wrong exist, and their headers can be read all the same.
func (w *wall) guess(layout syntax) syntax {
	head, err := w.in.peek(6)
	if err != nil {
		return layout
	}
	explicit := knownVR(string(head[4:6]))
	if w.out.transferSyntax == "" {
		layout = syntax{implicit: !explicit}
		layout.bigEndian = explicit && head[0] == 0 && head[1] != 0
		w.out.transferSyntax = implicitLittle
		if explicit {
			w.out.transferSyntax = explicitLittle
		}
		if layout.bigEndian {
			w.out.transferSyntax = explicitBig
		}
		return layout
	}
	layout.implicit = !explicit
	return layout
}

// element is the head of one data element.
type element struct {
	tag    uint32
	vr     string // empty for items and delimiters
	length uint32
	at     int64 // offset of the tag
}

// element reads one element's head (PS3.5 7.1.2 and 7.1.3).
func (w *wall) element(layout syntax) (element, error) {
	order := layout.order()
	el := element{at: w.in.off}
	head, err := w.in.next(8)
	if err != nil {
		return el, err
	}
	el.tag = uint32(order.Uint16(head))<<16 | uint32(order.Uint16(head[2:]))
	if el.tag>>16 == 0xFFFE { // items and delimiters have no VR in any syntax (PS3.5 7.5)
		el.length = order.Uint32(head[4:])
		return el, nil
	}
	if layout.implicit {
		el.vr, el.length = dictionaryVR(el.tag), order.Uint32(head[4:])
		return el, nil
	}
	el.vr = string(head[4:6])
	if shortVR(el.vr) {
		el.length = uint32(order.Uint16(head[6:]))
		return el, nil
	}
	if !isUpper(head[4]) || !isUpper(head[5]) {
		return el, w.corrupt(el, "%q is no value representation", el.vr)
	}
	// Known long VRs, and those of editions to come, have a 32-bit length (PS3.5 7.1.2).
	long, err := w.in.next(4)
	if err != nil {
		return el, err
	}
	el.length = order.Uint32(long)
	return el, nil
}

// dataset walks elements until its owner ends: at the end of the file, or at
// pixel data, for the outermost one; else after owner.length bytes or at the
// item's delimiter.
func (w *wall) dataset(owner element, layout syntax, depth int, keep bool) error {
	end := w.in.off + int64(owner.length)
	for owner.length == undefinedLength || w.in.off < end {
		if depth == 0 && w.atEnd() {
			return nil
		}
		el, err := w.element(layout)
		if err != nil {
			return err
		}
		switch {
		case el.tag == tagItemEnd && depth > 0 && owner.length == undefinedLength:
			return nil
		case el.tag>>16 == 0xFFFE:
			return w.corrupt(el, "an item or delimiter stands outside of a sequence")
		case depth == 0 && isPixels(el.tag):
			return w.pixelData(el, layout)
		}
		if err := w.fits(el, owner, end); err != nil {
			return err
		}
		if err := w.value(el, layout, depth, keep); err != nil {
			return err
		}
	}
	return nil
}

// fits checks an element's length against its owner and the file.
func (w *wall) fits(el, owner element, end int64) error {
	if el.length == undefinedLength {
		return nil
	}
	last := w.in.off + int64(el.length)
	if owner.length != undefinedLength && last > end {
		return w.corrupt(el, "a length of %d leaves the enclosing item", el.length)
	}
	if w.in.size >= 0 && last > w.in.size {
		return w.corrupt(el, "a length of %d leaves the file", el.length)
	}
	return nil
}

// value walks, copies or skips one element's value.
func (w *wall) value(el element, layout syntax, depth int, keep bool) error {
	el, layout = w.named(el, layout)
	keep = keep && wanted(el, depth) && !(el.vr == "UN" && w.out.layout.bigEndian) // UN is little endian
	switch {
	case keep && el.vr == "UN" && privateSequence(el.tag):
		return w.unnamed(el, depth)
	case el.vr == "SQ" && (keep || el.length == undefinedLength):
		return w.sequence(el, layout, depth, keep)
	case el.length == undefinedLength && (el.vr == "OB" || el.vr == "OW"):
		_, _, err := w.fragments(layout) // pixel data of an icon
		return err
	case el.length == undefinedLength && el.vr == "UN" && !layout.implicit:
		// UN of undefined length is a sequence in implicit little endian (PS3.5 6.2.2).
		return w.sequence(el, syntax{implicit: true}, depth, false)
	case el.length == undefinedLength && layout.implicit:
		return w.sequence(el, layout, depth, false)
	case el.length == undefinedLength:
		return w.corrupt(el, "a %s value may not have an undefined length", el.vr)
	case el.tag == tagCharacterSet && depth == 0 && el.length <= maxValueBytes:
		w.out.characterSet = make([]byte, el.length)
		return w.in.read(w.out.characterSet)
	case depth == 0 && (el.tag == tagExtendedOffsets || el.tag == tagExtendedLengths):
		return w.extendedTable(el)
	case depth == 0 && holdsCSA(el):
		return w.csa(el)
	case keep && el.tag != tagCharacterSet:
		return w.copyValue(el)
	}
	return w.in.skip(int64(el.length))
}

// copyValue hands an element on.
func (w *wall) copyValue(el element) error {
	if err := w.room(el); err != nil {
		return err
	}
	w.emit(el)
	n := len(w.out.header)
	w.out.header = append(w.out.header, make([]byte, el.length)...)
	return w.in.read(w.out.header[n:])
}

// room counts what is handed on, and refuses more than the parser can bear. Items
// without content count too: they cost more out than in.
func (w *wall) room(el element) error {
	w.heads++
	length := int64(el.length)
	if el.length == undefinedLength || el.tag == tagItem {
		length = 0
	}
	switch {
	case int64(len(w.out.header))+length > w.limits.HeaderBytes:
		return neurotriage.Refuse(neurotriage.TooLarge, "headers exceed %d bytes at %s", w.limits.HeaderBytes, tagText(el.tag))
	case w.heads > maxHeads:
		return neurotriage.Refuse(neurotriage.TooLarge, "headers hold more than %d elements at byte %d", maxHeads, el.at)
	}
	return nil
}

// emit writes an element's head with its VR, in the byte order of the data set.
func (w *wall) emit(el element) {
	order := w.out.layout.order().(binary.AppendByteOrder)
	h := order.AppendUint16(w.out.header, uint16(el.tag>>16))
	h = order.AppendUint16(h, uint16(el.tag))
	switch {
	case el.vr == "":
		h = order.AppendUint32(h, el.length)
	case shortVR(el.vr):
		h = append(h, el.vr...)
		h = order.AppendUint16(h, uint16(el.length))
	default:
		h = append(h, el.vr...)
		h = append(h, 0, 0)
		h = order.AppendUint32(h, el.length)
	}
	w.out.header = h
}

func (w *wall) atEnd() bool {
	_, err := w.in.peek(1)
	return errors.Is(err, errTruncated)
}

// corrupt names the place of a structural fault.
func (w *wall) corrupt(el element, format string, args ...any) error {
	return neurotriage.Refuse(neurotriage.CorruptDICOM, "read element %s at byte %d: %w",
		tagText(el.tag), el.at, fmt.Errorf(format, args...))
}

// corruptOr is corrupt for the end of the file, and err itself for anything else.
func (w *wall) corruptOr(err error, el element, format string, args ...any) error {
	if errors.Is(err, errTruncated) {
		return w.corrupt(el, format, args...)
	}
	return err
}

func tagText(t uint32) string { return fmt.Sprintf("(%04x,%04x)", t>>16, t&0xFFFF) }

func isPixels(t uint32) bool {
	return t == tagPixelData || t == tagFloatPixels || t == tagDoublePixels
}

func isUpper(b byte) bool { return b >= 'A' && b <= 'Z' }
