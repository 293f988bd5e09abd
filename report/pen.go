package report

import (
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

var (
	ink    = color.RGBA{R: 235, G: 235, B: 235, A: 255}
	pale   = color.RGBA{R: 165, G: 165, B: 165, A: 255}
	amber  = color.RGBA{R: 255, G: 191, B: 64, A: 255}
	ground = color.RGBA{R: 12, G: 12, B: 14, A: 255}
	black  = color.RGBA{A: 255}
)

// pen writes on one canvas.
type pen struct {
	canvas        *image.RGBA
	regular, bold *sfnt.Font
}

func newPen(canvas *image.RGBA) (pen, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return pen{}, fmt.Errorf("parse the regular font: %w", err)
	}
	bold, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return pen{}, fmt.Errorf("parse the bold font: %w", err)
	}
	return pen{canvas: canvas, regular: regular, bold: bold}, nil
}

// style is how a text looks.
type style struct {
	bold   bool
	size   float64 // pixels of the em
	colour color.Color
	halo   bool // a dark rim, for text on the picture itself
}

// smallestText is the least em in pixels that text is shrunk to; what is too
// long even then runs out of the picture.
const smallestText = 9

// write puts the text's base line at x, y, shrinking it until it is no wider
// than room (0 is any width), and gives the width that it took.
func (p pen) write(text string, x, y int, look style, room int) (int, error) {
	face, width, err := p.fit(text, look, room)
	if err != nil {
		return 0, err
	}
	defer face.Close()
	if look.halo {
		for _, shift := range [...]image.Point{{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {1, 1}, {-1, -1}, {1, -1}, {-1, 1}} {
			p.stroke(face, text, x+shift.X, y+shift.Y, black)
		}
	}
	p.stroke(face, text, x, y, look.colour)
	return width, nil
}

func (p pen) stroke(face font.Face, text string, x, y int, colour color.Color) {
	drawer := font.Drawer{Dst: p.canvas, Src: image.NewUniform(colour), Face: face, Dot: fixed.P(x, y)}
	drawer.DrawString(text)
}

func (p pen) fit(text string, look style, room int) (font.Face, int, error) {
	source := p.regular
	if look.bold {
		source = p.bold
	}
	for size := look.size; ; size-- {
		face, err := opentype.NewFace(source, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			return nil, 0, fmt.Errorf("set a font of %g pixels: %w", size, err)
		}
		width := font.MeasureString(face, text).Ceil()
		if room <= 0 || width <= room || size <= smallestText {
			return face, width, nil
		}
		_ = face.Close() // it holds memory only and never fails
	}
}

func (p pen) fill(area image.Rectangle, colour color.Color) {
	draw.Draw(p.canvas, area, image.NewUniform(colour), image.Point{}, draw.Src)
}
