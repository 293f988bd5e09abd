package report

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"

	"neurotriage"
)

// longestSide is the length of a panel's longer side, in pixels.
const longestSide = 640

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
	field, ok := newField(heatMap)
	if !ok {
		return false
	}
	rowStep := float64(slice.Rows) / float64(at.Dy())
	columnStep := float64(slice.Columns) / float64(at.Dx())
	for y := range at.Dy() {
		for x := range at.Dx() {
			value := field.at((float64(y)+0.5)*rowStep, (float64(x)+0.5)*columnStep)
			blend(canvas, at.Min.X+x, at.Min.Y+y, heat(value), mostOpaque*value)
		}
	}
	outline(canvas, at, seen(at, slice, heatMap))
	return true
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
	const faint = 0.3
	dot := func(x, y int) {
		if image.Pt(x, y).In(at) {
			blend(canvas, x, y, ink, faint)
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

func blend(canvas *image.RGBA, x, y int, top color.RGBA, alpha float64) {
	below := canvas.RGBAAt(x, y)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-alpha) + float64(b)*alpha)) }
	canvas.SetRGBA(x, y, color.RGBA{R: mix(below.R, top.R), G: mix(below.G, top.G), B: mix(below.B, top.B), A: 255})
}

// field is an activation map that can be asked at any point of the slice.
type field struct {
	neurotriage.HeatMap
	peak float64
}

// newField refuses maps that do not hold what they say, and empty ones.
func newField(heatMap neurotriage.HeatMap) (field, bool) {
	whole := heatMap.Rows > 0 && heatMap.Columns > 0 && len(heatMap.Values) == heatMap.Rows*heatMap.Columns &&
		heatMap.Size[0] > 0 && heatMap.Size[1] > 0
	if !whole {
		return field{}, false
	}
	f := field{HeatMap: heatMap}
	for row := range f.Rows {
		for column := range f.Columns {
			f.peak = max(f.peak, f.smooth(float64(row)+0.5, float64(column)+0.5))
		}
	}
	return f, f.peak > 0
}

// at gives the map's value at a point of the slice (0, 0 is the outer corner of
// the first pixel) as a fraction of its peak. Beyond the map's square the model
// saw nothing, and there is no evidence.
func (f field) at(row, column float64) float64 {
	v := (row - f.Origin[0]) / f.Size[0] * float64(f.Rows)
	u := (column - f.Origin[1]) / f.Size[1] * float64(f.Columns)
	if v < 0 || u < 0 || v > float64(f.Rows) || u > float64(f.Columns) {
		return 0
	}
	return unit(f.smooth(v, u) / f.peak)
}

// smooth interpolates with the cubic B-spline, which draws a map of seven cells
// a side without the diamonds of bilinear interpolation and without overshoot.
// Cell r, c has its centre at r+0.5, c+0.5.
func (f field) smooth(v, u float64) float64 {
	top, left := math.Floor(v-0.5), math.Floor(u-0.5)
	down, across := spline(v-0.5-top), spline(u-0.5-left)
	sum := 0.0
	for i, vertical := range down {
		for j, horizontal := range across {
			sum += vertical * horizontal * f.cell(int(top)+i-1, int(left)+j-1)
		}
	}
	return sum
}

// spline gives the weights of the four nearest cells for a point that lies t
// (0..1) behind the second.
func spline(t float64) [4]float64 {
	s := 1 - t
	return [4]float64{s * s * s / 6, (4 - 6*t*t + 3*t*t*t) / 6, (4 - 6*s*s + 3*s*s*s) / 6, t * t * t / 6}
}

// cell repeats the edge cells outwards.
func (f field) cell(row, column int) float64 {
	row = min(max(row, 0), f.Rows-1)
	column = min(max(column, 0), f.Columns-1)
	value := float64(f.Values[row*f.Columns+column])
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0
	}
	return value
}
