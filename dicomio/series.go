package dicomio

import (
	"cmp"
	"fmt"
	"math"
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
	group = judgeSeries(&series, expand(group, options.Limits), options.IntendedUse)
	images := slices.DeleteFunc(slices.Clone(group), func(i *instance) bool { return !i.image.present && i.damaged == nil })
	stack := newStack(images)
	if len(images) > 0 {
		series.Plane = images[0].geometry.plane()
		stack.check(&series, options.Limits)
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

// stack is the slices of a series, laid in order.
type stack struct {
	ordered []*instance
	parts   [][]*instance // slices with one orientation, echo and point in time, each in order
}

// newStack sorts by place along the normal (PS3.3 C.7.6.2.1.1) within each
// orientation, echo and time; instance numbers only break ties and stand in
// where there is no geometry.
func newStack(images []*instance) stack {
	var s stack
	type key struct {
		echo, temporal int
		stack          string
		turn           neurotriage.Turn
	}
	candidates := map[key][]int{} // parts that may be parallel
	for _, i := range images {
		k := key{i.echo, i.temporal, i.stack, i.geometry.turn()}
		at := slices.IndexFunc(candidates[k], func(at int) bool { return parallel(s.parts[at][0].geometry, i.geometry) })
		if at < 0 {
			candidates[k] = append(candidates[k], len(s.parts))
			s.parts = append(s.parts, []*instance{i})
			continue
		}
		at = candidates[k][at]
		s.parts[at] = append(s.parts[at], i)
	}
	for _, part := range s.parts {
		slices.SortFunc(part, func(a, b *instance) int {
			return cmp.Or(cmp.Compare(a.height(), b.height()),
				cmp.Compare(a.instanceNumber, b.instanceNumber), cmp.Compare(a.sopUID, b.sopUID), cmp.Compare(a.number, b.number))
		})
	}
	slices.SortStableFunc(s.parts, func(a, b []*instance) int {
		return cmp.Or(cmp.Compare(a[0].echo, b[0].echo), cmp.Compare(a[0].temporal, b[0].temporal), cmp.Compare(a[0].stack, b[0].stack),
			cmp.Compare(a[0].instanceNumber, b[0].instanceNumber))
	})
	for _, part := range s.parts {
		s.ordered = append(s.ordered, part...)
	}
	return s
}

// height is the place along the normal, zero when the headers lack it.
func (i *instance) height() float64 {
	if !i.geometry.placed {
		return 0
	}
	return i.geometry.along()
}

// parallel reports slices that can stand in one stack.
func parallel(a, b geometry) bool {
	const cosine = 0.9995 // of about two degrees
	return a.oriented == b.oriented && (!a.oriented || math.Abs(a.normal().dot(b.normal())) > cosine)
}

// check tells what is wrong with the stack's geometry, never silently.
func (s stack) check(series *neurotriage.Series, limits Limits) {
	complain := func(format string, args ...any) {
		series.Complete = false
		series.Warnings = append(series.Warnings, fmt.Sprintf(format, args...))
	}
	if len(s.parts) > 1 {
		complain("the series holds %d stacks of different orientation, echo or time", len(s.parts))
	}
	for _, part := range s.parts {
		checkPart(part, complain)
	}
	first := s.ordered[0]
	for _, i := range s.ordered {
		a, b := first.image.frame, i.image.frame
		if a.Rows != b.Rows || a.Columns != b.Columns || !near(first.geometry.spacing, i.geometry.spacing) {
			complain("slices differ in size or pixel spacing")
			break
		}
	}
	if first.geometry.spacing == [2]float64{} {
		complain("pixel spacing is missing")
	}
	if unread, first := s.unread(limits); unread > 0 {
		complain("%d of %d images cannot be read (%s)", unread, len(s.ordered), first)
	}
}

// unread counts the files that headers alone show to be unreadable, and gives the
// first one's reason.
func (s stack) unread(limits Limits) (n int, first neurotriage.Reason) {
	for _, i := range s.ordered {
		if refusal := i.readable(limits); refusal != nil {
			n++
			first = cmp.Or(first, refusal.Reason)
		}
	}
	return n, first
}

func near(a, b [2]float64) bool {
	return math.Abs(a[0]-b[0]) < 1e-3 && math.Abs(a[1]-b[1]) < 1e-3
}

// Tolerances of a regular stack, as fractions of its usual distance.
const (
	doubledBelow = 0.05 // two slices closer than this lie in one place
	unevenBeyond = 0.1
	missingAbove = 1.5
)

// headMM is the least extent of a stack that shows a head and not a detail of it.
const headMM = 40

// checkPart looks for missing, doubled and unevenly spaced slices of one stack.
func checkPart(part []*instance, complain func(string, ...any)) {
	for _, i := range part {
		if !i.geometry.placed {
			complain("position or orientation is missing, slices are ordered by instance number")
			return
		}
	}
	if len(part) < 2 {
		complain("the stack has one slice only")
		return
	}
	gaps := make([]float64, len(part)-1)
	for i := range gaps {
		gaps[i] = part[i+1].height() - part[i].height()
	}
	usual := usualGap(gaps)
	doubled, missing, uneven := 0, 0, 0
	for _, gap := range gaps {
		switch {
		case gap < doubledBelow*usual || gap < 1e-3:
			doubled++
		case gap > missingAbove*usual:
			missing += int(math.Round(gap/usual)) - 1
		case math.Abs(gap-usual) > unevenBeyond*usual:
			uneven++
		}
	}
	if doubled > 0 {
		complain("%d slices lie where another one lies", doubled)
	}
	if missing > 0 {
		complain("about %d slices are missing between others", missing)
	}
	if uneven > 0 {
		complain("%d of %d distances between slices are uneven", uneven, len(gaps))
	}
	checkAnnounced(part, usual, complain)
}

// usualGap is the median of the distances that are no doubles.
func usualGap(gaps []float64) float64 {
	sorted := slices.DeleteFunc(slices.Clone(gaps), func(gap float64) bool { return gap < 1e-3 })
	if len(sorted) == 0 {
		return 0
	}
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// checkAnnounced compares the stack with what its headers announce.
func checkAnnounced(part []*instance, usual float64, complain func(string, ...any)) {
	g := part[0].geometry
	if g.between > 0 && usual > missingAbove*g.between && usual > missingAbove*g.thickness {
		complain("slices lie %.1f mm apart where %.1f mm are announced: some are missing", usual, g.between)
	}
	if covered := part[len(part)-1].height() - part[0].height(); covered < headMM {
		complain("the stack covers %.0f mm of the head, less than %d mm", covered, headMM)
	}
	if announced := part[0].inAcquisition; announced > len(part) {
		complain("%d images are announced for the acquisition, %d are here", announced, len(part))
	}
	numbers := make([]int, len(part))
	for i, one := range part {
		numbers[i] = one.instanceNumber
	}
	slices.Sort(numbers)
	steps := 0
	for i := 1; i < len(numbers); i++ {
		if numbers[i] == numbers[i-1]+1 {
			steps++
		}
	}
	span := numbers[len(numbers)-1] - numbers[0] + 1
	if span > len(numbers) && 2*steps >= len(numbers) {
		complain("instance numbers %d to %d have %d gaps", numbers[0], numbers[len(numbers)-1], span-len(numbers))
	}
}
