package browser_test

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// A look is a picture so small that letters are gone and layout and colours
// stay: other fonts, times and ages do not matter to it, a panel that vanished or
// a colour that means something else does.
const (
	lookWidth, lookHeight = 48, 30
	lookMean              = 10 // mean difference of a colour, of 255
	lookCell              = 60 // what makes a cell another one
	lookCells             = 8  // per cent of cells that may be others
)

// look keeps a picture of what is seen and compares it, loosely, with
// testdata/look/<name>.png. go test -update renews that; look at it before it is
// committed.
func look(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	got := shrink(shoot(t, ctx, name))
	path := filepath.Join("testdata", "look", name+".png")
	if flag.Lookup("update").Value.String() == "true" {
		var text bytes.Buffer
		if err := png.Encode(&text, got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil { //nolint:gosec // pictures of generated studies
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("the look of %s (make it with -update): %v", name, err)
	}
	want, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if mean, cells := apart(got, want); mean > lookMean || cells > lookCells {
		t.Errorf("%s looks different: colours by %.1f of 255 (at most %d), %.0f %% of cells (at most %d); see the screenshot, and renew the look with -update if it is right",
			name, mean, lookMean, cells, lookCells)
	}
}

// shrink averages a picture down to a look.
func shrink(drawn image.Image) *image.RGBA {
	box, out := drawn.Bounds(), image.NewRGBA(image.Rect(0, 0, lookWidth, lookHeight))
	for y := range lookHeight {
		for x := range lookWidth {
			var sum [3]uint32
			n := uint32(0)
			for v := box.Min.Y + y*box.Dy()/lookHeight; v < box.Min.Y+(y+1)*box.Dy()/lookHeight; v++ {
				for u := box.Min.X + x*box.Dx()/lookWidth; u < box.Min.X+(x+1)*box.Dx()/lookWidth; u++ {
					r, g, b, _ := drawn.At(u, v).RGBA()
					sum[0], sum[1], sum[2], n = sum[0]+r>>8, sum[1]+g>>8, sum[2]+b>>8, n+1
				}
			}
			out.SetRGBA(x, y, color.RGBA{uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n), 255}) //nolint:gosec // means of bytes
		}
	}
	return out
}

// apart gives the mean difference of the colours, and how many cells in a
// hundred are others altogether.
func apart(a, b image.Image) (mean, cells float64) {
	sum, others := 0, 0
	for y := range lookHeight {
		for x := range lookWidth {
			r, g, b1, _ := a.At(x, y).RGBA()
			u, v, w, _ := b.At(x, y).RGBA()
			far := 0
			for _, d := range []int{int(r>>8) - int(u>>8), int(g>>8) - int(v>>8), int(b1>>8) - int(w>>8)} {
				d = max(d, -d)
				sum, far = sum+d, max(far, d)
			}
			if far > lookCell {
				others++
			}
		}
	}
	const all = lookWidth * lookHeight
	return float64(sum) / (3 * all), 100 * float64(others) / all
}

// TestLookCanFail shows that a look takes another font for the same and another
// page for a different one.
func TestLookCanFail(t *testing.T) {
	page := func(ground, panel color.Color, shift int) image.Image {
		out := image.NewRGBA(image.Rect(0, 0, 960, 600))
		for y := range 600 {
			for x := range 960 {
				out.Set(x, y, ground)
				if y > 100 && y < 300 && x > 40 {
					out.Set(x, y, panel)
				}
				if (x+shift)%9 < 2 && y%24 < 9 && x > 60 && x < 500 { // letters
					out.Set(x, y, color.White)
				}
			}
		}
		return out
	}
	dark, panel := color.RGBA{13, 20, 24, 255}, color.RGBA{90, 60, 20, 255}
	first := shrink(page(dark, panel, 0))
	for name, c := range map[string]struct {
		other image.Image
		same  bool
	}{
		"letters elsewhere": {page(dark, panel, 4), true},
		"a light page":      {page(color.RGBA{244, 247, 248, 255}, panel, 0), false},
		"no panel":          {page(dark, dark, 0), false},
	} {
		mean, cells := apart(first, shrink(c.other))
		if same := mean <= lookMean && cells <= lookCells; same != c.same {
			t.Errorf("%s: apart by %.1f and %.0f %%", name, mean, cells)
		}
	}
}
