package report

import (
	"image/color"
	"math"
)

// inferno holds every sixteenth step of matplotlib's colour map of that name
// (CC0), whose lightness rises evenly: twice the value looks twice as strong,
// in print and to colour-blind eyes too.
var inferno = [...][3]float64{
	{0, 0, 4}, {11, 7, 36}, {33, 12, 74}, {61, 9, 101}, {87, 16, 110}, {113, 25, 110},
	{138, 34, 106}, {163, 44, 97}, {188, 55, 84}, {210, 70, 68}, {228, 90, 49}, {241, 115, 29},
	{249, 142, 9}, {252, 172, 17}, {249, 203, 53}, {242, 234, 105}, {252, 255, 164},
}

// heat gives the colour of v, clamped to 0..1.
func heat(v float64) color.RGBA {
	at := unit(v) * float64(len(inferno)-1)
	i := min(int(at), len(inferno)-2)
	part := at - float64(i)
	mix := func(channel int) uint8 {
		return uint8(math.Round(inferno[i][channel]*(1-part) + inferno[i+1][channel]*part))
	}
	return color.RGBA{R: mix(0), G: mix(1), B: mix(2), A: 255}
}

// mostOpaque is the opacity of the strongest evidence; less evidence covers
// less, so that anatomy stays visible where there is none.
const mostOpaque = 0.75

// shades is the number of steps of evidence that a picture tells apart.
const shades = 256

// palette gives the veil of each step, from none to the most.
func palette() [shades]veil {
	var veils [shades]veil
	for i := range veils {
		value := float64(i) / (shades - 1)
		veils[i] = newVeil(heat(value), mostOpaque*value)
	}
	return veils
}

// veil is a colour to lay over opaque pixels with an opacity.
type veil struct {
	colour [3]uint32 // times opacity, in 1/65536
	rest   uint32    // what stays of the pixel below, in 1/65536
}

func newVeil(colour color.RGBA, opacity float64) veil {
	part := func(c uint8) uint32 { return uint32(float64(c)*opacity*(1<<16) + 0.5) }
	return veil{colour: [3]uint32{part(colour.R), part(colour.G), part(colour.B)}, rest: uint32((1-opacity)*(1<<16) + 0.5)}
}

// over changes the first pixel of pix, which is laid out as in image.RGBA.
func (v veil) over(pix []uint8) {
	for i, c := range v.colour {
		pix[i] = uint8(min((c+v.rest*uint32(pix[i])+1<<15)>>16, 255))
	}
}

// unit clamps to 0..1; what is no number counts as nothing.
func unit(v float64) float64 {
	if !(v > 0) { // NaN too
		return 0
	}
	return min(v, 1)
}
