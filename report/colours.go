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

// unit clamps to 0..1; what is no number counts as nothing.
func unit(v float64) float64 {
	if !(v > 0) { // NaN too
		return 0
	}
	return min(v, 1)
}
