package report

import (
	"image"
	"math"

	"golang.org/x/image/draw"

	"neurotriage"
)

// longestSide is the length of a panel's longer side, in pixels.
const longestSide = 512

// panelSize gives the panel's width and height: the slice in isotropic pixels.
// An unknown spacing counts as square.
func panelSize(slice neurotriage.Slice) (width, height int, pixelsPerMM float64) {
	row, column, known := spacing(slice)
	high, wide := float64(slice.Rows)*row, float64(slice.Columns)*column
	scale := longestSide / max(high, wide)
	width = max(1, int(math.Round(wide*scale)))
	height = max(1, int(math.Round(high*scale)))
	if !known {
		return width, height, 0
	}
	return width, height, scale
}

// spacing gives the distance of rows and of columns in mm, or 1, 1 and false.
func spacing(slice neurotriage.Slice) (row, column float64, known bool) {
	row, column = slice.Spacing[0], slice.Spacing[1]
	if row > 0 && column > 0 && !math.IsInf(row, 0) && !math.IsInf(column, 0) {
		return row, column, true
	}
	return 1, 1, false
}

// windowed maps the pixels linearly so that window[0] is black and window[1]
// white; an empty window is replaced by the slice's own range.
func windowed(slice neurotriage.Slice, window [2]float64) *image.Gray {
	low, high := window[0], window[1]
	if !(high > low) {
		low, high = extent(slice.Pixels)
	}
	picture := image.NewGray(image.Rect(0, 0, slice.Columns, slice.Rows))
	for i, value := range slice.Pixels {
		picture.Pix[i] = uint8(math.Round(255 * unit((float64(value)-low)/(high-low))))
	}
	return picture
}

// extent gives the least and the greatest finite value.
func extent(pixels []float32) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, pixel := range pixels {
		if value := float64(pixel); !math.IsNaN(value) && !math.IsInf(value, 0) {
			low, high = min(low, value), max(high, value)
		}
	}
	return low, high
}

// plain draws the slice into a panel.
func plain(canvas *image.RGBA, at image.Rectangle, picture *image.Gray) {
	draw.BiLinear.Scale(canvas, at, picture, picture.Bounds(), draw.Src, nil)
}

// overlay blends the activation map into a panel that shows the slice already.
// It reports whether there was any evidence to show.
func overlay(canvas *image.RGBA, at image.Rectangle, slice neurotriage.Slice, heatMap neurotriage.HeatMap) bool {
	rows := taps(heatMap.Rows, heatMap.Origin[0], heatMap.Size[0], slice.Rows, at.Dy())
	columns := taps(heatMap.Columns, heatMap.Origin[1], heatMap.Size[1], slice.Columns, at.Dx())
	spread, peak := spreadRows(heatMap, columns)
	if peak <= 0 {
		return false
	}
	colours := palette()
	for y, row := range rows {
		line := canvas.Pix[canvas.PixOffset(at.Min.X, at.Min.Y+y):]
		for x := range columns {
			value := row.weigh(func(cell int) float64 { return spread[cell][x] }) / peak
			colours[int(unit(value)*(shades-1)+0.5)].over(line[4*x:])
		}
	}
	outline(canvas, at, seen(at, slice, heatMap))
	return true
}

// spreadRows interpolates each row of a map along the panel's columns, and gives
// the largest value of the map when interpolated at its cells' centres. Maps
// that do not hold what they say have no peak.
func spreadRows(heatMap neurotriage.HeatMap, columns []tap) (rows [][]float64, peak float64) {
	if heatMap.Rows <= 0 || heatMap.Columns <= 0 || len(heatMap.Values) != heatMap.Rows*heatMap.Columns {
		return nil, 0
	}
	rows = make([][]float64, heatMap.Rows)
	for r := range rows {
		rows[r] = make([]float64, len(columns))
		for x, column := range columns {
			rows[r][x] = column.weigh(func(cell int) float64 { return cellOf(heatMap, r, cell) })
		}
	}
	for r := range heatMap.Rows {
		for c := range heatMap.Columns {
			down, across := at(float64(r)+0.5, heatMap.Rows), at(float64(c)+0.5, heatMap.Columns)
			peak = max(peak, down.weigh(func(row int) float64 {
				return across.weigh(func(column int) float64 { return cellOf(heatMap, row, column) })
			}))
		}
	}
	return rows, peak
}

// cellOf counts what is no number as no evidence.
func cellOf(heatMap neurotriage.HeatMap, row, column int) float64 {
	value := float64(heatMap.Values[row*heatMap.Columns+column])
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0
	}
	return value
}

// tap is one point along one axis of a map: the cells that it lies between, and
// their weights. The cubic B-spline draws a map of seven cells a side without
// the diamonds of bilinear interpolation and without overshoot.
type tap struct {
	cells   [4]int
	weights [4]float64 // all 0 beyond the map, where the model saw nothing
}

func (t tap) weigh(value func(cell int) float64) float64 {
	sum := 0.0
	for i, cell := range t.cells {
		if t.weights[i] != 0 {
			sum += t.weights[i] * value(cell)
		}
	}
	return sum
}

// at is the tap at a place in cells; cell n has its centre at n+0.5, and the
// edge cells repeat outwards.
func at(place float64, cells int) tap {
	first := math.Floor(place - 0.5)
	t := place - 0.5 - first
	s := 1 - t
	found := tap{weights: [4]float64{s * s * s / 6, (4 - 6*t*t + 3*t*t*t) / 6, (4 - 6*s*s + 3*s*s*s) / 6, t * t * t / 6}}
	for i := range found.cells {
		found.cells[i] = min(max(int(first)+i-1, 0), cells-1)
	}
	return found
}

// taps gives the tap of each of a panel's pixels along one axis: origin and size
// are those of the map's square in slice pixels.
func taps(cells int, origin, size float64, slicePixels, panelPixels int) []tap {
	list := make([]tap, panelPixels)
	for i := range list {
		pixel := (float64(i) + 0.5) * float64(slicePixels) / float64(panelPixels)
		if place := (pixel - origin) / size * float64(cells); place >= 0 && place <= float64(cells) {
			list[i] = at(place, cells)
		}
	}
	return list
}

// seen is the square that the model looked at, on the panel; it may reach
// beyond it.
func seen(at image.Rectangle, slice neurotriage.Slice, heatMap neurotriage.HeatMap) image.Rectangle {
	down := func(row float64) int { return at.Min.Y + int(row/float64(slice.Rows)*float64(at.Dy())) }
	across := func(column float64) int { return at.Min.X + int(column/float64(slice.Columns)*float64(at.Dx())) }
	return image.Rect(across(heatMap.Origin[1]), down(heatMap.Origin[0]),
		across(heatMap.Origin[1]+heatMap.Size[1]), down(heatMap.Origin[0]+heatMap.Size[0]))
}

// outline draws the part of the frame's edge that lies on the panel, faintly.
func outline(canvas *image.RGBA, at, frame image.Rectangle) {
	faint := newVeil(ink, 0.3)
	dot := func(x, y int) {
		if image.Pt(x, y).In(at) {
			faint.over(canvas.Pix[canvas.PixOffset(x, y):])
		}
	}
	for x := max(frame.Min.X, at.Min.X); x < min(frame.Max.X, at.Max.X); x++ {
		dot(x, frame.Min.Y)
		dot(x, frame.Max.Y-1)
	}
	for y := max(frame.Min.Y, at.Min.Y) + 1; y < min(frame.Max.Y, at.Max.Y)-1; y++ {
		dot(frame.Min.X, y)
		dot(frame.Max.X-1, y)
	}
}
