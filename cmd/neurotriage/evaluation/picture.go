package evaluation

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"neurotriage"
)

// ErrNoPicture marks a file that is neither PNG, JPEG nor DICOM.
var ErrNoPicture = errors.New("neither PNG, JPEG nor DICOM")

// MaxPixels bounds a picture before its pixels are decoded.
const MaxPixels = 64 << 20

// decoders holds what is known of each format: its first bytes and its reader.
var decoders = []struct {
	magic  string
	config func(*bytes.Reader) (image.Config, error)
	decode func(*bytes.Reader) (image.Image, error)
}{
	{"\x89PNG\r\n\x1a\n",
		func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) },
		func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) }},
	{"\xff\xd8\xff",
		func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) },
		func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) }},
}

// decodePicture reads a PNG or JPEG as one slice of 1 mm pixels, the spacing
// that the recipe prescribes for pictures. Anything else is ErrNoPicture.
func decodePicture(data []byte) (neurotriage.Slice, error) {
	for _, format := range decoders {
		if !bytes.HasPrefix(data, []byte(format.magic)) {
			continue
		}
		config, err := format.config(bytes.NewReader(data))
		if err != nil {
			return neurotriage.Slice{}, fmt.Errorf("read the picture's header: %w", err)
		}
		if config.Width <= 0 || config.Height <= 0 || config.Width > MaxPixels/config.Height {
			return neurotriage.Slice{}, fmt.Errorf("picture of %d by %d: at most %d pixels are read", config.Width, config.Height, MaxPixels)
		}
		picture, err := format.decode(bytes.NewReader(data))
		if err != nil {
			return neurotriage.Slice{}, fmt.Errorf("read the picture: %w", err)
		}
		return grey(picture), nil
	}
	return neurotriage.Slice{}, ErrNoPicture
}

// grey takes 8 and 16 bit grey values as they are and turns colours to luma,
// (299 R + 587 G + 114 B + 500) / 1000 in whole numbers of 8 bit, as in training.
func grey(picture image.Image) neurotriage.Slice {
	bounds := picture.Bounds()
	slice := neurotriage.Slice{
		Frame: 1, Rows: bounds.Dy(), Columns: bounds.Dx(), Spacing: [2]float64{1, 1},
		Pixels: make([]float32, 0, bounds.Dx()*bounds.Dy()),
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			slice.Pixels = append(slice.Pixels, value(picture, x, y))
		}
	}
	return slice
}

func value(picture image.Image, x, y int) float32 {
	switch typed := picture.(type) {
	case *image.Gray:
		return float32(typed.GrayAt(x, y).Y)
	case *image.Gray16:
		return float32(typed.Gray16At(x, y).Y)
	}
	c := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA) // transparency hides no value
	return float32((299*uint32(c.R) + 587*uint32(c.G) + 114*uint32(c.B) + 500) / 1000)
}
