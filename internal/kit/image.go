package kit

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // the slices of public collections come as JPEG
	_ "image/png"
	"os"
)

// Grey makes a slice whose stored values a function gives.
func Grey(rows, columns int, value func(row, column int) int) Image {
	m := Image{Rows: rows, Columns: columns, Stored: make([]int, rows*columns)}
	for row := range rows {
		for column := range columns {
			m.Stored[row*columns+column] = value(row, column)
		}
	}
	return m
}

// Head makes a slice that shows a bright disc on black: what a head looks like
// from far away. depth, from 0 to 1, is the slice's place in the head.
func Head(rows, columns int, depth float64) Image {
	radius := 0.2 + 0.8*depth*(1-depth)
	return Grey(rows, columns, func(row, column int) int {
		y, x := 2*float64(row)/float64(rows)-1, 2*float64(column)/float64(columns)-1
		if x*x+y*y > radius {
			return (row*7 + column*13) % 11
		}
		return 400 + int(300*depth) + (row*31+column*17)%64
	})
}

// Heads makes a stack of n slices.
func Heads(n, rows, columns int) []Image {
	images := make([]Image, n)
	for i := range images {
		images[i] = Head(rows, columns, (float64(i)+0.5)/float64(n))
	}
	return images
}

// Picture reads a PNG or JPEG as an 8-bit slice.
func Picture(path string) (Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return Image{}, fmt.Errorf("read picture: %w", err)
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		return Image{}, fmt.Errorf("read picture %s: %w", path, err)
	}
	b := picture.Bounds()
	slice := Grey(b.Dy(), b.Dx(), func(row, column int) int {
		return int(color.GrayModel.Convert(picture.At(b.Min.X+column, b.Min.Y+row)).(color.Gray).Y)
	})
	slice.Bits = 8
	return slice, nil
}

// elements lists the image pixel module (PS3.3 C.7.6.3).
func (m Image) elements(syntax string) []Element {
	m.Bits = cmp.Or(m.Bits, 16)
	if m.Allocated == 0 {
		m.Allocated = 16
		if m.Bits <= 8 {
			m.Allocated = 8
		}
	}
	representation := uint16(0)
	if m.Signed {
		representation = 1
	}
	elements := []Element{
		{0x00280002, "US", []uint16{1}}, {0x00280004, "CS", cmp.Or(m.Photometric, "MONOCHROME2")},
		{0x00280010, "US", []uint16{uint16(m.Rows)}}, {0x00280011, "US", []uint16{uint16(m.Columns)}},
		{0x00280100, "US", []uint16{uint16(m.Allocated)}}, {0x00280101, "US", []uint16{uint16(m.Bits)}},
		{0x00280102, "US", []uint16{uint16(m.Bits - 1)}}, {0x00280103, "US", []uint16{representation}},
	}
	if m.Slope != 0 {
		elements = append(elements, Element{0x00281052, "DS", fmt.Sprintf("%.10g", m.Intercept)},
			Element{0x00281053, "DS", fmt.Sprintf("%.10g", m.Slope)}, Element{0x00281054, "LO", "US"})
	}
	return append(elements, m.pixelData(syntax))
}

// pixelData writes stored values in the transfer syntax's own way.
func (m Image) pixelData(syntax string) Element {
	mask := 1<<m.Bits - 1
	words := make([]uint32, len(m.Stored))
	for i, v := range m.Stored {
		words[i] = uint32(v & mask)
	}
	if syntax == RLE {
		return Element{0x7FE00010, "OB", Fragments{encodeRLE(words, m.Allocated, m.Columns)}}
	}
	e := encoder{order: orderOf(syntax)}
	for _, word := range words {
		switch m.Allocated {
		case 8:
			e.out = append(e.out, byte(word))
		case 16:
			e.out = e.order.AppendUint16(e.out, uint16(word))
		default:
			e.out = e.order.AppendUint32(e.out, word)
		}
	}
	if len(e.out)%2 == 1 {
		e.out = append(e.out, 0)
	}
	vr := "OW"
	if m.Allocated == 8 && syntax != ImplicitLittle {
		vr = "OB"
	}
	return Element{0x7FE00010, vr, e.out}
}
