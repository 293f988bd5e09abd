package dicomio

import (
	"math"

	"github.com/suyashkumar/dicom/pkg/tag"

	"neurotriage"
)

// vec is a direction or place in the patient's coordinates: x to the left, y to
// the back, z to the head, in mm (PS3.3 C.7.6.2.1.1).
type vec [3]float64

func (a vec) dot(b vec) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func (a vec) cross(b vec) vec {
	return vec{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

func (a vec) scaled(f float64) vec { return vec{a[0] * f, a[1] * f, a[2] * f} }

// main gives the axis that a points along most.
func (a vec) main() int {
	axis := 0
	for i := range a {
		if math.Abs(a[i]) > math.Abs(a[axis]) {
			axis = i
		}
	}
	return axis
}

// geometry is where a slice lies. Fields that the headers lack stay zero.
type geometry struct {
	oriented  bool // right and down are valid
	placed    bool // position is valid too
	right     vec  // direction of growing column index
	down      vec  // direction of growing row index
	position  vec  // of the first pixel's centre
	spacing   [2]float64
	thickness float64 // mm
	between   float64 // spacing between slices as announced, mm
}

func readGeometry(r *reader) geometry {
	g := geometry{
		thickness: r.number(tag.SliceThickness, 0),
		between:   math.Abs(r.number(tag.SpacingBetweenSlices, 0)),
	}
	if s, ok := r.vector(tag.PixelSpacing, 2); ok && s[0] > 0 && s[1] > 0 {
		g.spacing = [2]float64{s[0], s[1]}
	}
	o, ok := r.vector(tag.ImageOrientationPatient, 6)
	if !ok {
		return g
	}
	g.right, g.down, g.oriented = orthonormal(vec(o[:3]), vec(o[3:]))
	if p, ok := r.vector(tag.ImagePositionPatient, 3); ok && g.oriented {
		g.position, g.placed = vec(p), true
	}
	return g
}

// orthonormal takes direction cosines whose text lost some digits and refuses
// what is no pair of perpendicular directions.
func orthonormal(right, down vec) (vec, vec, bool) {
	const tolerance = 0.02 // about one degree
	r, d := math.Sqrt(right.dot(right)), math.Sqrt(down.dot(down))
	if math.Abs(r-1) > tolerance || math.Abs(d-1) > tolerance || math.Abs(right.dot(down)) > tolerance {
		return right, down, false
	}
	return right.scaled(1 / r), down.scaled(1 / d), true
}

// normal is the slice's normal, turned towards the left, the back or the head
// of the patient, whichever is nearest: the order of a stack then does not
// depend on how its slices are laid out.
func (g geometry) normal() vec {
	n := g.right.cross(g.down)
	if n[n.main()] < 0 {
		return n.scaled(-1)
	}
	return n
}

// along is the slice's place on its normal, in mm.
func (g geometry) along() float64 { return g.position.dot(g.normal()) }

// plane is the anatomical plane nearest to the slice.
func (g geometry) plane() neurotriage.Plane {
	if !g.oriented {
		return neurotriage.UnknownPlane
	}
	return [...]neurotriage.Plane{neurotriage.Sagittal, neurotriage.Coronal, neurotriage.Axial}[g.normal().main()]
}

// canonical gives, for each plane by the axis of its normal, the directions in
// which columns and rows grow on a radiologist's screen.
var canonical = [3]struct{ right, down vec }{
	{right: vec{0, 1, 0}, down: vec{0, 0, -1}}, // sagittal: front on the left, head up
	{right: vec{1, 0, 0}, down: vec{0, 0, -1}}, // coronal: patient's right on the left, head up
	{right: vec{1, 0, 0}, down: vec{0, 1, 0}},  // axial: patient's right on the left, front up
}

// turn gives the way into canonical orientation; none when the slice does not
// say how it lies.
func (g geometry) turn() neurotriage.Turn {
	if !g.oriented {
		return neurotriage.Turn{}
	}
	want := canonical[g.normal().main()]
	right, down := g.right, g.down
	var t neurotriage.Turn
	if math.Abs(right.dot(want.right)) < math.Abs(down.dot(want.right)) {
		right, down = down, right
		t.Transpose = true
	}
	t.FlipColumns = right.dot(want.right) < 0
	t.FlipRows = down.dot(want.down) < 0
	return t
}

// lay gives the canonical rows, columns and spacing of a stored slice.
func lay(t neurotriage.Turn, rows, columns int, spacing [2]float64) (int, int, [2]float64) {
	if t.Transpose {
		return columns, rows, [2]float64{spacing[1], spacing[0]}
	}
	return rows, columns, spacing
}
