package classifier

import "math"

// weights are the antialiased triangle filter along one axis (step 6 of the
// recipe). Only positions inside the image are kept: outside is black.
type weights struct {
	first, last int // source positions in use, last excluded
	width       int // taps of each output, padded with zeros
	starts      []int32
	values      []float32
}

// fill computes the filter from a stretch of the source onto size outputs. Sums
// are over all whole positions, those outside the image included, so that the
// edge of the picture fades to black as padding would.
func (w *weights) fill(start, length float64, size, source int) {
	scale := length / float64(size)
	reach := max(1, scale)
	// Even, for the loops below; never more than the source has. A triangle covers
	// at most the positions that its width does, rounded up.
	w.width = min(max(4, (int(math.Ceil(2*reach))+1)/2*2), source)
	w.first = clamp(int(math.Floor(start+0.5*scale-reach)), 0, source-w.width)
	w.last = clamp(int(math.Ceil(start+length-0.5*scale+reach))+1, w.first+w.width, source)
	w.starts = grow(w.starts, size)
	w.values = grow(w.values, size*w.width)
	clear(w.values)
	for i := range size {
		centre := start + (float64(i)+0.5)*scale
		from, to := int(math.Ceil(centre-reach-0.5)), int(math.Floor(centre+reach-0.5))
		begin := clamp(from, w.first, w.last-w.width)
		w.starts[i] = int32(begin - w.first)
		var sum float64
		for j := from; j <= to; j++ {
			sum += triangle(j, centre, reach)
		}
		row := w.values[i*w.width:][:w.width]
		for j := max(from, begin); j <= to && j < begin+w.width; j++ {
			row[j-begin] = float32(triangle(j, centre, reach) / sum)
		}
	}
}

func triangle(j int, centre, reach float64) float64 {
	return max(0, 1-math.Abs(float64(j)+0.5-centre)/reach)
}

// taps gives the weights of output i and the source position, counted from
// first, of the first of them.
func (w *weights) taps(i int) ([]float32, int) {
	return w.values[i*w.width:][:w.width], int(w.starts[i])
}

// apply filters one row whose first value stands at source position first. Four
// to eight taps serve every scale up to 4; more, and those of a tiny source, go
// the slow way.
func (w *weights) apply(dst, row []float32) {
	values, starts := w.values, w.starts[:len(dst)]
	switch w.width {
	case 4:
		for i, start := range starts {
			t, v := (*[4]float32)(values[i*4:]), (*[4]float32)(row[start:])
			dst[i] = (t[0]*v[0] + t[1]*v[1]) + (t[2]*v[2] + t[3]*v[3])
		}
	case 6:
		for i, start := range starts {
			t, v := (*[6]float32)(values[i*6:]), (*[6]float32)(row[start:])
			dst[i] = (t[0]*v[0] + t[1]*v[1]) + (t[2]*v[2] + t[3]*v[3]) + (t[4]*v[4] + t[5]*v[5])
		}
	case 8:
		for i, start := range starts {
			t, v := (*[8]float32)(values[i*8:]), (*[8]float32)(row[start:])
			dst[i] = ((t[0]*v[0] + t[1]*v[1]) + (t[2]*v[2] + t[3]*v[3])) + ((t[4]*v[4] + t[5]*v[5]) + (t[6]*v[6] + t[7]*v[7]))
		}
	default:
		for i := range dst {
			var sum float32
			taps, start := w.taps(i)
			for k, v := range row[start:][:len(taps)] {
				sum += taps[k] * v
			}
			dst[i] = sum
		}
	}
}

// mixRows sets dst to the weighted sum of consecutive rows of src, the first of
// which starts at offset. Rows whose weight is zero cost nothing.
func mixRows(dst, src []float32, offset int, taps []float32) {
	n := len(dst)
	for len(taps) > 0 && taps[len(taps)-1] == 0 {
		taps = taps[:len(taps)-1]
	}
	for len(taps) > 0 && taps[0] == 0 {
		taps, offset = taps[1:], offset+n
	}
	if len(taps) >= 4 { // the usual case sets, which spares dst's clearing and reading
		set4(dst, src[offset:], taps)
		taps, offset = taps[4:], offset+4*n
	} else {
		clear(dst)
	}
	for ; len(taps) >= 2; taps, offset = taps[2:], offset+2*n {
		a, b, u, v := src[offset:][:n], src[offset+n:][:n], taps[0], taps[1]
		for x := range dst {
			dst[x] += u*a[x] + v*b[x]
		}
	}
	if len(taps) == 1 {
		a, u := src[offset:][:n], taps[0]
		for x := range dst {
			dst[x] += u * a[x]
		}
	}
}

// set4 sets dst to four weighted rows at once.
func set4(dst, src, taps []float32) {
	n := len(dst)
	a, b, c, d := src[:n], src[n:][:n], src[2*n:][:n], src[3*n:][:n]
	s, t, u, v := taps[0], taps[1], taps[2], taps[3]
	for x := range dst {
		dst[x] = (s*a[x] + t*b[x]) + (u*c[x] + v*d[x])
	}
}

// one is the bit pattern of float32(1).
const one = 0x3f800000

// window sets dst to src brought to 0..1. Clipping works on the bit patterns,
// which order like the numbers when these are not negative and are negative
// integers when these are negative: no branch depends on the noise in a picture.
func window(dst, src []float32, low, scale float32) {
	src = src[:len(dst)]
	for i, v := range src {
		bits := int32(math.Float32bits((v - low) * scale))
		dst[i] = math.Float32frombits(uint32(min(max(bits, 0), one)))
	}
}

func clamp(v, least, most int) int { return max(least, min(v, most)) }
