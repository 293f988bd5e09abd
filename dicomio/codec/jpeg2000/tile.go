package jpeg2000

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"neurotriage/dicomio/codec"
)

// rectangle is half open: x1 and y1 do not belong to it.
type rectangle struct{ x0, y0, x1, y1 int }

func (r rectangle) width() int  { return r.x1 - r.x0 }
func (r rectangle) height() int { return r.y1 - r.y0 }
func (r rectangle) empty() bool { return r.x1 <= r.x0 || r.y1 <= r.y0 }

// tile is one tile while it is decoded.
type tile struct {
	*decoder
	area        rectangle
	style       *style
	resolutions []resolution
	changes     []change // of the progression; none where one order serves the whole tile
	bodies      []byte   // of its packets, with their headers unless these are packed
	packed      []byte   // packet headers of PPM or PPT
	hasPacked   bool
}

// resolution is one size of a tile (T.800 B.5), with its bands and precincts.
type resolution struct {
	rectangle
	level                int // 0 is the smallest
	bands                [3]band
	bandCount            int
	precinctX, precinctY int // exponents
	across, down         int // precincts
	precincts            []precinct
}

// band is a subband (T.800 B.5).
type band struct {
	rectangle
	orientation int     // bit 0: high pass across; bit 1: high pass down
	planes      int     // Mb, bit planes of magnitudes (T.800 E-2)
	step        float32 // of the quantisation, with the gains of the transform
	// Where sample (0, 0) stands in the tile's buffer and how far apart rows are:
	// columns of a resolution stand low pass first, rows where they end up.
	start, stride int
}

// tile decodes one tile into the frame.
func (d *decoder) tile(index int, data *tileData) error {
	s := data.own
	if s == nil {
		s = &d.main
	}
	if err := s.check(d.high); err != nil {
		return err
	}
	column, row := index%d.size.across, index/d.size.across
	t := &tile{decoder: d, style: s, area: rectangle{
		max(d.size.tileX0+column*d.size.tileX, d.size.x0), max(d.size.tileY0+row*d.size.tileY, d.size.y0),
		min(d.size.tileX0+(column+1)*d.size.tileX, d.size.x1), min(d.size.tileY0+(row+1)*d.size.tileY, d.size.y1),
	}}
	if t.area.empty() {
		return errors.New("it lies outside the picture")
	}
	t.bodies, t.packed, t.hasPacked = joined(data.parts), joined(data.packed), data.packed != nil
	if t.changes = data.changes; t.changes == nil {
		t.changes = d.changes
	}
	d.space.reset()
	if err := t.layOut(); err != nil {
		return err
	}
	if err := t.readPackets(); err != nil {
		return err
	}
	return t.reconstruct()
}

// joined puts parts behind each other; a single one is not copied.
func joined(parts [][]byte) []byte {
	if len(parts) == 1 {
		return parts[0]
	}
	return slices.Concat(parts...)
}

// layOut makes resolutions, bands, precincts and code-blocks. Every packet takes
// a byte at least, so a codestream that is too short for its precincts is
// damaged, and nothing is made for it.
func (t *tile) layOut() error {
	s, area := t.style, t.area
	t.resolutions = t.space.resolutions.take(s.levels + 1)
	packets := 0
	for r := range t.resolutions {
		n := s.levels - r
		res := &t.resolutions[r]
		*res = resolution{
			rectangle: rectangle{ceilShift(area.x0, n), ceilShift(area.y0, n), ceilShift(area.x1, n), ceilShift(area.y1, n)},
			level:     r, precinctX: int(s.precincts[r] & 15), precinctY: int(s.precincts[r] >> 4),
		}
		if !res.empty() {
			res.across = ceilShift(res.x1, res.precinctX) - res.x0>>res.precinctX
			res.down = ceilShift(res.y1, res.precinctY) - res.y0>>res.precinctY
		}
		precincts := res.across * res.down
		if err := spend(&t.budget.precincts, precincts, "precincts"); err != nil {
			return err
		}
		packets += precincts * s.layers
		if bytes := len(t.bodies) + len(t.packed); packets > bytes && t.changes == nil {
			return fmt.Errorf("%d bytes cannot hold its packets", bytes)
		}
	}
	gain := 1.0
	for r := s.levels; r >= 0; r-- {
		res := &t.resolutions[r]
		if err := t.addBands(res, gain); err != nil {
			return err
		}
		low, _ := s.gains(res.width())
		lowDown, _ := s.gains(res.height())
		gain *= low * lowDown
	}
	for r := range t.resolutions {
		res := &t.resolutions[r]
		res.precincts = t.space.precincts.take(res.across * res.down)
		for i := range res.precincts {
			t.layOutPrecinct(res, i)
		}
	}
	return nil
}

// gains is what the transform multiplies low and high samples of a line with
// before it lifts them (T.800 F.3.8.2, K and 1/K): the bands' steps contain it.
func (s *style) gains(length int) (low, high float64) {
	switch {
	case s.reversible:
		return 1, 1
	case length == 1: // a single low sample stays as it is, a high one is halved
		return 1, 0.5
	case s.blockStyle&styleHigh != 0:
		return scale, 1 / scale
	}
	return scale, highScale
}

// addBands makes a resolution's bands (T.800 B.5 and E.1). gain is what the
// transform does to the resolution as a whole.
func (t *tile) addBands(r *resolution, gain float64) error {
	s, area := t.style, t.area
	first, last, n := 1, 3, s.levels-r.level+1
	if r.level == 0 {
		first, last, n = 0, 0, s.levels
	}
	for orientation := first; orientation <= last; orientation++ {
		dx, dy := 0, 0
		if n > 0 {
			dx, dy = (orientation&1)<<n>>1, (orientation>>1)<<n>>1
		}
		b := &r.bands[r.bandCount]
		r.bandCount++
		*b = band{orientation: orientation, rectangle: rectangle{
			ceilShift(area.x0-dx, n), ceilShift(area.y0-dy, n), ceilShift(area.x1-dx, n), ceilShift(area.y1-dy, n),
		}}
		number := 0
		if r.level > 0 {
			number = 3*(r.level-1) + orientation
		}
		step := s.steps[number]
		exponent, mantissa := step>>11, step&0x7FF
		if s.quantisation == 1 { // T.800 E-5
			exponent, mantissa = s.steps[0]>>11-s.levels+n, s.steps[0]&0x7FF
		}
		b.planes = s.guard + exponent - 1
		if b.planes+s.roi > 30 {
			return fmt.Errorf("band %d has %d bit planes: %w", number, b.planes+s.roi, codec.ErrUnsupported)
		}
		b.step = float32(b.gain(r, s, gain) * math.Ldexp(1+float64(mantissa)/2048, t.size.precision+orientation&1+orientation>>1-exponent))
		b.place(r, area, n)
	}
	return nil
}

// gain is what the transform multiplies the band with. The nominal gain of a
// high pass, a bit for each direction, is the step's (T.800 E-3).
func (b *band) gain(r *resolution, s *style, gain float64) float64 {
	if r.level == 0 {
		return gain
	}
	for _, direction := range [2]struct{ length, high int }{{r.width(), b.orientation & 1}, {r.height(), b.orientation >> 1}} {
		low, high := s.gains(direction.length)
		if direction.high == 1 {
			gain *= high
		} else {
			gain *= low
		}
	}
	return gain
}

// place computes where the band stands; n is its decomposition level.
func (b *band) place(r *resolution, area rectangle, n int) {
	width := area.width()
	if b.orientation&1 != 0 {
		b.start = lowCount(r.x0, r.x1)
	}
	if !b.empty() {
		row := b.y0 << n
		if n > 0 {
			row += (b.orientation >> 1) << (n - 1)
		}
		b.start += (row - area.y0) * width
	}
	b.stride = width << n
}

// lowCount is the number of even coordinates, which become low-pass samples.
func lowCount(from, to int) int { return (to+1)>>1 - (from+1)>>1 }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// ceilShift is a / 2^n rounded up; a may be negative.
func ceilShift(a, n int) int { return (a + 1<<n - 1) >> n }
