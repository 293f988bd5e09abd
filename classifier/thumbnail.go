package classifier

import (
	"math"
	"slices"
)

// thumbnail is a slice shrunk to means of square blocks (step 1 of the recipe).
type thumbnail struct {
	block         int // source pixels a side of one cell
	rows, columns int // cells
	cells         []float64
	strip         []float64 // sums down one row of blocks
}

// fill shrinks the pixels. Sums are float64, so whole numbers are exact in any
// order; the cells at the far edges are means of what is there.
func (t *thumbnail) fill(pixels []float32, rows, columns, about int) {
	t.block = max(1, max(rows, columns)/about)
	t.rows, t.columns = (rows+t.block-1)/t.block, (columns+t.block-1)/t.block
	t.cells = grow(t.cells, t.rows*t.columns)
	t.strip = grow(t.strip, columns)
	for row := range t.rows {
		first, last := row*t.block, min((row+1)*t.block, rows)
		sumRows(t.strip, pixels[first*columns:last*columns])
		t.squeeze(t.cells[row*t.columns:][:t.columns], last-first)
	}
}

// squeeze turns the strip's sums into the means of one row of cells.
func (t *thumbnail) squeeze(cells []float64, height int) {
	for i := range cells {
		part := t.strip[i*t.block : min((i+1)*t.block, len(t.strip))]
		var sum float64
		for _, v := range part {
			sum += v
		}
		cells[i] = sum / float64(height*len(part))
	}
}

// sumRows sets sums to the column sums of the rows in pixels, four rows a pass.
func sumRows(sums []float64, pixels []float32) {
	n := len(sums)
	clear(sums)
	for len(pixels) >= 4*n {
		a, b, c, d := pixels[:n], pixels[n:][:n], pixels[2*n:][:n], pixels[3*n:][:n]
		for i := range sums {
			sums[i] += (float64(a[i]) + float64(b[i])) + (float64(c[i]) + float64(d[i]))
		}
		pixels = pixels[4*n:]
	}
	for len(pixels) >= n && n > 0 {
		a := pixels[:n]
		for i := range sums {
			sums[i] += float64(a[i])
		}
		pixels = pixels[n:]
	}
}

// ranks finds order statistics through a histogram: two passes over the values
// instead of the dozen of a selection, and no copy of them.
type ranks struct {
	counts [1024]int32
	within []float64 // the values of one bin
}

// orderStatistics gives the values that would stand at floor(q·(n-1)) if they
// were sorted (step 2 of the recipe), for two q. values are finite.
func (r *ranks) orderStatistics(values []float64, low, high float64) (atLow, atHigh float64) {
	least, most := values[0], values[0]
	for _, v := range values {
		if v < least {
			least = v
		}
		if v > most {
			most = v
		}
	}
	scale := float64(len(r.counts)-1) / (most - least)
	if math.IsInf(scale, 0) || scale == 0 || most == least { // alike, or too near or far for the bins
		r.within = append(r.within[:0], values...)
		slices.Sort(r.within)
		last := float64(len(values) - 1)
		return r.within[int(low*last)], r.within[int(high*last)]
	}
	clear(r.counts[:])
	for _, v := range values {
		r.counts[int((v-least)*scale)&1023]++ // rising with v; the mask spares a bounds check
	}
	last := float64(len(values) - 1)
	return r.at(values, int(low*last), least, scale), r.at(values, int(high*last), least, scale)
}

// at finds the bin of the n-th smallest value and sorts what is in it.
func (r *ranks) at(values []float64, n int, least, scale float64) float64 {
	bin := 0
	for n >= int(r.counts[bin]) {
		n -= int(r.counts[bin])
		bin++
	}
	r.within = r.within[:0]
	for _, v := range values {
		if int((v-least)*scale) == bin {
			r.within = append(r.within, v)
		}
	}
	return selectNth(r.within, n)
}

// selectNth gives the n-th smallest value and reorders values. Rounds are
// bounded; an unlucky order is sorted instead.
func selectNth(values []float64, n int) float64 {
	for rounds := 0; len(values) > 16 && rounds < 40; rounds++ {
		less, more := partition(values)
		switch {
		case n < less:
			values = values[:less]
		case n >= more:
			values, n = values[more:], n-more
		default:
			return values[n] // between the two all are equal to the pivot
		}
	}
	slices.Sort(values)
	return values[n]
}

// partition orders values into smaller than, equal to and larger than a pivot,
// and gives the bounds of the equal ones. Three ways, because the air around a
// head is often one single value.
func partition(values []float64) (less, more int) {
	a, b, c := values[0], values[len(values)/2], values[len(values)-1]
	pivot := max(min(a, b), min(max(a, b), c))
	more = len(values)
	for i := 0; i < more; {
		switch v := values[i]; {
		case v < pivot:
			values[i], values[less] = values[less], v
			less++
			i++
		case v > pivot:
			more--
			values[i], values[more] = values[more], v
		default:
			i++
		}
	}
	return less, more
}
