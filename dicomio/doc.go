// Package dicomio is the dark room: DICOM bytes go in, slices in modality units
// come out.
//
// [Open] and [Scan] read headers only and say which series the model may read,
// and why; [Study.Slices] then reads pixels, slice by slice, in the order of the
// stack. Nothing of a file is believed before it was checked: the wall in wall.go
// walks every element before the parser sees one.
//
// Errors are of three kinds: a *neurotriage.Refusal when the data are at fault,
// errors that wrap neurotriage.ErrSurroundings when disk or network are, and
// others, which a retry may cure.
package dicomio
