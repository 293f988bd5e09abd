package report

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"testing"
)

func TestPNGIsReadBackAsWritten(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for _, size := range []image.Point{{1, 1}, {7, 3}, {640, 480}} {
		picture := image.NewRGBA(image.Rectangle{Max: size})
		for i := range picture.Pix {
			picture.Pix[i] = uint8(draw.UintN(256))
			if i%4 == 3 {
				picture.Pix[i] = 255 // opaque
			}
		}
		var out bytes.Buffer
		if err := WritePNG(&out, picture); err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(&out)
		if err != nil {
			t.Fatalf("%v: %v", size, err)
		}
		if got.Bounds() != picture.Bounds() {
			t.Fatalf("%v is read as %v", size, got.Bounds())
		}
		if read, ok := got.(*image.RGBA); !ok || !bytes.Equal(read.Pix, picture.Pix) {
			t.Errorf("%v: the pixels (of a %T) differ", size, got)
		}
	}
}
