package dicomio

import (
	"cmp"
	"math"
	"slices"

	"neurotriage"
)

// stack is the slices of a series, laid in order.
type stack struct {
	ordered []*instance
	parts   [][]*instance // slices with one orientation, stack, echo and point in time, each in order
}

// newStack tells apart what was scanned in several stacks, echoes or points in time,
// and sorts each by place along the normal (PS3.3 C.7.6.2.1.1). Parts follow one
// another by echo, time and stack.
func newStack(images []*instance) stack {
	type key struct {
		echo, train, temporal int
		stack                 string
		turn                  neurotriage.Turn
	}
	var s stack
	train := echoTrain(images)
	candidates := map[key][]int{} // parts that may be parallel
	for _, i := range images {
		k := key{i.echo, train(i), i.temporal, i.stack, i.geometry.turn()}
		at := slices.IndexFunc(candidates[k], func(at int) bool { return parallel(s.parts[at][0].geometry, i.geometry) })
		if at < 0 {
			candidates[k] = append(candidates[k], len(s.parts))
			s.parts = append(s.parts, []*instance{i})
			continue
		}
		at = candidates[k][at]
		s.parts[at] = append(s.parts[at], i)
	}
	s.split()
	for _, part := range s.parts {
		slices.SortFunc(part, byPlace(placed(part)))
	}
	slices.SortStableFunc(s.parts, func(a, b []*instance) int {
		x, y := a[0], b[0]
		return cmp.Or(cmp.Compare(x.echo, y.echo), cmp.Compare(train(x), train(y)), cmp.Compare(x.temporal, y.temporal),
			cmp.Compare(x.stack, y.stack), cmp.Compare(x.instanceNumber, y.instanceNumber), slices.Compare(x.indices, y.indices))
	})
	for _, part := range s.parts {
		s.ordered = append(s.ordered, part...)
	}
	return s
}

// echoGapMS is the least difference between the times of two echoes. Times of one
// echo differ by what was rounded away.
const echoGapMS = 0.3

// echoTrain numbers the echo times of a series.
func echoTrain(images []*instance) func(*instance) int {
	times := map[float64]bool{}
	for _, i := range images {
		times[i.evidence.te] = true
	}
	sorted := make([]float64, 0, len(times))
	for te := range times {
		sorted = append(sorted, te)
	}
	slices.Sort(sorted)
	number := make(map[float64]int, len(sorted))
	for n, te := range sorted {
		if n > 0 {
			number[te] = number[sorted[n-1]]
			if te-sorted[n-1] > echoGapMS {
				number[te]++
			}
		}
	}
	return func(i *instance) int { return number[i.evidence.te] }
}

// split divides parts in which slices share a place by further dimensions of which
// their headers speak, as long as these make stacks and no single slices.
func (s *stack) split() {
	var parts [][]*instance
	for _, part := range s.parts {
		groups := [][]*instance{part}
		if doubled(part) {
			groups = groupBy(part, (*instance).apart)
		}
		if 2*len(groups) > len(part) {
			groups = [][]*instance{part}
		}
		parts = append(parts, groups...)
	}
	s.parts = parts
}

// doubled reports slices that share a place.
func doubled(part []*instance) bool {
	if !placed(part) {
		return false
	}
	heights := make([]float64, len(part))
	for n, i := range part {
		heights[n] = i.geometry.along()
	}
	slices.Sort(heights)
	for n := 1; n < len(heights); n++ {
		if heights[n]-heights[n-1] < sameMM {
			return true
		}
	}
	return false
}

// placed reports slices that all say where they lie.
func placed(part []*instance) bool {
	return !slices.ContainsFunc(part, func(i *instance) bool { return !i.geometry.placed })
}

// byPlace compares two slices of a stack. Places count when all slices of the stack
// have one; what follows breaks ties and stands in.
func byPlace(placed bool) func(a, b *instance) int {
	return func(a, b *instance) int {
		height := 0
		if placed {
			height = cmp.Compare(a.geometry.along(), b.geometry.along())
		}
		return cmp.Or(height, cmp.Compare(a.placeInStack(), b.placeInStack()), slices.Compare(a.indices, b.indices),
			cmp.Compare(a.instanceNumber, b.instanceNumber), cmp.Compare(a.concatenation.number, b.concatenation.number),
			cmp.Compare(a.sopUID, b.sopUID), cmp.Compare(a.number, b.number))
	}
}

// parallel reports slices that can stand in one stack.
func parallel(a, b geometry) bool {
	const cosine = 0.9995 // of about two degrees
	return a.oriented == b.oriented && (!a.oriented || math.Abs(a.normal().dot(b.normal())) > cosine)
}
