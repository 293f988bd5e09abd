package jpeg2000

import (
	"neurotriage/dicomio/codec"
)

// level is how decoded samples become stored ones (T.800 G.1).
type level struct{ shift, lowest, highest int32 }

func (t *tile) level() level {
	bits := t.size.precision
	if !t.style.reversible { // lossy samples may overshoot; a reader would wrap them
		bits = min(bits, t.frame.Width())
	}
	l := level{shift: 1 << (t.size.precision - 1)}
	if t.size.signed {
		l.shift, l.lowest = 0, -1<<(bits-1)
	}
	l.highest = l.lowest + (1<<bits - 1)
	return l
}

// putExact writes the samples of a reversible tile.
func (t *tile) putExact() {
	l, width := t.level(), t.area.width()
	row, column := t.area.y0-t.size.y0, t.area.x0-t.size.x0
	for y := range t.area.height() {
		line := t.exact[y*width:][:width]
		for x, value := range line {
			line[x] = min(max(value+l.shift, l.lowest), l.highest)
		}
		codec.PutRun(t.frame, t.dst, row+y, column, line, t.size.precision)
	}
}

// putReal rounds and writes the samples of an irreversible tile.
func (t *tile) putReal() {
	l, width := t.level(), t.area.width()
	row, column := t.area.y0-t.size.y0, t.area.x0-t.size.x0
	t.exact = grown(t.exact, width)
	line := t.exact[:width]
	// Shifted to be positive, so that cutting the fraction off rounds down.
	const up = 1 << 20
	offset := float64(l.shift) + 0.5 + up
	for y := range t.area.height() {
		for x, value := range t.real[y*width:][:width] {
			line[x] = min(max(int32(float64(value)+offset)-up, l.lowest), l.highest)
		}
		codec.PutRun(t.frame, t.dst, row+y, column, line, t.size.precision)
	}
}
