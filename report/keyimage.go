package report

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
	"io"
	"strings"
	"sync"

	"neurotriage"
)

// Notice stands on the face of every picture.
const Notice = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"

// Distances of a key image, in pixels.
const (
	gap           = 12
	legendWidth   = 92
	captionHeight = 132
	leastPanel    = 320 // narrower slices are centred in this width, so that captions stay legible
)

// WriteKeyImage writes the reading's key image number key (from 0) as PNG: the
// slice by itself on the left, the same with its class activation map on the
// right. It reports keys that do not exist or whose pixels are not there.
func WriteKeyImage(w io.Writer, reading neurotriage.Reading, key int) error {
	picture, err := drawKeyImage(reading, key)
	if err != nil {
		return err
	}
	return WritePNG(w, picture)
}

// DrawKeyImages draws all key images, side by side on as many cores as there
// are. One that cannot be drawn is nil, and the error tells why.
func DrawKeyImages(reading neurotriage.Reading) ([]*image.RGBA, error) {
	pictures, errs := make([]*image.RGBA, len(reading.Keys)), make([]error, len(reading.Keys))
	var drawing sync.WaitGroup
	for key := range reading.Keys {
		drawing.Go(func() {
			// A panic in a goroutine would end the process.
			defer func() {
				if value := recover(); value != nil {
					pictures[key], errs[key] = nil, fmt.Errorf("draw key image %d: panic (%T)", key, value)
				}
			}()
			pictures[key], errs[key] = drawKeyImage(reading, key)
		})
	}
	drawing.Wait()
	for key, err := range errs {
		if err != nil {
			pictures[key] = nil
		}
	}
	return pictures, errors.Join(errs...)
}

func drawKeyImage(reading neurotriage.Reading, key int) (*image.RGBA, error) {
	if key < 0 || key >= len(reading.Keys) {
		return nil, fmt.Errorf("draw key image %d: the reading has %d", key, len(reading.Keys))
	}
	view := reading.Keys[key]
	slice := view.Slice
	if slice.Rows <= 0 || slice.Columns <= 0 || len(slice.Pixels) != slice.Rows*slice.Columns {
		return nil, fmt.Errorf("draw key image %d (instance %s): %d pixels do not make %d rows of %d",
			key, slice.SOPInstanceUID, len(slice.Pixels), slice.Rows, slice.Columns)
	}
	width, height, pixelsPerMM := panelSize(slice)
	panel := max(width, leastPanel)
	total := image.Rect(0, 0, 3*gap+2*panel+legendWidth, 2*gap+height+captionHeight)
	canvas := image.NewRGBA(total)
	p, err := newPen(canvas)
	if err != nil {
		return nil, err
	}
	p.fill(total, ground)
	left := image.Rect(0, 0, width, height).Add(image.Pt(gap+(panel-width)/2, gap))
	right := left.Add(image.Pt(panel+gap, 0))
	plain(canvas, left, windowed(slice, view.Window))
	draw.Draw(canvas, right, canvas, left.Min, draw.Src)
	shown := overlay(canvas, right, slice, view.Map)

	face := caption{pen: p, reading: reading, view: view, series: seriesOf(reading.Study, slice.SeriesInstanceUID)}
	err = firstError(
		func() error { return face.edges(left) },
		func() error { return face.ruler(left, pixelsPerMM) },
		func() error { return face.legend(image.Pt(2*gap+2*panel+gap, gap), height, shown) },
		func() error { return face.foot(image.Rect(gap, gap+height+gap, total.Max.X-gap, total.Max.Y)) },
	)
	return canvas, err
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// seriesOf finds the header of a series; a reading without it loses the
// orientation letters and the slice's number, nothing else.
func seriesOf(study neurotriage.Study, uid string) neurotriage.Series {
	for _, series := range study.Series {
		if series.UID == uid {
			return series
		}
	}
	return neurotriage.Series{Plane: neurotriage.UnknownPlane}
}

// spread lists every label with its probability, in the card's order.
func spread(labels []string, probabilities []float64) string {
	parts := make([]string, 0, len(labels))
	for i, label := range labels {
		if i < len(probabilities) {
			parts = append(parts, fmt.Sprintf("%s %.3f", label, probabilities[i]))
		}
	}
	return strings.Join(parts, "    ")
}
