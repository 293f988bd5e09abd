package dicomio_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// readImage writes one image in a transfer syntax and reads it back.
func readImage(t *testing.T, syntax string, image kit.Image) neurotriage.Slice {
	t.Helper()
	file := kit.Study{Series: []kit.Series{{Syntax: syntax, Images: []kit.Image{image}}}}.Files()[0]
	slice, err := dicomio.ReadSlice(bytes.NewReader(file.Data), dicomio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return slice
}

// Every way of storing gives the same values back, in modality units.
func TestStoredValues(t *testing.T) {
	const rows, columns = 5, 7 // odd, so that 8-bit frames have an odd length
	formats := []struct {
		name   string
		bits   int
		signed bool
	}{
		{"8 bit", 8, false}, {"8 bit signed", 8, true}, {"7 of 8 bit", 7, false}, {"12 of 16 bit", 12, false},
		{"12 of 16 bit signed", 12, true}, {"16 bit", 16, false}, {"16 bit signed", 16, true}, {"32 bit signed", 32, true}, {"20 of 32 bit", 20, false},
	}
	meanings := []struct {
		name             string
		photometric      string
		slope, intercept float64
	}{
		{"as stored", "MONOCHROME2", 0, 0}, {"rescaled", "MONOCHROME2", 2.5, -100}, {"falling", "MONOCHROME2", -1, 10},
		{"inverted", "MONOCHROME1", 0, 0}, {"inverted and rescaled", "MONOCHROME1", 0.5, 3},
	}
	for _, syntax := range []string{kit.ImplicitLittle, kit.ExplicitLittle, kit.ExplicitBig, kit.Deflated, kit.RLE} {
		for _, f := range formats {
			for _, m := range meanings {
				low, high := 0, 1<<f.bits-1
				if f.signed {
					low, high = -(1 << (f.bits - 1)), 1<<(f.bits-1)-1
				}
				image := kit.Grey(rows, columns, func(row, column int) int {
					return low + int(float64(high-low)*float64(row*columns+column)/(rows*columns-1))
				})
				image.Bits, image.Signed, image.Photometric, image.Slope, image.Intercept = f.bits, f.signed, m.photometric, m.slope, m.intercept
				if f.bits > 16 {
					image.Allocated = 32
				}
				got := readImage(t, syntax, image)
				for i, stored := range image.Stored {
					if m.photometric == "MONOCHROME1" {
						stored = low + high - stored
					}
					want := float64(stored)
					if m.slope != 0 {
						want = want*m.slope + m.intercept
					}
					if got.Pixels[i] != float32(want) {
						t.Fatalf("%s, %s, %s: pixel %d is %g, want %g", syntax, f.name, m.name, i, got.Pixels[i], want)
					}
				}
			}
		}
	}
}

// Bits above HighBit are overlays of old and no part of the value.
func TestStrayBitsAreMasked(t *testing.T) {
	image := kit.Grey(2, 2, func(row, column int) int { return 0xF000 | 2*row + column })
	file := kit.Study{Series: []kit.Series{{Images: []kit.Image{image}}}}.Files()[0]
	for _, c := range []struct {
		bitsStored, highBit uint16
		signed              uint16
		want                []float32
	}{
		{12, 11, 0, []float32{0, 1, 2, 3}},
		{12, 11, 1, []float32{0, 1, 2, 3}},
		{4, 15, 0, []float32{15, 15, 15, 15}},
		{4, 15, 1, []float32{-1, -1, -1, -1}},
		{16, 15, 1, []float32{-4096, -4095, -4094, -4093}},
	} {
		data := kit.EncodeFile(kit.ExplicitLittle, file.With(
			kit.Element{Tag: 0x00280101, VR: "US", Value: []uint16{c.bitsStored}},
			kit.Element{Tag: 0x00280102, VR: "US", Value: []uint16{c.highBit}},
			kit.Element{Tag: 0x00280103, VR: "US", Value: []uint16{c.signed}}))
		slice, err := dicomio.ReadSlice(bytes.NewReader(data), dicomio.Limits{})
		if err != nil || !slices.Equal(slice.Pixels, c.want) {
			t.Errorf("%+v: got %v, %v", c, slice.Pixels, err)
		}
	}
}

// Eight-bit pixels in big endian words travel with their bytes swapped.
func TestBigEndianWordsOfBytes(t *testing.T) {
	file := kit.Study{Series: []kit.Series{{Syntax: kit.ExplicitBig, Images: []kit.Image{{Rows: 1, Columns: 3, Bits: 8, Stored: []int{1, 2, 3}}}}}}.Files()[0]
	data := kit.EncodeFile(kit.ExplicitBig, file.With(kit.Element{Tag: pixelData, VR: "OW", Value: []byte{2, 1, 0, 3}}))
	slice, err := dicomio.ReadSlice(bytes.NewReader(data), dicomio.Limits{})
	if err != nil || !slices.Equal(slice.Pixels, []float32{1, 2, 3}) {
		t.Errorf("got %v, %v", slice.Pixels, err)
	}
}

// Padding pixels take the smallest value of a real one.
func TestPadding(t *testing.T) {
	value := func(v int16) kit.Element { return kit.Element{Tag: 0x00280120, VR: "SS", Value: []int16{v}} }
	limit := func(v int16) kit.Element { return kit.Element{Tag: 0x00280121, VR: "SS", Value: []int16{v}} }
	cases := []struct {
		name   string
		syntax string
		stored []int
		extra  []kit.Element
		want   []float32
	}{
		{"none announced", kit.ExplicitLittle, []int{-2000, 5, 9}, nil, []float32{-2000, 5, 9}},
		{"one value", kit.ExplicitLittle, []int{-2000, 5, 9}, []kit.Element{value(-2000)}, []float32{5, 5, 9}},
		{"one value, in a file that does not say its sign", kit.ImplicitLittle, []int{-2000, 5, 9}, []kit.Element{value(-2000)}, []float32{5, 5, 9}},
		{"a range", kit.ExplicitLittle, []int{-2000, -1990, 9}, []kit.Element{value(-2000), limit(-1980)}, []float32{9, 9, 9}},
		{"a range upside down", kit.ExplicitLittle, []int{-2000, -1990, 9}, []kit.Element{value(-1980), limit(-2000)}, []float32{9, 9, 9}},
		{"bright padding", kit.ExplicitLittle, []int{3000, 5, 9}, []kit.Element{value(3000)}, []float32{5, 5, 9}},
		{"nothing but padding", kit.ExplicitLittle, []int{7, 7, 7}, []kit.Element{value(7)}, []float32{7, 7, 7}},
	}
	for _, c := range cases {
		got := readImage(t, c.syntax, kit.Image{Rows: 1, Columns: 3, Signed: true, Stored: c.stored, Extra: c.extra})
		if !slices.Equal(got.Pixels, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got.Pixels, c.want)
		}
	}
}

// Real files hold one frame in several fragments, and in one with padding.
func TestFragments(t *testing.T) {
	file := kit.Study{Series: []kit.Series{{Syntax: kit.RLE, Images: kit.Heads(1, 40, 30)}}}.Files()[0]
	want, err := dicomio.ReadSlice(bytes.NewReader(file.Data), dicomio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	frame := file.Element(pixelData).Value.(kit.Fragments)[0]
	cases := map[string]kit.Fragments{
		"three":  {frame[:100], frame[100:200], frame[200:]},
		"padded": {append(bytes.Clone(frame), make([]byte, 64)...)},
	}
	for name, fragments := range cases {
		data := kit.EncodeFile(kit.RLE, file.With(kit.Element{Tag: pixelData, VR: "OB", Value: fragments}))
		got, err := dicomio.ReadSlice(bytes.NewReader(data), dicomio.Limits{})
		if err != nil || !slices.Equal(got.Pixels, want.Pixels) {
			t.Errorf("%s: %v, pixels equal: %v", name, err, slices.Equal(got.Pixels, want.Pixels))
		}
	}
}

// A damaged RLE frame is refused, and never read beyond its bytes.
func TestDamagedRLE(t *testing.T) {
	file := kit.Study{Series: []kit.Series{{Syntax: kit.RLE, Images: kit.Heads(1, 8, 8)}}}.Files()[0]
	frame := file.Element(pixelData).Value.(kit.Fragments)[0]
	damage := func(change func(frame []byte) []byte) []byte { return change(bytes.Clone(frame)) }
	cases := map[string][]byte{
		"no header":               frame[:10],
		"no segments":             damage(func(f []byte) []byte { f[0] = 0; return f }),
		"too many segments":       damage(func(f []byte) []byte { f[0] = 15; return f }),
		"segment before the data": damage(func(f []byte) []byte { f[4] = 1; return f }),
		"segment behind the data": damage(func(f []byte) []byte { f[9] = 0xFF; return f }),
		"segments cross":          damage(func(f []byte) []byte { f[4], f[8] = f[8], f[4]; return f }),
		"ends early":              frame[:len(frame)-20],
		"empty":                   {},
	}
	for name, damaged := range cases {
		data := kit.EncodeFile(kit.RLE, file.With(kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{damaged}}))
		if _, err := dicomio.ReadSlice(bytes.NewReader(data), dicomio.Limits{}); reason(err) != neurotriage.CorruptDICOM {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// world is a volume without symmetry: its value names the place in the patient.
func world(x, y, z float64) int { return int(math.Round(1000 + 3*x + 50*y + 700*z)) }

// However a slice is stored, its canonical pixels show the patient the same way.
func TestCanonicalOrientation(t *testing.T) {
	axis := func(i int, sign float64) (v [3]float64) { v[i] = sign; return v }
	planes := []struct {
		plane       neurotriage.Plane
		right, down [3]float64 // canonical
	}{
		{neurotriage.Axial, axis(0, 1), axis(1, 1)},
		{neurotriage.Coronal, axis(0, 1), axis(2, -1)},
		{neurotriage.Sagittal, axis(1, 1), axis(2, -1)},
	}
	const rows, columns = 4, 6 // canonical
	spacing := [2]float64{2, 3}
	for _, p := range planes {
		want := make([]float32, rows*columns)
		for row := range rows {
			for column := range columns {
				x := along(p.right, float64(column)*spacing[1], p.down, float64(row)*spacing[0])
				want[row*columns+column] = float32(world(x[0], x[1], x[2]))
			}
		}
		for turn := range 8 {
			transpose, flipRows, flipColumns := turn&1 != 0, turn&2 != 0, turn&4 != 0
			stack, image := stored(p.right, p.down, rows, columns, spacing, transpose, flipRows, flipColumns)
			name := fmt.Sprintf("%s, transposed %v, flipped %v %v", p.plane, transpose, flipRows, flipColumns)
			dir := t.TempDir()
			if err := (kit.Study{Series: []kit.Series{{Stack: stack, Images: []kit.Image{image}}}}).WriteDir(dir); err != nil {
				t.Fatal(err)
			}
			study := open(t, dicomio.Options{}, dir)
			read, _ := slicesOf(t, study)
			if len(read) != 1 || study.Study().Series[0].Plane != p.plane {
				t.Fatalf("%s: %d slices, plane %s", name, len(read), study.Study().Series[0].Plane)
			}
			got := read[0]
			if got.Rows != rows || got.Columns != columns || got.Spacing != spacing || !slices.Equal(got.Pixels, want) {
				t.Errorf("%s: %d × %d, spacing %v, turn %+v\ngot  %v\nwant %v", name, got.Rows, got.Columns, got.Spacing, got.Turn, got.Pixels, want)
			}
			for row := range rows {
				for column := range columns {
					r, c := got.Turn.Stored(row, column, rows, columns)
					if v := image.Stored[r*image.Columns+c]; float32(v) != got.Pixels[row*columns+column] {
						t.Fatalf("%s: Turn.Stored(%d, %d) leads to %d, not to %g", name, row, column, v, got.Pixels[row*columns+column])
					}
				}
			}
		}
	}
}

func along(right [3]float64, x float64, down [3]float64, y float64) (at [3]float64) {
	for i := range at {
		at[i] = right[i]*x + down[i]*y
	}
	return at
}

// stored lays the canonical slice out in another way that shows the same patient.
func stored(right, down [3]float64, rows, columns int, spacing [2]float64, transpose, flipRows, flipColumns bool) (kit.Stack, kit.Image) {
	var origin [3]float64
	turn := func(direction [3]float64, n int, mm float64) [3]float64 {
		for i := range direction {
			origin[i] += direction[i] * float64(n-1) * mm
			direction[i] = 0 - direction[i]
		}
		return direction
	}
	if flipColumns {
		right = turn(right, columns, spacing[1])
	}
	if flipRows {
		down = turn(down, rows, spacing[0])
	}
	if transpose {
		right, down, rows, columns, spacing = down, right, columns, rows, [2]float64{spacing[1], spacing[0]}
	}
	image := kit.Grey(rows, columns, func(row, column int) int {
		x := along(right, float64(column)*spacing[1], down, float64(row)*spacing[0])
		return world(origin[0]+x[0], origin[1]+x[1], origin[2]+x[2])
	})
	image.Signed = true
	return kit.Stack{Right: right, Down: down, Origin: origin, Spacing: spacing}, image
}
