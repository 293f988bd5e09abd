package report

import "neurotriage/dicomio"

// keyObject is the key object selection of a flagged study (PS3.3 A.35.4,
// TID 2010): the key slices and their captures, for physician review.
func (d *document) keyObject() dicomio.Dataset {
	chosen := append(append([]reference{}, d.keys...), d.captures...)
	set := append(d.common(KindKeyObject, "key object", 1),
		sq(0x00081111), sq(0x0040A375, evidence(d.study.UID, chosen)))
	children := append([]item{language()}, d.observer()...)
	children = append(children, textItem(contains, conceptDescription, disclaimer+" "+verdict(d.finding)))
	for _, image := range chosen {
		children = append(children, imageItem(contains, code{}, image))
	}
	return append(set, root(titleReview, "2010", children...)...)
}
