package dicomio

import (
	"math"
	"slices"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// line turns stored values into others: value × slope + intercept.
type line struct{ slope, intercept float64 }

var identity = line{slope: 1}

// sound reports a line that makes pixel values of stored ones.
func (l line) sound() bool {
	return finite(l.slope) && finite(l.intercept) && l.slope != 0 && math.Abs(l.slope) <= 1e12 && math.Abs(l.intercept) <= 1e20
}

// scaling is what a frame's headers offer to make stored values comparable. Lines
// that the headers lack are zero; an unreadable number is NaN, so that it is refused
// later and not replaced by a guess.
type scaling struct {
	rescale line   // to modality units (PS3.3 C.11.1, C.7.6.16.2.9)
	precise line   // to the values that a Philips scanner computed with
	world   line   // to real world values (PS3.3 C.7.6.16.2.11)
	unit    string // of these
}

// Philips stores what its scanner computed as SV = FP × SS + SI, and shows
// DV = SV × RS + RI. SS and SI are private, RS and RI the standard's rescale, of
// which archives that combine both scalings leave a private copy.
func readScaling(r *reader) scaling {
	s := scaling{rescale: readLine(r, tag.RescaleSlope, tag.RescaleIntercept)}
	if s.rescale == (line{}) {
		s.rescale = readLine(r, r.private(0x2005, creatorPhilipsOld, 0x0A), r.private(0x2005, creatorPhilipsOld, 0x09))
	}
	if scale := r.single(r.private(0x2005, creatorPhilips, 0x0E)); scale != 0 && finite(scale) {
		s.precise = line{slope: 1 / scale, intercept: -r.single(r.private(0x2005, creatorPhilips, 0x0D)) / scale}
	}
	if !s.precise.sound() {
		s.precise = line{}
	}
	s.world, s.unit = readWorld(r)
	return s
}

// readLine reads a pair of elements. Where only the intercept stands, the slope is 1.
func readLine(r *reader, slope, intercept tag.Tag) line {
	m, b := r.numbers(slope), r.numbers(intercept)
	if len(m) == 0 && len(b) == 0 {
		return line{}
	}
	l := identity
	if len(m) > 0 {
		l.slope = m[0]
	}
	if len(b) > 0 {
		l.intercept = b[0]
	}
	if l == (line{}) {
		l.slope = math.NaN() // a slope of 0 is said, and refused
	}
	return l
}

var (
	tagWorldMapping   = tag.Tag{Group: 0x0040, Element: 0x9096}
	tagWorldIntercept = tag.Tag{Group: 0x0040, Element: 0x9224}
	tagWorldSlope     = tag.Tag{Group: 0x0040, Element: 0x9225}
	tagWorldUnit      = tag.Tag{Group: 0x0040, Element: 0x08EA}
	tagCodeValue      = tag.Tag{Group: 0x0008, Element: 0x0100}
)

// readWorld gives the first linear mapping to real world values, with its unit.
func readWorld(r *reader) (line, string) {
	el := r.find(tagWorldMapping)
	if el == nil {
		return line{}, ""
	}
	for _, item := range items(el) {
		one := r.inside(elementsOf(item))
		if l := (line{one.number(tagWorldSlope, 0), one.number(tagWorldIntercept, 0)}); l.sound() {
			return l, one.within(tagWorldUnit, tagCodeValue)
		}
	}
	return line{}, ""
}

// units is the kind of values that pixels are turned into.
type units int

const (
	modalityUnits units = iota // of the rescale; stored values where there is none
	scannerUnits               // what a Philips scanner computed with
	worldUnits
)

// in gives the line to units of a kind.
func (s scaling) in(kind units) line {
	switch {
	case kind == scannerUnits:
		return s.precise
	case kind == worldUnits:
		return s.world
	case s.bare():
		return identity
	}
	return s.rescale
}

// bare reports headers without rescale.
func (s scaling) bare() bool { return s.rescale == line{} }

// alone is the line of an image of which no other is known.
func (s scaling) alone() line { return s.in(unitsFor([]scaling{s})) }

// unitsFor gives the units in which the pixels of several images are comparable:
//
//   - modality units, as long as every image has a rescale, and one that shows the
//     scanner's values by the same scale as far as these are known;
//   - else the scanner's own values, where every image tells them: Philips scales
//     slices and points in time each for itself;
//   - else real world values in one unit, where an image has no rescale;
//   - else modality units after all.
func unitsFor(images []scaling) units {
	precise, world, bare, uneven := true, true, false, false
	for _, s := range images {
		if !s.bare() && !s.rescale.sound() {
			return modalityUnits // which will be refused
		}
		precise = precise && s.precise != line{}
		world = world && s.world != line{} && s.unit == images[0].unit
		bare = bare || s.bare()
		uneven = uneven || !s.shown().near(images[0].shown())
	}
	switch {
	case precise && (bare || uneven):
		return scannerUnits
	case world && bare:
		return worldUnits
	}
	return modalityUnits
}

// shown is the line from the scanner's values to those of the rescale.
func (s scaling) shown() line {
	m := s.rescale.slope / s.precise.slope
	return line{m, s.rescale.intercept - s.precise.intercept*m}
}

// near compares lines whose numbers were rounded when they were written.
func (l line) near(other line) bool {
	const tolerance = 1e-3
	return math.Abs(l.slope-other.slope) <= tolerance*math.Abs(l.slope) &&
		math.Abs(l.intercept-other.intercept) <= tolerance*max(math.Abs(l.intercept), math.Abs(l.slope))
}

// rescaleAlike turns the images of a series into units of one kind, and reports
// whether only some of them say how.
func rescaleAlike(images []*instance) (mixed bool) {
	all := make([]scaling, len(images))
	for n, i := range images {
		all[n] = i.scaling
	}
	kind := unitsFor(all)
	for _, i := range images {
		i.image.units = i.scaling.in(kind)
	}
	return kind == modalityUnits && slices.ContainsFunc(all, scaling.bare) &&
		slices.ContainsFunc(all, func(s scaling) bool { return !s.bare() })
}
