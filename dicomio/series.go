package dicomio

import (
	"fmt"
	"slices"

	"neurotriage"
)

// makeSeries judges one series and lays its slices in order. plan holds the
// instance behind each slice.
func makeSeries(group []*instance, options Options) (neurotriage.Series, []*instance) {
	first := group[0]
	series := neurotriage.Series{
		UID: first.seriesUID, Number: first.seriesNumber, Modality: first.evidence.modality,
		BodyPart: first.evidence.bodyPart, Description: first.evidence.series,
		Plane: neurotriage.UnknownPlane, Complete: true, Slices: []neurotriage.Slice{},
	}
	faults := concatenationFaults(group)
	group = judgeSeries(&series, expand(group, options.Limits), options.IntendedUse)
	images := slices.DeleteFunc(slices.Clone(group), func(i *instance) bool { return !i.image.present && i.damaged == nil })
	stack := newStack(images)
	if len(images) > 0 {
		series.Plane = images[0].geometry.plane()
		stack.check(&series, options.Limits)
	}
	for _, fault := range faults {
		complain(&series, "%s", fault)
	}
	if rescaleAlike(images) {
		warn(&series, "some images say how to rescale their values and some do not")
	}
	for n, one := range stack.ordered {
		series.Slices = append(series.Slices, one.header(n))
		if one.store != nil {
			one.store.plan++
		}
	}
	return series, stack.ordered
}

// header is the slice without its pixels.
func (i *instance) header(index int) neurotriage.Slice {
	slice := neurotriage.Slice{
		SeriesInstanceUID: i.seriesUID, SOPInstanceUID: i.sopUID, SOPClassUID: i.sopClass, Frame: i.index() + 1, Index: index,
		Turn: i.geometry.turn(),
	}
	if i.geometry.placed {
		slice.Position = i.geometry.along()
	}
	slice.Rows, slice.Columns, slice.Spacing = lay(slice.Turn, i.image.frame.Rows, i.image.frame.Columns, i.geometry.spacing)
	return slice
}

// warn adds a warning. Warnings leave the house and name no files.
func warn(series *neurotriage.Series, format string, args ...any) {
	series.Warnings = append(series.Warnings, fmt.Sprintf(format, args...))
}

// complain warns of what keeps the series from clearing.
func complain(series *neurotriage.Series, format string, args ...any) {
	series.Complete = false
	warn(series, format, args...)
}
