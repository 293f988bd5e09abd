package jpeg2000

// refiner does the two passes that may follow the cleanup pass of a block of high
// throughput (T.814 7.4 and 7.5), for the bit plane below the cleanup's.
type refiner struct {
	values        []int32
	stride        int
	width, height int
	half          int32 // of the new plane, in doubled values
	causal        bool
	marks         []uint8 // of samples, with a border of one; see below
	across        int     // between rows of marks
}

// Marks of a sample.
const (
	markCleanup = 1 << iota // significant since the cleanup pass
	markNew                 // significant since the propagation pass
)

// mark notes which samples the cleanup pass found.
func (r *refiner) mark(space *[]uint8) {
	r.across = r.width + 2
	*space = grown(*space, r.across*(r.height+2))
	r.marks = *space
	for y := range r.height {
		row := r.marks[(y+1)*r.across+1:]
		for x, value := range r.values[y*r.stride:][:r.width] {
			if value != 0 {
				row[x] = markCleanup
			}
		}
	}
}

// propagate is the significance propagation pass: samples beside significant
// ones, in stripes of four rows. The signs of four columns follow their bits.
func (r *refiner) propagate(bits lowBits) {
	var found [16]int
	for stripe := 0; stripe < r.height; stripe += 4 {
		bottom := min(stripe+4, r.height)
		for group := 0; group < r.width; group += 4 {
			count := 0
			for x := group; x < min(group+4, r.width); x++ {
				for y := stripe; y < bottom; y++ {
					at := (y+1)*r.across + x + 1
					if r.marks[at] != 0 || !r.near(at, r.causal && y == stripe+3) || bits.bit() == 0 {
						continue
					}
					r.marks[at] = markNew
					found[count] = y*r.stride + x
					count++
				}
			}
			for _, at := range found[:count] {
				r.values[at] = 3 * r.half
				if bits.bit() == 1 {
					r.values[at] = -3 * r.half
				}
			}
		}
	}
}

// near reports whether one of the eight neighbours is significant; those below
// may belong to the next stripe, which a causal block does not look into.
func (r *refiner) near(at int, blind bool) bool {
	m, across := r.marks, r.across
	near := m[at-across-1] | m[at-across] | m[at-across+1] | m[at-1] | m[at+1]
	if !blind {
		near |= m[at+across-1] | m[at+across] | m[at+across+1]
	}
	return near != 0
}

// refine is the magnitude refinement pass: another bit of what the cleanup pass
// found, in the same order, from the end of the same data.
func (r *refiner) refine(bits backward) {
	for stripe := 0; stripe < r.height; stripe += 4 {
		bottom := min(stripe+4, r.height)
		for x := range r.width {
			for y := stripe; y < bottom; y++ {
				if r.marks[(y+1)*r.across+x+1]&markCleanup == 0 {
					continue
				}
				// The half that stood for the unknown bit gives way to the bit's own.
				value := &r.values[y*r.stride+x]
				if bits.bit() == int32(uint32(*value)>>31) {
					*value -= r.half
				} else {
					*value += r.half
				}
			}
		}
	}
}
