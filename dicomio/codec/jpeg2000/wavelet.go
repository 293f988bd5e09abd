package jpeg2000

// lanes is the number of columns that the vertical transform takes at once: a
// line of the cache.
const lanes = 16

// Constants of the irreversible transform (T.800 table F.4).
const (
	alpha = -1.586134342059924
	beta  = -0.052980118572961
	gamma = 0.882911075530934
	delta = 0.443506852043971
	scale = 1.230174104914001
)

// reconstruct decodes the code-blocks of a tile, transforms them back, and puts
// the samples into the picture.
func (d *decoder) reconstruct(area rectangle, resolutions []*resolution, s *style) error {
	width := area.width()
	if s.reversible {
		buffer := d.pixels
		stride := d.frame.Columns
		buffer = buffer[(area.y0-d.size.y0)*stride+area.x0-d.size.x0:]
		if err := blocks(&d.work, resolutions, s, buffer, stride, storeExact); err != nil {
			return err
		}
		inverse(buffer, stride, resolutions, &d.work.lanes, liftExact, liftExactLanes)
		return nil
	}
	d.work.real = grown(d.work.real, width*area.height())
	if err := blocks(&d.work, resolutions, s, d.work.real, width, storeReal); err != nil {
		return err
	}
	inverse(d.work.real, width, resolutions, &d.work.laneR, liftReal, liftRealLanes)
	for y := range area.height() {
		out := d.pixels[(area.y0-d.size.y0+y)*d.frame.Columns+area.x0-d.size.x0:][:width]
		for x, value := range d.work.real[y*width:][:width] {
			out[x] = rounded(value)
		}
	}
	return nil
}

// rounded is the nearest integer; what is out of range in damaged data becomes
// the range's end.
func rounded(value float32) int32 {
	switch {
	case value >= 1<<30:
		return 1 << 30
	case value >= 0:
		return int32(value + 0.5)
	case value > -1<<30:
		return -int32(0.5 - value)
	}
	return -1 << 30
}

// blocks decodes every code-block into the place of its band.
func blocks[T any](w *workspace, resolutions []*resolution, s *style, buffer []T, stride int,
	store func(out []T, values []int32, b *band)) error {
	for _, r := range resolutions {
		for _, p := range r.precincts {
			for _, part := range p.parts {
				for i := range part.blocks {
					b := &part.blocks[i]
					if len(b.segments) == 0 {
						continue
					}
					if err := w.decode(b, part.band, s); err != nil {
						return err
					}
					at := (part.band.top+b.y0-part.band.y0)*stride + part.band.left + b.x0 - part.band.x0
					for y := range b.height() {
						store(buffer[at+y*stride:], w.values[y*b.width():][:b.width()], part.band)
					}
				}
			}
		}
	}
	return nil
}

// decode decodes a code-block of either kind into w.values.
func (w *workspace) decode(b *block, band *band, s *style) error {
	planes := band.planes + s.roi
	var err error
	if s.blockStyle&styleHigh != 0 {
		err = w.decodeHigh(b, planes)
	} else {
		err = w.decodeBlock(b, band.orientation, planes, s)
	}
	if s.roi > 0 { // T.800 H.1: what stands above the shift belongs to the region
		for i, value := range w.values {
			if size := max(value, -value) >> 1; size >= 1<<s.roi {
				w.values[i] = value >> s.roi
			}
		}
	}
	return err
}

// storeExact halves the doubled values, toward zero.
func storeExact(out, values []int32, _ *band) {
	out = out[:len(values)]
	for i, value := range values {
		out[i] = value / 2
	}
}

// storeReal multiplies by the quantisation step.
func storeReal(out []float32, values []int32, b *band) {
	out = out[:len(values)]
	step := b.step / 2
	for i, value := range values {
		out[i] = float32(value) * step
	}
}

// inverse transforms a tile back, resolution by resolution, in place (T.800 F.3).
func inverse[T any](buffer []T, stride int, resolutions []*resolution, space *[]T,
	lift func(line []T, odd int), liftLanes func(lines []T, odd int)) {
	for _, r := range resolutions[1:] {
		if r.empty() {
			continue
		}
		width, height := r.width(), r.height()
		*space = grown(*space, max(width, height*lanes))
		line := (*space)[:width]
		low := lowCount(r.x0, r.x1)
		for y := range height {
			row := buffer[y*stride:][:width]
			interleave(line, row[:low], row[low:], r.x0&1)
			lift(line, r.x0&1)
			copy(row, line)
		}
		low = lowCount(r.y0, r.y1)
		lines := (*space)[:height*lanes]
		for x := 0; x < width; x += lanes {
			n := min(lanes, width-x)
			for y := range height { // the place in lines of row y of the buffer
				to := 2*y + r.y0&1
				if y >= low {
					to = 2*(y-low) + 1 - r.y0&1
				}
				copy(lines[to*lanes:], buffer[y*stride+x:][:n])
			}
			liftLanes(lines, r.y0&1)
			for y := range height {
				copy(buffer[y*stride+x:][:n], lines[y*lanes:])
			}
		}
	}
}

// interleave puts low and high samples where their coordinates are even and odd.
func interleave[T any](line, low, high []T, odd int) {
	for i, value := range low {
		line[2*i+odd] = value
	}
	for i, value := range high {
		line[2*i+1-odd] = value
	}
}

// neighbours gives the places beside i, mirrored at the ends (T.800 F.3.7).
func neighbours(i, n int) (before, after int) {
	before, after = i-1, i+1
	if before < 0 {
		before = 1
	}
	if after >= n {
		after = n - 2
	}
	return before, after
}

// liftExact is the reversible transform of one line (T.800 F.3.8.1); odd is 1 if
// the first sample's coordinate is odd.
func liftExact(line []int32, odd int) {
	n := len(line)
	if n == 1 {
		if odd == 1 {
			line[0] >>= 1
		}
		return
	}
	for i := odd; i < n; i += 2 {
		before, after := neighbours(i, n)
		line[i] -= (line[before] + line[after] + 2) >> 2
	}
	for i := 1 - odd; i < n; i += 2 {
		before, after := neighbours(i, n)
		line[i] += (line[before] + line[after]) >> 1
	}
}

// liftExactLanes is liftExact on columns beside each other.
func liftExactLanes(lines []int32, odd int) {
	n := len(lines) / lanes
	if n == 1 {
		if odd == 1 {
			for x := range lines {
				lines[x] >>= 1
			}
		}
		return
	}
	for i := odd; i < n; i += 2 {
		before, after := neighbours(i, n)
		a, b, c := (*[lanes]int32)(lines[before*lanes:]), (*[lanes]int32)(lines[i*lanes:]), (*[lanes]int32)(lines[after*lanes:])
		for x := range lanes {
			b[x] -= (a[x] + c[x] + 2) >> 2
		}
	}
	for i := 1 - odd; i < n; i += 2 {
		before, after := neighbours(i, n)
		a, b, c := (*[lanes]int32)(lines[before*lanes:]), (*[lanes]int32)(lines[i*lanes:]), (*[lanes]int32)(lines[after*lanes:])
		for x := range lanes {
			b[x] += (a[x] + c[x]) >> 1
		}
	}
}

// realSteps are the lifting steps of the irreversible transform in the order in
// which they are undone (T.800 F.3.8.2); the first is of even coordinates.
var realSteps = [4]float32{-delta, -gamma, -beta, -alpha}

// liftReal is the irreversible transform of one line.
func liftReal(line []float32, odd int) {
	n := len(line)
	if n == 1 {
		if odd == 1 {
			line[0] /= 2
		}
		return
	}
	for i := odd; i < n; i += 2 {
		line[i] *= scale
	}
	for i := 1 - odd; i < n; i += 2 {
		line[i] *= 1 / scale
	}
	for step, factor := range realSteps {
		for i := (odd + step) & 1; i < n; i += 2 {
			before, after := neighbours(i, n)
			line[i] += factor * (line[before] + line[after])
		}
	}
}

// liftRealLanes is liftReal on columns beside each other.
func liftRealLanes(lines []float32, odd int) {
	n := len(lines) / lanes
	if n == 1 {
		if odd == 1 {
			for x := range lines {
				lines[x] /= 2
			}
		}
		return
	}
	for i := range n {
		factor := float32(1 / scale)
		if i&1 == odd {
			factor = scale
		}
		line := (*[lanes]float32)(lines[i*lanes:])
		for x := range lanes {
			line[x] *= factor
		}
	}
	for step, factor := range realSteps {
		for i := (odd + step) & 1; i < n; i += 2 {
			before, after := neighbours(i, n)
			a, b, c := (*[lanes]float32)(lines[before*lanes:]), (*[lanes]float32)(lines[i*lanes:]), (*[lanes]float32)(lines[after*lanes:])
			for x := range lanes {
				b[x] += factor * (a[x] + c[x])
			}
		}
	}
}
