package classifier

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"

	"neurotriage"
)

// A blob at a known pixel of the stored image must light the same pixel of the
// activation map, whatever was turned, cropped, padded or stretched in between.
// The fake's map is the tensor averaged over its cells, so nothing but geometry
// is tested.
func TestBlobLightsItsOwnPixel(t *testing.T) {
	turns := []neurotriage.Turn{
		{}, {FlipRows: true}, {FlipColumns: true}, {Transpose: true}, {FlipRows: true, FlipColumns: true},
		{Transpose: true, FlipRows: true}, {Transpose: true, FlipColumns: true}, {Transpose: true, FlipRows: true, FlipColumns: true},
	}
	for _, shape := range []struct {
		rows, columns int // canonical
		spacing       [2]float64
	}{{200, 320, [2]float64{1.2, 0.6}}, {384, 274, [2]float64{0.5, 1}}, {256, 256, [2]float64{1, 1}}, {64, 96, [2]float64{3, 2}}, {150, 150, [2]float64{}}} {
		for _, turn := range turns {
			for _, at := range [][2]float64{{0.5, 0.5}, {0.35, 0.6}, {0.7, 0.4}, {0.62, 0.66}} {
				name := fmt.Sprintf("%dx%d/%+v/%v", shape.rows, shape.columns, turn, at)
				row, column := int(at[0]*float64(shape.rows)), int(at[1]*float64(shape.columns))
				slice := turned(shape.rows, shape.columns, turn, row, column)
				slice.Spacing, slice.Turn = shape.spacing, turn
				checkBlob(t, name, slice, row, column)
			}
		}
	}
}

// turned paints the picture as it is stored, then lays it into canonical
// orientation through the turn, as a reader does.
func turned(rows, columns int, turn neurotriage.Turn, row, column int) neurotriage.Slice {
	wide := columns
	if turn.Transpose {
		wide = rows
	}
	stored := make([]float32, rows*columns)
	blobRow, blobColumn := turn.Stored(row, column, rows, columns)
	reach := min(rows, columns) / 16 // large enough to be the brightest half per cent and more
	for y := range rows {
		for x := range columns {
			sy, sx := turn.Stored(y, x, rows, columns)
			dy, dx := (float64(y)/float64(rows)-0.5)/0.4, (float64(x)/float64(columns)-0.5)/0.35
			if dy*dy+dx*dx < 1 {
				stored[sy*wide+sx] = 900 // the head, dim
			}
			if (sy-blobRow)*(sy-blobRow)+(sx-blobColumn)*(sx-blobColumn) < reach*reach {
				stored[sy*wide+sx] = 3000 // the blob, at a stored pixel
			}
		}
	}
	slice := neurotriage.Slice{Rows: rows, Columns: columns, Pixels: make([]float32, rows*columns)}
	for y := range rows {
		for x := range columns {
			sy, sx := turn.Stored(y, x, rows, columns)
			slice.Pixels[y*columns+x] = stored[sy*wide+sx]
		}
	}
	return slice
}

func checkBlob(t *testing.T, name string, slice neurotriage.Slice, row, column int) {
	t.Helper()
	const size, cells = 64, 8
	tensor := make([]float32, size*size)
	crop, err := Prepare(recipe(), size, slice, tensor)
	if err != nil {
		t.Fatal(err)
	}
	heat := crop.HeatMap(averaged(tensor, size, cells), cells, cells)
	best := 0
	for i, v := range heat.Values {
		if v > heat.Values[best] {
			best = i
		}
	}
	tall, wide := heat.Size[0]/cells, heat.Size[1]/cells // one cell in slice pixels
	lit := [2]float64{heat.Origin[0] + (float64(best/cells)+0.5)*tall, heat.Origin[1] + (float64(best%cells)+0.5)*wide}
	if math.Abs(lit[0]-float64(row)-0.5) > tall || math.Abs(lit[1]-float64(column)-0.5) > wide {
		t.Errorf("%s: blob at %d, %d lights %.1f, %.1f; a cell is %.1f by %.1f pixels", name, row, column, lit[0], lit[1], tall, wide)
	}
	blobRow, blobColumn := slice.Turn.Stored(row, column, slice.Rows, slice.Columns)
	litRow, litColumn := slice.Turn.Stored(clamp(int(lit[0]), 0, slice.Rows-1), clamp(int(lit[1]), 0, slice.Columns-1), slice.Rows, slice.Columns)
	if slice.Turn.Transpose {
		tall, wide = wide, tall
	}
	if math.Abs(float64(litRow-blobRow)) > tall+1 || math.Abs(float64(litColumn-blobColumn)) > wide+1 {
		t.Errorf("%s: stored blob at %d, %d lights %d, %d", name, blobRow, blobColumn, litRow, litColumn)
	}
}

// No study stands in memory whole: beside the key candidates only the slices in
// the workers' hands are alive.
func TestPixelsOfFewSlicesLive(t *testing.T) {
	s := newStage(t, onCPU)
	var lines []line
	for i := range 120 {
		p := float64(1+i%40) / 100
		lines = append(lines, line{p: [4]float64{p, 0.5 - p, 0.4, 0.1}})
	}
	s.add(neurotriage.T1C, lines...)
	var living, most atomic.Int64
	fresh := func(yield func(neurotriage.Slice, error) bool) {
		for i, slice := range s.slices {
			pixels := make([]float32, len(slice.Pixels))
			copy(pixels, slice.Pixels)
			slice.Pixels = pixels
			living.Add(1)
			runtime.AddCleanup(&pixels[0], func(int) { living.Add(-1) }, 0)
			if !yield(slice, nil) {
				return
			}
			if i%20 == 19 {
				for range 3 {
					runtime.GC()
					runtime.Gosched()
				}
				most.Store(max(most.Load(), living.Load()))
			}
		}
	}
	reading, err := s.classifier().Classify(t.Context(), s.study, s.thresholds(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	const allowed = 3*5 + 2 + 2 + 2 // candidates; in the workers' hands; in the feeder's; being cleaned up
	if most.Load() > allowed {
		t.Errorf("%d slices were alive at once, at most %d need be", most.Load(), allowed)
	}
	if len(reading.Keys) != 5 || reading.Keys[4].Slice.Pixels == nil {
		t.Error("key slices without pixels")
	}
}
