package report_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/report"
)

// blob is where the phantom's lesion lies, in slice pixels.
type blob struct{ row, column float64 }

// phantom is a round head of 160 mm with a bright lesion of 12 mm, drawn on
// pixels of the given spacing, and a map that lights up at the lesion.
func phantom(rows, columns int, spacing [2]float64, lesion blob) neurotriage.Reading {
	row, column := spacing[0], spacing[1]
	if row == 0 {
		row, column = 1, 1
	}
	slice := neurotriage.Slice{
		SeriesInstanceUID: "1.2.3.4", SOPInstanceUID: "1.2.826.0.1.3680043.8.498.1234567890", Frame: 1, Index: 11,
		Position: 45.5, Rows: rows, Columns: columns, Spacing: spacing, Pixels: make([]float32, rows*columns),
	}
	near := func(r, c int, at blob, radius float64) bool {
		return math.Hypot((float64(r)+0.5-at.row)*row, (float64(c)+0.5-at.column)*column) < radius
	}
	centre := blob{float64(rows) / 2, float64(columns) / 2}
	for r := range rows {
		for c := range columns {
			switch i := r*columns + c; {
			case near(r, c, lesion, 12):
				slice.Pixels[i] = 900
			case near(r, c, centre, 80):
				slice.Pixels[i] = 500 + float32(40*math.Sin(float64(r+c)/7))
			}
		}
	}
	side := 180.0
	heatMap := neurotriage.HeatMap{
		Rows: 7, Columns: 7, Values: make([]float32, 49),
		Origin: [2]float64{centre.row - side/row/2, centre.column - side/column/2},
		Size:   [2]float64{side / row, side / column},
	}
	for i := range heatMap.Values {
		r := heatMap.Origin[0] + (float64(i/7)+0.5)*heatMap.Size[0]/7
		c := heatMap.Origin[1] + (float64(i%7)+0.5)*heatMap.Size[1]/7
		distance := math.Hypot((r-lesion.row)*row, (c-lesion.column)*column)
		heatMap.Values[i] = float32(3 * math.Exp(-distance*distance/800))
	}
	return neurotriage.Reading{
		Labels: []string{"glioma", "meningioma", "normal", "pituitary"},
		Finding: neurotriage.Finding{
			StudyInstanceUID: "1.2.3", Disposition: neurotriage.GliomaReview,
			Model: neurotriage.ModelRef{Name: "mobilenetv3-large", Version: "2026.11.1", Digest: "sha256:0123456789abcdef0123456789abcdef", Runtime: "cpu"},
		},
		Study: neurotriage.Study{
			UID: "1.2.3", Patient: neurotriage.Patient{Name: "Doe^Jane", ID: "MRN-77", BirthDate: "19700101"},
			Series: []neurotriage.Series{{
				UID: "1.2.3.4", Plane: neurotriage.Axial, Sequence: neurotriage.T1C, Slices: make([]neurotriage.Slice, 24),
			}},
		},
		Keys: []neurotriage.KeyImage{{
			Slice: slice, Label: "glioma", Probabilities: []float64{0.931, 0.042, 0.009, 0.018}, Window: [2]float64{0, 900}, Map: heatMap,
		}},
	}
}

func draw(t *testing.T, reading neurotriage.Reading) *image.RGBA {
	t.Helper()
	var out bytes.Buffer
	if err := report.WriteKeyImage(&out, reading, 0); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	opaque, ok := picture.(*image.RGBA)
	if !ok {
		t.Fatalf("the picture is a %T", picture)
	}
	return opaque
}

// The layout that the tests measure in: the margin, and where the right panel
// of a square slice begins.
const (
	margin = 12
	panel  = 512
)

// warm says how much redder than blue a pixel is: grey pixels are not warm.
func warm(c color.RGBA) int { return int(c.R) - int(c.B) }

func TestHeadStaysRound(t *testing.T) {
	cases := []struct {
		name          string
		rows, columns int
		spacing       [2]float64
	}{
		{"square pixels", 220, 220, [2]float64{1, 1}},
		{"rows twice as far apart", 110, 220, [2]float64{2, 1}},
		{"columns thrice as far apart", 210, 70, [2]float64{1, 3}},
		{"fine and anisotropic", 384, 274, [2]float64{0.55, 0.78}},
		{"unknown spacing", 220, 220, [2]float64{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			lesion := blob{float64(c.rows) / 2, float64(c.columns) / 2}
			picture := draw(t, phantom(c.rows, c.columns, c.spacing, lesion))
			head := image.Rectangle{}
			for y := margin + 30; y < margin+panel-40; y++ { // clear of letters and ruler
				for x := margin + 30; x < margin+panel-5; x++ {
					if picture.RGBAAt(x, y).R > 60 {
						head = head.Union(image.Rect(x, y, x+1, y+1))
					}
				}
			}
			if ratio := float64(head.Dx()) / float64(head.Dy()); math.Abs(ratio-1) > 0.03 {
				t.Errorf("head is %d wide and %d high (ratio %.3f), want a round one", head.Dx(), head.Dy(), ratio)
			}
		})
	}
}

func TestMapLightsTheLesion(t *testing.T) {
	for _, lesion := range []blob{{60, 70}, {110, 160}, {160, 110}} {
		picture := draw(t, phantom(220, 220, [2]float64{1, 1}, lesion))
		left := panel + 2*margin
		hottest, at := -1, image.Point{}
		for y := margin; y < margin+panel; y++ {
			for x := left; x < left+panel; x++ {
				if w := warm(picture.RGBAAt(x, y)); w > hottest {
					hottest, at = w, image.Pt(x-left, y-margin)
				}
			}
		}
		scale := float64(panel) / 220
		cell := 180.0 / 7
		row, column := float64(at.Y)/scale, float64(at.X)/scale
		if hottest < 100 || math.Hypot(row-lesion.row, column-lesion.column) > cell {
			t.Errorf("lesion at %v: warmest pixel (%d) at row %.0f column %.0f, want it within one map cell (%.0f)", lesion, hottest, row, column, cell)
		}
	}
}

func TestLeftPanelHasNoColour(t *testing.T) {
	picture := draw(t, phantom(220, 220, [2]float64{1, 1}, blob{60, 70}))
	for y := margin; y < margin+panel; y++ {
		for x := margin; x < margin+panel; x++ {
			if w := warm(picture.RGBAAt(x, y)); w != 0 {
				t.Fatalf("pixel %d,%d of the plain slice is coloured by %d", x, y, w)
			}
		}
	}
}

// brokenMaps are maps that must leave the picture grey rather than lie.
var brokenMaps = map[string]neurotriage.HeatMap{
	"absent":           {},
	"no evidence":      {Rows: 1, Columns: 2, Values: []float32{0, 0}, Size: [2]float64{220, 220}},
	"too few values":   {Rows: 7, Columns: 7, Values: []float32{1}, Size: [2]float64{220, 220}},
	"square of size 0": {Rows: 1, Columns: 1, Values: []float32{1}},
	"only NaN":         {Rows: 1, Columns: 1, Values: []float32{float32(math.NaN())}, Size: [2]float64{220, 220}},
}

func TestBrokenMapsAreNotDrawn(t *testing.T) {
	for name, heatMap := range brokenMaps {
		t.Run(name, func(t *testing.T) {
			reading := phantom(220, 220, [2]float64{1, 1}, blob{60, 70})
			reading.Keys[0].Map = heatMap
			picture := draw(t, reading)
			for y := margin; y < margin+panel; y++ {
				for x := margin; x < 2*panel; x++ {
					if w := warm(picture.RGBAAt(x, y)); w > 3 {
						t.Fatalf("pixel %d,%d is coloured by %d", x, y, w)
					}
				}
			}
		})
	}
}

func TestNoticeIsBurntIn(t *testing.T) {
	for _, size := range [][2]int{{220, 220}, {400, 60}, {60, 400}} {
		picture := draw(t, phantom(size[0], size[1], [2]float64{1, 1}, blob{30, 30}))
		bounds := picture.Bounds()
		amber := 0
		for y := bounds.Max.Y - 60; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				if picture.RGBAAt(x, y) == (color.RGBA{R: 255, G: 191, B: 64, A: 255}) {
					amber++
				}
			}
		}
		if amber < 500 {
			t.Errorf("%dx%d: %d amber pixels below the picture, want the notice %q", size[0], size[1], amber, report.Notice)
		}
	}
}

func TestSameReadingSameBytes(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := report.WriteKeyImage(out, phantom(64, 64, [2]float64{3, 3}, blob{20, 20}), 0); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two drawings of one reading differ")
	}
}

func TestUndrawableKeys(t *testing.T) {
	whole := phantom(64, 64, [2]float64{3, 3}, blob{20, 20})
	bare := phantom(64, 64, [2]float64{3, 3}, blob{20, 20})
	bare.Keys[0].Slice.Pixels = nil
	cases := []struct {
		name    string
		reading neurotriage.Reading
		key     int
		want    string
	}{
		{"beyond the last", whole, 1, "the reading has 1"},
		{"negative", whole, -1, "the reading has 1"},
		{"without pixels", bare, 0, "0 pixels do not make 64 rows of 64"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := report.WriteKeyImage(&bytes.Buffer{}, c.reading, c.key)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestFlatSlicesAndBadPixelsAreDrawn(t *testing.T) {
	for name, value := range map[string]float32{"zero": 0, "constant": 7, "NaN": float32(math.NaN()), "infinite": float32(math.Inf(1))} {
		t.Run(name, func(t *testing.T) {
			reading := phantom(32, 32, [2]float64{1, 1}, blob{16, 16})
			for i := range reading.Keys[0].Slice.Pixels {
				reading.Keys[0].Slice.Pixels[i] = value
			}
			reading.Keys[0].Window = [2]float64{}
			draw(t, reading)
		})
	}
}

func BenchmarkWriteKeyImage(b *testing.B) {
	reading := phantom(384, 274, [2]float64{0.7, 0.7}, blob{150, 120})
	for b.Loop() {
		var out bytes.Buffer
		if err := report.WriteKeyImage(&out, reading, 0); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(out.Len()))
	}
}
