package classifier

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"neurotriage"
)

func recipe() neurotriage.Recipe {
	return neurotriage.Recipe{
		Kind: "head-crop.v1", PercentileLow: 0.005, PercentileHigh: 0.995, Thumbnail: 96, HeadThreshold: 0.1, Margin: 0.04,
		MinHeadAreaMM2: 4000,
	}
}

// phantom is a bright ellipse over a dark, noisy ground: whole numbers, as a
// scanner gives them. Extents are fractions of the picture.
func phantom(rows, columns int, spacing [2]float64, seed uint64) neurotriage.Slice {
	random := rand.New(rand.NewPCG(seed, 1))
	s := neurotriage.Slice{SOPInstanceUID: "1.2.3", Frame: 1, Rows: rows, Columns: columns, Spacing: spacing, Pixels: make([]float32, rows*columns)}
	for y := range rows {
		for x := range columns {
			dy, dx := (float64(y)/float64(rows)-0.55)/0.35, (float64(x)/float64(columns)-0.45)/0.3
			value := float64(random.IntN(12)) - 4
			if d := dx*dx + dy*dy; d < 1 {
				value = 600 + 300*math.Cos(6*d) + float64(random.IntN(80))
			}
			s.Pixels[y*columns+x] = float32(math.Round(value))
		}
	}
	return s
}

// reference is docs/RECIPE.md word for word, in float64 and without a thought
// for speed.
func reference(r neurotriage.Recipe, size int, s neurotriage.Slice) ([]float64, Crop) {
	at := func(y, x int) float64 { return float64(s.Pixels[y*s.Columns+x]) }
	b := max(1, int(math.Floor(float64(max(s.Rows, s.Columns))/float64(r.Thumbnail))))
	th, tw := (s.Rows+b-1)/b, (s.Columns+b-1)/b
	cells := make([]float64, th*tw)
	for i := range cells {
		var sum, n float64
		for y := i / tw * b; y < min(s.Rows, (i/tw+1)*b); y++ {
			for x := i % tw * b; x < min(s.Columns, (i%tw+1)*b); x++ {
				sum, n = sum+at(y, x), n+1
			}
		}
		cells[i] = sum / n
	}
	sorted := slices.Sorted(slices.Values(cells))
	last := float64(len(sorted) - 1)
	c := Crop{Low: sorted[int(r.PercentileLow*last)], High: sorted[int(r.PercentileHigh*last)]}
	tensor := make([]float64, size*size)
	if c.High <= c.Low {
		return tensor, c
	}
	threshold := c.Low + r.HeadThreshold*(c.High-c.Low)
	region := floodLargest(cells, tw, threshold)
	x0, y0, x1, y1 := s.Columns, s.Rows, 0, 0
	for _, i := range region {
		x0, x1 = min(x0, i%tw*b), max(x1, min(s.Columns, (i%tw+1)*b))
		y0, y1 = min(y0, i/tw*b), max(y1, min(s.Rows, (i/tw+1)*b))
	}
	sy, sx := s.Spacing[0], s.Spacing[1]
	c.HeadAreaMM2 = float64(len(region)*b*b) * sx * sy
	if sy == 0 {
		sy, sx = 1, 1
	}
	side := max(float64(x1-x0)*sx, float64(y1-y0)*sy) * (1 + 2*r.Margin)
	c.Width, c.Height = side/sx, side/sy
	c.Column, c.Row = float64(x0+x1)/2-c.Width/2, float64(y0+y1)/2-c.Height/2
	weights := func(start, length float64, i int) map[int]float64 {
		scale := length / float64(size)
		centre, reach := start+(float64(i)+0.5)*scale, max(1, scale)
		w, sum := map[int]float64{}, 0.0
		for j := int(centre-reach) - 3; j <= int(centre+reach)+3; j++ {
			w[j] = max(0, 1-math.Abs(float64(j)+0.5-centre)/reach)
			sum += w[j]
		}
		for j := range w {
			w[j] /= sum
		}
		return w
	}
	for i := range size {
		down := weights(c.Row, c.Height, i)
		for j := range size {
			across := weights(c.Column, c.Width, j)
			for y, wy := range down {
				for x, wx := range across {
					if y >= 0 && y < s.Rows && x >= 0 && x < s.Columns {
						tensor[i*size+j] += wy * wx * min(1, max(0, (at(y, x)-c.Low)/(c.High-c.Low)))
					}
				}
			}
		}
	}
	return tensor, c
}

// floodLargest is the largest 4-connected region, found by flooding.
func floodLargest(cells []float64, columns int, threshold float64) []int {
	seen := make([]bool, len(cells))
	var best []int
	for i := range cells {
		var region []int
		for queue := []int{i}; len(queue) > 0; {
			j := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			if seen[j] || cells[j] <= threshold {
				continue
			}
			seen[j] = true
			region = append(region, j)
			if j%columns > 0 {
				queue = append(queue, j-1)
			}
			if j%columns < columns-1 {
				queue = append(queue, j+1)
			}
			if j >= columns {
				queue = append(queue, j-columns)
			}
			if j+columns < len(cells) {
				queue = append(queue, j+columns)
			}
		}
		if len(region) > len(best) {
			best = region
		}
	}
	return best
}

func TestPrepareFollowsTheRecipe(t *testing.T) {
	noise := neurotriage.Slice{Rows: 61, Columns: 97, Spacing: [2]float64{1, 1}}
	random := rand.New(rand.NewPCG(5, 5))
	for range noise.Rows * noise.Columns {
		noise.Pixels = append(noise.Pixels, random.Float32()*1000-300)
	}
	corner := phantom(40, 40, [2]float64{2, 2}, 1)
	for i := range corner.Pixels { // the head in one corner: most of the square is outside
		if i/40 > 9 || i%40 > 12 {
			corner.Pixels[i] = 0
		} else {
			corner.Pixels[i] = float32(500 + i%7)
		}
	}
	for name, s := range map[string]neurotriage.Slice{
		"shrunk":            phantom(384, 274, [2]float64{0.7, 0.7}, 1),
		"wide":              phantom(200, 512, [2]float64{1, 0.5}, 2),
		"not isotropic":     phantom(150, 300, [2]float64{1.6, 0.8}, 3),
		"enlarged":          phantom(64, 50, [2]float64{4, 4}, 4),
		"spacing not known": phantom(256, 256, [2]float64{}, 5),
		"one block a pixel": phantom(95, 96, [2]float64{2, 2}, 6),
		"noise":             noise,
		"in a corner":       corner,
		"one row":           phantom(1, 300, [2]float64{1, 1}, 7),
		"one column":        phantom(300, 1, [2]float64{1, 1}, 8),
		"two by two":        {Rows: 2, Columns: 2, Spacing: [2]float64{1, 1}, Pixels: []float32{0, 9, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 64
			got := make([]float32, size*size)
			got[7] = 99 // what stood there before is of no account
			crop, err := Prepare(recipe(), size, s, got)
			if err != nil {
				t.Fatal(err)
			}
			want, wantCrop := reference(recipe(), size, s)
			if !near(crop, wantCrop) {
				t.Errorf("crop %+v, want %+v", crop, wantCrop)
			}
			for i := range want {
				if math.Abs(float64(got[i])-want[i]) > 1e-4 {
					t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
				}
			}
		})
	}
}

func near(a, b Crop) bool {
	x := []float64{a.Low, a.High, a.Row, a.Column, a.Height, a.Width, a.HeadAreaMM2}
	y := []float64{b.Low, b.High, b.Row, b.Column, b.Height, b.Width, b.HeadAreaMM2}
	return slices.EqualFunc(x, y, func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) })
}

func TestFlatSliceIsBlack(t *testing.T) {
	flat := neurotriage.Slice{Rows: 5, Columns: 7, Spacing: [2]float64{1, 1}, Pixels: slices.Repeat([]float32{-12}, 35)}
	tensor := slices.Repeat([]float32{1}, 16*16)
	crop, err := Prepare(recipe(), 16, flat, tensor)
	if err != nil || !crop.Flat() || crop.HeadAreaMM2 != 0 || slices.Max(tensor) != 0 {
		t.Errorf("crop %+v, err %v, largest %v", crop, err, slices.Max(tensor))
	}
}

func TestPrepareRefuses(t *testing.T) {
	good := phantom(30, 20, [2]float64{1, 1}, 1)
	broken := func(change func(*neurotriage.Slice)) neurotriage.Slice {
		s := good
		s.Pixels = slices.Clone(good.Pixels)
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		slice  neurotriage.Slice
		tensor int
		want   string
	}{
		"no pixels":     {broken(func(s *neurotriage.Slice) { s.Pixels = nil }), 256, "0 pixels do not make 30 rows of 20"},
		"no rows":       {broken(func(s *neurotriage.Slice) { s.Rows, s.Pixels = 0, nil }), 256, "do not make 0 rows"},
		"a pixel short": {broken(func(s *neurotriage.Slice) { s.Pixels = s.Pixels[1:] }), 256, "599 pixels"},
		"NaN":           {broken(func(s *neurotriage.Slice) { s.Pixels[25*20] = float32(math.NaN()) }), 256, "a pixel in rows 25 to 25 is not a finite number"},
		"infinite":      {broken(func(s *neurotriage.Slice) { s.Pixels[0] = float32(math.Inf(1)) }), 256, "not a finite number"},
		"short tensor":  {good, 255, "tensor holds 255 values, 256 are needed"},
	} {
		_, err := Prepare(recipe(), 16, test.slice, make([]float32, test.tensor))
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "1.2.3") {
			t.Errorf("%s: %v does not say %q of slice 1.2.3", name, err, test.want)
		}
	}
}

func TestPreparerIsReusedWithoutAllocating(t *testing.T) {
	p := NewPreparer(recipe(), 160)
	large, small := phantom(384, 274, [2]float64{0.7, 0.7}, 1), phantom(64, 64, [2]float64{3, 3}, 2)
	tensor, fresh := make([]float32, 160*160), make([]float32, 160*160)
	if n := testing.AllocsPerRun(20, func() {
		for _, s := range []neurotriage.Slice{large, small, large} {
			if _, err := p.Prepare(s, tensor); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := Prepare(recipe(), 160, large, fresh); err != nil || !slices.Equal(fresh, tensor) {
		t.Errorf("a used preparer and a new one differ (%v)", err)
	}
}

func TestOrderStatistics(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	var r ranks
	for name, make := range map[string]func(i int) float64{
		"random": func(int) float64 { return random.Float64() }, "equal": func(int) float64 { return 3 },
		"rising": func(i int) float64 { return float64(i) }, "falling": func(i int) float64 { return float64(-i) },
		"mostly air":  func(i int) float64 { return float64(max(0, i%100-90)) },
		"far apart":   func(i int) float64 { return float64(i%2) * math.MaxFloat64 },
		"very near":   func(i int) float64 { return float64(i%7) * math.SmallestNonzeroFloat64 },
		"one far off": func(i int) float64 { return float64(i%5) + 1e12*float64(max(0, i-98)) },
		"organ pipes": func(i int) float64 { return float64(min(i, 6000-i)) },
	} {
		for _, n := range []int{1, 2, 15, 16, 17, 100, 6624} {
			var values []float64
			for i := range n {
				values = append(values, make(i))
			}
			sorted := slices.Sorted(slices.Values(values))
			for _, q := range [][2]float64{{0, 1}, {0.005, 0.995}, {0.25, 0.5}, {0.5, 0.50001}} {
				low, high := r.orderStatistics(values, q[0], q[1])
				last := float64(n - 1)
				if low != sorted[int(q[0]*last)] || high != sorted[int(q[1]*last)] {
					t.Errorf("%s, %d values, %v: %v and %v", name, n, q, low, high)
				}
			}
		}
	}
}

func TestLargestComponent(t *testing.T) {
	for name, test := range map[string]struct {
		rows []string
		want box
	}{
		"none":                     {[]string{"...", "..."}, box{}},
		"one cell":                 {[]string{"...", ".#."}, box{1, 1, 2, 2, 1}},
		"corners do not touch":     {[]string{"#..", ".#.", ".#."}, box{1, 1, 3, 2, 2}},
		"of equals the first":      {[]string{"...##", "##...", "....."}, box{0, 3, 1, 5, 2}},
		"joined from below":        {[]string{"#.#.#", "#.#.#", "#####"}, box{0, 0, 3, 5, 11}},
		"joined late, both ways":   {[]string{"..#..#", "#.#..#", "#.####", "###..."}, box{0, 0, 4, 6, 13}},
		"spiral":                   {[]string{"#####", "#...#", "#.#.#", "#.###"}, box{0, 0, 4, 5, 14}},
		"first cell, not leftmost": {[]string{"..##", "....", "##.."}, box{0, 2, 1, 4, 2}},
	} {
		var cells []float64
		for _, row := range test.rows {
			for _, c := range row {
				cells = append(cells, map[rune]float64{'.': 0, '#': 2}[c])
			}
		}
		var c components
		for range 2 { // the second time over the scratch of the first
			if got := c.largest(cells, len(test.rows[0]), 1); got != test.want {
				t.Errorf("%s: %+v, want %+v", name, got, test.want)
			}
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	for _, test := range []struct {
		name          string
		rows, columns int
	}{{"384x274", 384, 274}, {"256x256", 256, 256}, {"512x512", 512, 512}} {
		b.Run(test.name, func(b *testing.B) {
			s := phantom(test.rows, test.columns, [2]float64{0.7, 0.7}, 1)
			p, tensor := NewPreparer(recipe(), 160), make([]float32, 160*160)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Prepare(s, tensor); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
