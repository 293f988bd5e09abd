package report

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"neurotriage"
)

// caption is everything on a key image that is not the picture.
type caption struct {
	pen
	reading neurotriage.Reading
	view    neurotriage.KeyImage
	series  neurotriage.Series
}

// edges writes the patient's sides (PS3.3 C.7.6.1.1.1: A P R L H F) at the left
// and the upper edge of a slice in canonical orientation.
func (c caption) edges(at image.Rectangle) error {
	sides := map[neurotriage.Plane][2]string{
		neurotriage.Axial:    {"R", "A"},
		neurotriage.Coronal:  {"R", "H"},
		neurotriage.Sagittal: {"A", "H"},
	}
	side, known := sides[c.series.Plane]
	if !known {
		return nil
	}
	look := style{bold: true, size: 20, colour: ink, halo: true}
	if _, err := c.write(side[0], at.Min.X+6, (at.Min.Y+at.Max.Y)/2+7, look, 0); err != nil {
		return err
	}
	_, err := c.write(side[1], (at.Min.X+at.Max.X)/2-7, at.Min.Y+22, look, 0)
	return err
}

// ruler draws a bar of a round length in the lower left corner.
func (c caption) ruler(at image.Rectangle, pixelsPerMM float64) error {
	if pixelsPerMM <= 0 {
		return nil
	}
	for _, length := range [...]int{50, 20, 10, 5, 2, 1} {
		width := int(float64(length) * pixelsPerMM)
		if width > at.Dx()/3 {
			continue
		}
		bar := image.Rect(0, 0, width, 3).Add(image.Pt(at.Min.X+8, at.Max.Y-12))
		c.fill(bar.Inset(-1), black)
		c.fill(bar, ink)
		_, err := c.write(fmt.Sprintf("%d mm", length), bar.Min.X, bar.Min.Y-5, style{size: 13, colour: ink, halo: true}, 0)
		return err
	}
	return nil
}

// legend draws the colour bar of the activation map.
func (c caption) legend(at image.Point, height int, shown bool) error {
	small := style{size: 13, colour: pale}
	if !shown {
		_, err := c.write("no map", at.X, at.Y+14, small, legendWidth-gap)
		return err
	}
	const barWidth, top, below = 18, 42, 26
	length := max(height-top-below, 32)
	for y := range length {
		c.fill(image.Rect(at.X, at.Y+top+y, at.X+barWidth, at.Y+top+y+1), heat(1-float64(y)/float64(length-1)))
	}
	beside := at.X + barWidth + 6
	return firstError(
		func() error { _, err := c.write("evidence for", at.X, at.Y+12, small, legendWidth-4); return err },
		func() error {
			_, err := c.write(c.view.Label, at.X, at.Y+29, style{bold: true, size: 14, colour: ink}, legendWidth-4)
			return err
		},
		func() error { _, err := c.write("most", beside, at.Y+top+11, small, 0); return err },
		func() error { _, err := c.write("none", beside, at.Y+top+length, small, 0); return err },
		func() error {
			_, err := c.write("this slice", at.X, at.Y+top+length+16, small, legendWidth-4)
			return err
		},
	)
}

// foot writes what the picture shows, of which model, and what it is not for.
func (c caption) foot(at image.Rectangle) error {
	grey := style{size: 15, colour: pale}
	y := at.Min.Y
	width, err := c.write(c.headline(), at.Min.X, y+22, style{bold: true, size: 24, colour: ink}, at.Dx()/2)
	if err != nil {
		return err
	}
	return firstError(
		func() error {
			_, err := c.write(spread(c.reading.Labels, c.view.Probabilities), at.Min.X+width+28, y+22, grey, at.Dx()-width-28)
			return err
		},
		func() error { _, err := c.write(c.place(), at.Min.X, y+48, grey, at.Dx()); return err },
		func() error { _, err := c.write(c.maker(), at.Min.X, y+70, grey, at.Dx()); return err },
		func() error {
			_, err := c.write(Notice, at.Min.X, y+102, style{bold: true, size: 20, colour: amber}, at.Dx())
			return err
		},
	)
}

// headline says the label whose evidence is shown with its probability in this
// slice. It is not the finding, which stands below.
func (c caption) headline() string {
	i := slices.Index(c.reading.Labels, c.view.Label)
	if i < 0 || i >= len(c.view.Probabilities) {
		return c.view.Label
	}
	return fmt.Sprintf("p(%s) = %.3f", c.view.Label, c.view.Probabilities[i])
}

// place says which slice this is.
func (c caption) place() string {
	slice := c.view.Slice
	parts := []string{}
	if count := len(c.series.Slices); count > 0 {
		parts = append(parts, fmt.Sprintf("slice %d of %d", slice.Index+1, count))
		parts = append(parts, fmt.Sprintf("%s %s", c.series.Plane, c.series.Sequence))
	}
	parts = append(parts, fmt.Sprintf("%+.1f mm", slice.Position), "instance "+slice.SOPInstanceUID)
	if slice.Frame > 1 {
		parts = append(parts, fmt.Sprintf("frame %d", slice.Frame))
	}
	return strings.Join(parts, "   ")
}

// digestDigits is how much of the model's digest a picture shows.
const digestDigits = len("sha256:") + 12

// maker says what the study came to, by which model, and on what.
func (c caption) maker() string {
	model := c.reading.Finding.Model
	digest := model.Digest
	if len(digest) > digestDigits {
		digest = digest[:digestDigits]
	}
	verdict := strings.ReplaceAll(string(c.reading.Finding.Disposition), "_", " ")
	if reason := c.reading.Finding.Reason; reason != "" {
		verdict += " (" + strings.ReplaceAll(string(reason), "_", " ") + ")"
	}
	parts := []string{"finding: " + verdict, "model " + model.Name, model.Version, digest, model.Runtime}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "   ")
}
