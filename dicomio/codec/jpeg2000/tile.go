package jpeg2000

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// rectangle is half open: x1 and y1 do not belong to it.
type rectangle struct{ x0, y0, x1, y1 int }

func (r rectangle) width() int  { return r.x1 - r.x0 }
func (r rectangle) height() int { return r.y1 - r.y0 }
func (r rectangle) empty() bool { return r.x1 <= r.x0 || r.y1 <= r.y0 }

// resolution is one size of a tile (T.800 B.5), with its bands and precincts.
type resolution struct {
	rectangle
	level                int // 0 is the smallest
	bands                []*band
	precinctX, precinctY int // exponents
	across, down         int // precincts
	precincts            []*precinct
}

// band is a subband (T.800 B.5).
type band struct {
	rectangle
	orientation int // bit 0: high pass across; bit 1: high pass down
	planes      int // Mb, bit planes of magnitudes (T.800 E-2)
	step        float32
	left, top   int // where the band stands in the tile's buffer
}

// precinct groups the code-blocks of a packet.
type precinct struct {
	parts []*precinctBand
	layer int // the next one
	at    position
}

// position orders precincts of several resolutions (T.800 B.12.1.4).
type position struct{ y, x, resolution, index int }

// precinctBand is a precinct's share of one band.
type precinctBand struct {
	band      *band
	blocks    []block
	inclusion *tagTree
	zeroes    *tagTree
}

// block is a code-block with what packets brought.
type block struct {
	rectangle // in the band's coordinates
	included  bool
	planes    int // missing from the top
	length    int // Lblock
	passes    int
	segments  []codeword
}

// codeword is a terminated piece of a code-block's data.
type codeword struct {
	data   []byte
	shared bool // data is a part of the source: copy before appending
	passes int
	most   int // passes that may still join, in all
}

// tile decodes one tile into the picture.
func (d *decoder) tile(index int, data *tileData) error {
	s := &data.style
	if err := s.check(d.high); err != nil {
		return err
	}
	column, row := index%d.size.across, index/d.size.across
	area := rectangle{
		max(d.size.tileX0+column*d.size.tileX, d.size.x0), max(d.size.tileY0+row*d.size.tileY, d.size.y0),
		min(d.size.tileX0+(column+1)*d.size.tileX, d.size.x1), min(d.size.tileY0+(row+1)*d.size.tileY, d.size.y1),
	}
	if area.empty() {
		return errors.New("it lies outside the picture")
	}
	source := data.parts[0]
	if len(data.parts) > 1 {
		source = slices.Concat(data.parts...)
	}
	resolutions, err := layOut(area, s, d.size.precision, len(source))
	if err != nil {
		return err
	}
	if err := readPackets(resolutions, s, source); err != nil {
		return err
	}
	return d.reconstruct(area, resolutions, s)
}

// layOut makes resolutions, bands, precincts and code-blocks. Every packet takes
// a byte at least, so a codestream that is too short for its precincts is
// damaged, and nothing is made for it.
func layOut(area rectangle, s *style, precision, bytes int) ([]*resolution, error) {
	resolutions := make([]*resolution, s.levels+1)
	packets := 0
	for r := range resolutions {
		n := s.levels - r
		res := &resolution{
			rectangle: rectangle{ceilShift(area.x0, n), ceilShift(area.y0, n), ceilShift(area.x1, n), ceilShift(area.y1, n)},
			level:     r, precinctX: int(s.precincts[r] & 15), precinctY: int(s.precincts[r] >> 4),
		}
		if !res.empty() {
			res.across = ceilShift(res.x1, res.precinctX) - res.x0>>res.precinctX
			res.down = ceilShift(res.y1, res.precinctY) - res.y0>>res.precinctY
		}
		packets += res.across * res.down * s.layers
		if packets > bytes {
			return nil, fmt.Errorf("%d bytes cannot hold its packets", bytes)
		}
		resolutions[r] = res
	}
	for _, res := range resolutions {
		if err := res.addBands(area, s, precision); err != nil {
			return nil, err
		}
		for i := range res.across * res.down {
			res.precincts = append(res.precincts, res.newPrecinct(i, area, s))
		}
	}
	return resolutions, nil
}

// addBands makes a resolution's bands (T.800 B.5 and E.1).
func (r *resolution) addBands(area rectangle, s *style, precision int) error {
	first, last, n := 1, 3, s.levels-r.level+1
	if r.level == 0 {
		first, last, n = 0, 0, s.levels
	}
	for orientation := first; orientation <= last; orientation++ {
		dx, dy := 0, 0
		if n > 0 {
			dx, dy = (orientation&1)<<n>>1, (orientation>>1)<<n>>1
		}
		b := &band{orientation: orientation, rectangle: rectangle{
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
			return fmt.Errorf("band %d has %d bit planes", number, b.planes)
		}
		// T.800 E-3; the gain of a high pass is one bit for each direction.
		gain := orientation&1 + orientation>>1
		b.step = float32(math.Ldexp(1+float64(mantissa)/2048, precision+gain-exponent))
		if orientation&1 != 0 {
			b.left = lowCount(r.x0, r.x1)
		}
		if orientation&2 != 0 {
			b.top = lowCount(r.y0, r.y1)
		}
		r.bands = append(r.bands, b)
	}
	return nil
}

// lowCount is the number of even coordinates, which become low-pass samples.
func lowCount(from, to int) int { return (to+1)>>1 - (from+1)>>1 }

// newPrecinct makes the code-blocks of a precinct (T.800 B.6 and B.7).
func (r *resolution) newPrecinct(index int, area rectangle, s *style) *precinct {
	px, py := r.x0>>r.precinctX+index%r.across, r.y0>>r.precinctY+index/r.across
	n := s.levels - r.level
	p := &precinct{at: position{
		y: max(area.y0, py<<(r.precinctY+n)), x: max(area.x0, px<<(r.precinctX+n)), resolution: r.level, index: index,
	}}
	sizeX, sizeY := r.precinctX, r.precinctY
	if r.level > 0 {
		sizeX, sizeY = sizeX-1, sizeY-1
	}
	blockX, blockY := min(s.blockX, sizeX), min(s.blockY, sizeY)
	for _, b := range r.bands {
		area := rectangle{
			max(b.x0, px<<sizeX), max(b.y0, py<<sizeY), min(b.x1, (px+1)<<sizeX), min(b.y1, (py+1)<<sizeY),
		}
		part := &precinctBand{band: b}
		p.parts = append(p.parts, part)
		if area.empty() {
			continue
		}
		x0, y0 := area.x0>>blockX, area.y0>>blockY
		across, down := ceilShift(area.x1, blockX)-x0, ceilShift(area.y1, blockY)-y0
		part.inclusion, part.zeroes = newTagTree(across, down), newTagTree(across, down)
		part.blocks = make([]block, across*down)
		for i := range part.blocks {
			x, y := x0+i%across, y0+i/across
			part.blocks[i] = block{length: 3, rectangle: rectangle{
				max(area.x0, x<<blockX), max(area.y0, y<<blockY), min(area.x1, (x+1)<<blockX), min(area.y1, (y+1)<<blockY),
			}}
		}
	}
	return p
}

// packetOrder yields the precinct of each packet in the codestream's order
// (T.800 B.12). With one component, orders by component and by position agree.
func packetOrder(resolutions []*resolution, s *style, yield func(*resolution, *precinct) error) error {
	every := func(r *resolution, visit func(*precinct) error) error {
		for _, p := range r.precincts {
			if err := visit(p); err != nil {
				return err
			}
		}
		return nil
	}
	all := func(r *resolution) error { // all layers of each precinct
		return every(r, func(p *precinct) error { return repeat(s.layers, func() error { return yield(r, p) }) })
	}
	one := func(r *resolution) error {
		return every(r, func(p *precinct) error { return yield(r, p) })
	}
	switch s.progression {
	case 0: // layer, resolution, component, position
		return repeat(s.layers, func() error { return visit(resolutions, one) })
	case 1: // resolution, layer, component, position
		return visit(resolutions, func(r *resolution) error { return repeat(s.layers, func() error { return one(r) }) })
	case 2: // resolution, position, component, layer
		return visit(resolutions, all)
	}
	// Position or component first, resolution, layer.
	var precincts []*precinct
	for _, r := range resolutions {
		precincts = append(precincts, r.precincts...)
	}
	slices.SortFunc(precincts, func(a, b *precinct) int {
		return cmp.Or(cmp.Compare(a.at.y, b.at.y), cmp.Compare(a.at.x, b.at.x),
			cmp.Compare(a.at.resolution, b.at.resolution), cmp.Compare(a.at.index, b.at.index))
	})
	return visit(precincts, func(p *precinct) error {
		return repeat(s.layers, func() error { return yield(resolutions[p.at.resolution], p) })
	})
}

func repeat(times int, do func() error) error {
	for range times {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func visit[T any](list []T, do func(T) error) error {
	for _, item := range list {
		if err := do(item); err != nil {
			return err
		}
	}
	return nil
}
