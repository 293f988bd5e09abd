package classifier

import (
	"fmt"
	"math"

	"neurotriage"
)

// Crop says where a tensor came from: the window and the square of the slice.
// Lengths are in slice pixels, which may be taller than wide; the square is one
// in millimetres, and may reach beyond the slice.
type Crop struct {
	Low, High     float64 // modality units shown as 0 and as 1; equal or crossed when the slice is flat
	Row, Column   float64 // of the square's corner
	Height, Width float64
	HeadAreaMM2   float64 // 0 when the slice is flat or its spacing is unknown
}

// Flat reports whether the slice has no contrast at all, so that no head was
// found and the tensor is all zero.
func (c Crop) Flat() bool { return c.High <= c.Low }

// HeatMap lays a map of the network over the slice it came from.
func (c Crop) HeatMap(values []float32, rows, columns int) neurotriage.HeatMap {
	return neurotriage.HeatMap{
		Rows: rows, Columns: columns, Values: values,
		Origin: [2]float64{c.Row, c.Column}, Size: [2]float64{c.Height, c.Width},
	}
}

// Prepare turns one slice into one tensor by the card's recipe: size × size
// values in 0..1 into dst. It allocates; a loop uses a [Preparer].
func Prepare(recipe neurotriage.Recipe, size int, slice neurotriage.Slice, dst []float32) (Crop, error) {
	return NewPreparer(recipe, size).Prepare(slice, dst)
}

// Preparer is the recipe with its scratch memory, which grows to the largest
// slice seen. It serves one goroutine at a time and allocates nothing once warm.
type Preparer struct {
	recipe neurotriage.Recipe
	size   int

	thumb    thumbnail
	ranks    ranks
	parts    components
	down     weights
	across   weights
	windowed []float32 // the part of the slice below the square, in 0..1
	squeezed []float32 // windowed, resampled to size rows
}

// NewPreparer makes a preparer; the recipe is one that [Check] has passed.
func NewPreparer(recipe neurotriage.Recipe, size int) *Preparer {
	return &Preparer{recipe: recipe, size: size}
}

// Prepare turns one slice into size × size values in 0..1, written to dst.
func (p *Preparer) Prepare(slice neurotriage.Slice, dst []float32) (Crop, error) {
	if len(dst) < p.size*p.size {
		return Crop{}, fmt.Errorf("preparing slice %s: tensor holds %d values, %d are needed", slice.SOPInstanceUID, len(dst), p.size*p.size)
	}
	dst = dst[:p.size*p.size]
	if slice.Rows < 1 || slice.Columns < 1 || len(slice.Pixels) != slice.Rows*slice.Columns {
		return Crop{}, fmt.Errorf("preparing slice %s: %d pixels do not make %d rows of %d",
			slice.SOPInstanceUID, len(slice.Pixels), slice.Rows, slice.Columns)
	}
	crop, err := p.findHead(slice)
	if err != nil {
		return Crop{}, fmt.Errorf("preparing slice %s: %w", slice.SOPInstanceUID, err)
	}
	if crop.Flat() {
		clear(dst)
		return crop, nil
	}
	p.resample(slice, crop, dst)
	return crop, nil
}

// findHead is steps 1 to 4 of the recipe.
func (p *Preparer) findHead(slice neurotriage.Slice) (Crop, error) {
	t := &p.thumb
	t.fill(slice.Pixels, slice.Rows, slice.Columns, p.recipe.Thumbnail)
	for i, cell := range t.cells {
		if math.IsNaN(cell) || math.IsInf(cell, 0) {
			return Crop{}, fmt.Errorf("a pixel in rows %d to %d is not a finite number", i/t.columns*t.block, (i/t.columns+1)*t.block-1)
		}
	}
	var crop Crop
	crop.Low, crop.High = p.ranks.orderStatistics(t.cells, p.recipe.PercentileLow, p.recipe.PercentileHigh)
	if crop.Flat() {
		return crop, nil
	}
	box := p.parts.largest(t.cells, t.columns, crop.Low+p.recipe.HeadThreshold*(crop.High-crop.Low))
	spacing, known := slice.Spacing, slice.Spacing[0] > 0 && slice.Spacing[1] > 0
	if !known {
		spacing = [2]float64{1, 1}
	}
	top, bottom := box.top*t.block, min(box.bottom*t.block, slice.Rows)
	left, right := box.left*t.block, min(box.right*t.block, slice.Columns)
	side := max(float64(right-left)*spacing[1], float64(bottom-top)*spacing[0]) * (1 + 2*p.recipe.Margin) // mm
	crop.Height, crop.Width = side/spacing[0], side/spacing[1]
	crop.Row = float64(top+bottom)/2 - crop.Height/2
	crop.Column = float64(left+right)/2 - crop.Width/2
	if known {
		crop.HeadAreaMM2 = float64(box.cells*t.block*t.block) * spacing[0] * spacing[1]
	}
	return crop, nil
}

// resample is steps 5 and 6 of the recipe.
func (p *Preparer) resample(slice neurotriage.Slice, crop Crop, dst []float32) {
	p.down.fill(crop.Row, crop.Height, p.size, slice.Rows)
	p.across.fill(crop.Column, crop.Width, p.size, slice.Columns)
	width := p.across.last - p.across.first
	p.windowed = grow(p.windowed, (p.down.last-p.down.first)*width)
	low, scale := float32(crop.Low), float32(1/(crop.High-crop.Low))
	for row := p.down.first; row < p.down.last; row++ {
		from := slice.Pixels[row*slice.Columns+p.across.first : row*slice.Columns+p.across.last]
		window(p.windowed[(row-p.down.first)*width:][:width], from, low, scale)
	}
	p.squeezed = grow(p.squeezed, p.size*width)
	for i := range p.size {
		taps, start := p.down.taps(i)
		mixRows(p.squeezed[i*width:][:width], p.windowed, start*width, taps)
	}
	for i := range p.size {
		p.across.apply(dst[i*p.size:][:p.size], p.squeezed[i*width:][:width])
	}
}

// grow gives a slice of n elements whose contents are of no account.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
