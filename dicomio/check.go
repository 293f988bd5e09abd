package dicomio

import (
	"cmp"
	"math"
	"slices"

	"neurotriage"
)

// check tells what is wrong with the stack's geometry, never silently.
func (s stack) check(series *neurotriage.Series, limits Limits) {
	if len(s.parts) > 1 {
		complain(series, "the series holds %d stacks of different orientation, echo or time", len(s.parts))
	}
	for _, part := range s.parts {
		checkPart(series, part)
	}
	first := s.ordered[0]
	for _, i := range s.ordered {
		a, b := first.image.frame, i.image.frame
		if a.Rows != b.Rows || a.Columns != b.Columns || !near(first.geometry.spacing, i.geometry.spacing) {
			complain(series, "slices differ in size or pixel spacing")
			break
		}
	}
	if first.geometry.spacing == [2]float64{} {
		complain(series, "pixel spacing is missing")
	}
	if unread, first := s.unread(limits); unread > 0 {
		complain(series, "%d of %d images cannot be read (%s)", unread, len(s.ordered), first)
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
	sameMM       = 1e-3 // distance of slices in one place, mm
	doubledBelow = 0.05 // two slices closer than this lie in one place
	unevenBeyond = 0.1
	missingAbove = 1.5
)

// headMM is the least extent of a stack that shows a head and not a detail of it.
const headMM = 40

// checkPart looks for missing, doubled and unevenly spaced slices of one stack.
func checkPart(series *neurotriage.Series, part []*instance) {
	if !placed(part) {
		by := "instance number"
		if indexed(part) {
			by = "dimension index"
		}
		complain(series, "position or orientation is missing, slices are ordered by %s", by)
		return
	}
	if disagree(part) {
		warn(series, "frames lie in another order than their numbers in the stack say; the order of their places is used")
	}
	if len(part) < 2 {
		complain(series, "the stack has one slice only")
		return
	}
	gaps := make([]float64, len(part)-1)
	for i := range gaps {
		gaps[i] = part[i+1].geometry.along() - part[i].geometry.along()
	}
	usual := usualGap(gaps)
	doubled, missing, uneven := 0, 0, 0
	for _, gap := range gaps {
		switch {
		case gap < doubledBelow*usual || gap < sameMM:
			doubled++
		case gap > missingAbove*usual:
			missing += int(math.Round(gap/usual)) - 1
		case math.Abs(gap-usual) > unevenBeyond*usual:
			uneven++
		}
	}
	if doubled > 0 {
		complain(series, "%d slices lie where another one lies", doubled)
	}
	if missing > 0 {
		complain(series, "about %d slices are missing between others", missing)
	}
	if uneven > 0 {
		complain(series, "%d of %d distances between slices are uneven", uneven, len(gaps))
	}
	checkAnnounced(series, part, usual)
}

// usualGap is the median of the distances that are no doubles.
func usualGap(gaps []float64) float64 {
	sorted := slices.DeleteFunc(slices.Clone(gaps), func(gap float64) bool { return gap < sameMM })
	if len(sorted) == 0 {
		return 0
	}
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// checkAnnounced compares the stack with what its headers announce.
func checkAnnounced(series *neurotriage.Series, part []*instance, usual float64) {
	g := part[0].geometry
	if g.between > 0 && usual > missingAbove*g.between && usual > missingAbove*g.thickness {
		complain(series, "slices lie %.1f mm apart where %.1f mm are announced: some are missing", usual, g.between)
	}
	if covered := part[len(part)-1].geometry.along() - part[0].geometry.along(); covered < headMM {
		complain(series, "the stack covers %.0f mm of the head, less than %d mm", covered, headMM)
	}
	if announced := part[0].inAcquisition; announced > len(part) {
		complain(series, "%d images are announced for the acquisition, %d are here", announced, len(part))
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
		complain(series, "instance numbers %d to %d have %d gaps", numbers[0], numbers[len(numbers)-1], span-len(numbers))
	}
}
