package dicomio

import (
	"slices"
	"strconv"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// Multi-frame images say in which order their frames belong by indices along
// dimensions (PS3.3 C.7.6.17). Places in the patient come first here, since they
// cannot be miscounted; indices break ties, stand in for places that are missing,
// and tell apart frames that share one.

var (
	tagStackID        = tag.Tag{Group: 0x0020, Element: 0x9056}
	tagInStack        = tag.Tag{Group: 0x0020, Element: 0x9057}
	tagTemporalIndex  = tag.Tag{Group: 0x0020, Element: 0x9128}
	tagIndexValues    = tag.Tag{Group: 0x0020, Element: 0x9157}
	tagIndexPointer   = tag.Tag{Group: 0x0020, Element: 0x9165}
	tagDimensionIndex = tag.Tag{Group: 0x0020, Element: 0x9222}
)

// maxDimensions bounds what is kept of each frame: real files have two to five.
const maxDimensions = 12

// readDimensions gives the attributes along which frames are counted. Files of some
// scanners lack them, and their indices then order frames without telling by what.
func readDimensions(r *reader) []tag.Tag {
	el := r.find(tagDimensionIndex)
	if el == nil {
		return nil
	}
	var all []tag.Tag
	for _, item := range items(el) {
		var of tag.Tag
		if pointer := r.inside(elementsOf(item)).numbers(tagIndexPointer); len(pointer) == 2 {
			of = tag.Tag{Group: uint16(pointer[0]), Element: uint16(pointer[1])}
		}
		if all = append(all, of); len(all) == maxDimensions {
			break
		}
	}
	return all
}

// readIndices gives the frame's place along each dimension.
func readIndices(r *reader) []int {
	numbers := r.numbers(tagIndexValues)
	if len(numbers) == 0 {
		return nil
	}
	index := make([]int, min(len(numbers), maxDimensions))
	for n := range index {
		index[n] = int(numbers[n]) // of 32 bits, unsigned
	}
	return index
}

// placeInStack is the frame's number along its stack, or 0.
func (i *instance) placeInStack() int {
	if i.inStack > 0 || len(i.indices) != len(i.dimensions) {
		return i.inStack
	}
	for n, of := range i.dimensions {
		if of == tagInStack || of == tag.ImagePositionPatient {
			return i.indices[n]
		}
	}
	return 0
}

// apart puts into words by which dimensions, other than those that every stack is
// told apart by, a frame differs from others in its place.
func (i *instance) apart() string {
	if len(i.indices) != len(i.dimensions) {
		return ""
	}
	var key []byte
	for n, of := range i.dimensions {
		switch of {
		case tagStackID, tagInStack, tagTemporalIndex, tagEffectiveEcho, tag.ImagePositionPatient, tag.ImageOrientationPatient, tag.SliceLocation:
			continue
		}
		key = strconv.AppendInt(key, int64(i.indices[n]), 10)
		key = append(key, '.')
	}
	return string(key)
}

// disagree reports frames whose numbers along the stack neither rise nor fall with
// their places, which are sorted.
func disagree(part []*instance) bool {
	rising, falling := false, false
	for n := 1; n < len(part); n++ {
		a, b := part[n-1].placeInStack(), part[n].placeInStack()
		if a <= 0 || b <= 0 || part[n].sopUID != part[n-1].sopUID && part[n].concatenation.uid != part[n-1].concatenation.uid {
			return false // not counted, or each object for itself
		}
		if part[n].geometry.along()-part[n-1].geometry.along() < sameMM {
			continue
		}
		rising, falling = rising || b >= a, falling || b <= a
	}
	return rising && falling
}

// indexed reports slices that their headers put in order without places.
func indexed(part []*instance) bool {
	return !slices.ContainsFunc(part, func(i *instance) bool { return i.placeInStack() <= 0 && len(i.indices) == 0 })
}
