package dicomio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

func sh(tag uint32, value string) kit.Element { return kit.Element{Tag: tag, VR: "SH", Value: value} }
func ul(tag uint32, values ...uint32) kit.Element {
	return kit.Element{Tag: tag, VR: "UL", Value: values}
}
func fd(tag uint32, value float64) kit.Element {
	return kit.Element{Tag: tag, VR: "FD", Value: []float64{value}}
}

const (
	stackID      = 0x00209056
	inStack      = 0x00209057
	timeIndex    = 0x00209128
	indexValues  = 0x00209157
	dimensions   = 0x00209222
	effectiveTE  = 0x00189082
	frameContent = 0x00209111
	mrEcho       = 0x00189114
)

// at places a frame z millimetres up.
func at(z int) kit.Element {
	return kit.Macro(0x00209113, ds(imagePosition, fmt.Sprintf(`0\0\%d`, z)))
}

// counted makes one enhanced image of n frames whose groups a function writes, with
// the dimensions named.
func counted(n int, frame func(n int) []kit.Element, of ...kit.Item) kit.Series {
	images := kit.Heads(n, 8, 8)
	for i := range images {
		images[i].Extra = frame(i)
	}
	series := kit.Series{Enhanced: true, Images: images, Stack: kit.Stack{Between: 12}}
	series.Extra = []kit.Element{{Tag: dimensions, VR: "SQ", Value: of}}
	return series
}

// Frames of several stacks, echoes and times come out as series would: one behind
// another, each in the order of its places, however they lie in the file.
func TestFramesAreToldApart(t *testing.T) {
	stack, place := kit.Dimension(stackID, frameContent), kit.Dimension(inStack, frameContent)
	content := func(elements ...kit.Element) kit.Element { return kit.Macro(frameContent, elements...) }
	echo := func(te float64) kit.Element { return kit.Macro(mrEcho, fd(effectiveTE, te)) }
	other := kit.Dimension(0x00189079, 0x00189115) // inversion times
	one, two := func(n int) uint32 { return uint32(1 + n%2) }, func(n int) uint32 { return uint32(1 + n/2) }
	cases := []struct {
		name    string
		series  kit.Series
		parts   int // of twelve frames each, the frames of a part every parts-th of the file
		warning string
	}{
		{"one stack", counted(12, func(n int) []kit.Element {
			return []kit.Element{at(12 * n), content(sh(stackID, "1"), ul(inStack, uint32(n+1)), ul(indexValues, 1, uint32(n+1)))}
		}, stack, place), 1, ""},
		{"two stacks, frame by frame", counted(24, func(n int) []kit.Element {
			return []kit.Element{at(12*(n/2) + 1000*(n%2)), content(sh(stackID, fmt.Sprint(one(n))), ul(inStack, two(n)), ul(indexValues, one(n), two(n)))}
		}, stack, place), 2, "2 stacks"},
		{"two echoes, frame by frame", counted(24, func(n int) []kit.Element {
			return []kit.Element{at(12 * (n / 2)), echo(10 + 4*float64(n%2)), content(ul(inStack, two(n)), ul(indexValues, two(n), one(n)))}
		}, place, kit.Dimension(effectiveTE, mrEcho)), 2, "2 stacks"},
		{"one echo, its time rounded", counted(12, func(n int) []kit.Element {
			return []kit.Element{at(12 * n), echo(10.25 + 0.0001*float64(n%3)), content(ul(inStack, uint32(n+1)), ul(indexValues, uint32(n+1)))}
		}, place), 1, ""},
		{"two points in time", counted(24, func(n int) []kit.Element {
			return []kit.Element{at(12 * (n / 2)), content(ul(timeIndex, one(n)), ul(inStack, two(n)), ul(indexValues, two(n), one(n)))}
		}, place, kit.Dimension(timeIndex, frameContent)), 2, "2 stacks"},
		{"two values of another dimension", counted(24, func(n int) []kit.Element {
			return []kit.Element{at(12 * (n / 2)), content(ul(inStack, two(n)), ul(indexValues, two(n), one(n)))}
		}, place, other), 2, "2 stacks"},
		{"another dimension, along the stack", counted(12, func(n int) []kit.Element {
			return []kit.Element{at(12 * n), content(ul(inStack, uint32(n+1)), ul(indexValues, uint32(n+1), uint32(n+1)))}
		}, place, other), 1, ""},
		{"frames in one place that nothing tells apart", counted(12, func(n int) []kit.Element {
			return []kit.Element{at(12 * (n / 2)), content(ul(inStack, two(n)), ul(indexValues, two(n), uint32(n+1)))}
		}, place, other), 1, "6 slices lie where another one lies"},
		{"numbers that fall with the places", counted(12, func(n int) []kit.Element {
			return []kit.Element{at(12 * n), content(ul(inStack, uint32(12-n)), ul(indexValues, uint32(12-n)))}
		}, place), 1, ""},
		{"numbers that disagree with the places", counted(12, func(n int) []kit.Element {
			return []kit.Element{at(12 * n), content(ul(inStack, uint32(n*5%12+1)), ul(indexValues, uint32(n*5%12+1)))}
		}, place), 1, "in another order than their numbers"},
	}
	for _, c := range cases {
		study := opened(t, kit.Study{Series: []kit.Series{c.series}}.Files(), dicomio.Options{})
		got := study.Study().Series[0]
		warnings := strings.Join(got.Warnings, "; ")
		complete := c.warning == "" || strings.Contains(c.warning, "another order")
		if !got.Eligible || got.Complete != complete || !strings.Contains(warnings, c.warning) || c.warning == "" && warnings != "" {
			t.Errorf("%s: eligible %v, complete %v, %q", c.name, got.Eligible, got.Complete, got.Warnings)
		}
		for n, slice := range got.Slices {
			each := len(got.Slices) / c.parts
			if want := n%each*c.parts + n/each + 1; slice.Frame != want {
				t.Fatalf("%s: slice %d is frame %d, want %d", c.name, n, slice.Frame, want)
			}
		}
	}
}

// Where places are missing, frames follow their numbers in the stack, or their
// indices, whatever these count.
func TestFramesWithoutPlaces(t *testing.T) {
	shuffled := func(n int) uint32 { return uint32(n*5%12 + 1) } // of frame n
	nowhere := kit.Macro(0x00209113)
	cases := []struct {
		name    string
		series  kit.Series
		ordered bool // by shuffled, else as the frames lie in the file
		by      string
	}{
		{"numbers in the stack", counted(12, func(n int) []kit.Element {
			return []kit.Element{nowhere, kit.Macro(frameContent, ul(inStack, shuffled(n)))}
		}), true, "dimension index"},
		{"an index of places", counted(12, func(n int) []kit.Element {
			return []kit.Element{nowhere, kit.Macro(frameContent, ul(indexValues, 3, shuffled(n)))}
		}, kit.Dimension(0x00189079, 0x00189115), kit.Dimension(imagePosition, 0x00209113)), true, "dimension index"},
		{"indices without dimensions", counted(12, func(n int) []kit.Element {
			return []kit.Element{nowhere, kit.Macro(frameContent, ul(indexValues, 1, shuffled(n)))}
		}), true, "dimension index"},
		{"indices for other dimensions", counted(12, func(n int) []kit.Element {
			return []kit.Element{nowhere, kit.Macro(frameContent, ul(indexValues, shuffled(n), 7, 7))}
		}, kit.Dimension(stackID, frameContent)), true, "dimension index"},
		{"nothing", counted(12, func(int) []kit.Element { return []kit.Element{nowhere, kit.Macro(frameContent)} }), false, "instance number"},
	}
	for _, c := range cases {
		got := opened(t, kit.Study{Series: []kit.Series{c.series}}.Files(), dicomio.Options{}).Study().Series[0]
		if got.Complete || !strings.Contains(strings.Join(got.Warnings, "; "), "ordered by "+c.by) {
			t.Errorf("%s: complete %v, %q", c.name, got.Complete, got.Warnings)
		}
		for n, slice := range got.Slices {
			place := slice.Frame
			if c.ordered {
				place = int(shuffled(slice.Frame - 1))
			}
			if place != n+1 {
				t.Fatalf("%s: slice %d is frame %d", c.name, n, slice.Frame)
			}
		}
	}
}

// A frame that lacks its place puts its whole stack in the order of indices: among
// places it would stand anywhere.
func TestOneFrameWithoutPlace(t *testing.T) {
	series := counted(12, func(n int) []kit.Element {
		content := kit.Macro(frameContent, ul(inStack, uint32(n+1)))
		if n == 7 {
			return []kit.Element{kit.Macro(0x00209113), content}
		}
		return []kit.Element{at(600 - 12*n), content}
	})
	got := opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{}).Study().Series[0]
	var frames []int
	for _, slice := range got.Slices {
		frames = append(frames, slice.Frame)
	}
	if !slices.IsSorted(frames) || got.Complete {
		t.Errorf("frames %v, complete %v", frames, got.Complete)
	}
}
