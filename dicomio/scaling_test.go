package dicomio_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// philips is one image's scalings as a Philips scanner writes them: what it computed
// is stored times SS plus SI, and shown times RS plus RI. Zero slopes are left out.
type philips struct{ rs, ri, ss, si float64 }

const (
	philipsCreator    = "Philips MR Imaging DD 001"
	philipsOldCreator = "Philips MR Imaging DD 005"
)

func fl(tag uint32, v float64) kit.Element {
	return kit.Element{Tag: tag, VR: "FL", Value: []float32{float32(v)}}
}

// private writes SS and SI in the block of the creator.
func (p philips) private(block uint32) []kit.Element {
	if p.ss == 0 {
		return nil
	}
	at := 0x20050000 | block<<8
	return []kit.Element{lo(0x20050000|block, philipsCreator), fl(at|0x0D, p.si), fl(at|0x0E, p.ss)}
}

// rescale writes RS and RI where the standard has them.
func (p philips) rescale() []kit.Element {
	if p.rs == 0 {
		return nil
	}
	return []kit.Element{ds(0x00281053, fmt.Sprint(p.rs)), ds(0x00281052, fmt.Sprint(p.ri))}
}

// combined writes RS and RI where an archive that overwrote them leaves them.
func (p philips) combined() []kit.Element {
	return []kit.Element{lo(0x20050014, philipsOldCreator), ds(0x20051409, fmt.Sprint(p.ri)), ds(0x2005140A, fmt.Sprint(p.rs))}
}

// The scanner's values of a slice, and how they come to be compared. Slice n shows
// 1000 everywhere in the scanner's values, so in whatever units slices come, they
// are comparable if all have the same value.
func TestPhilipsScaling(t *testing.T) {
	const computed = 1000
	even := []philips{{2, 0, 4, 0}, {4, 0, 2, 0}, {8, 0, 1, 0}}
	uneven := []philips{{2, 0, 4, 0}, {2, 0, 2, 0}, {2, 0, 1, 0}}
	combined := []philips{{1, 0, 4, 0}, {1, 0, 2, 0}, {1, 0, 1, 0}}
	shifted := []philips{{1, 5, 2, 100}, {1, 5, 2, 200}, {1, 5, 2, 300}}
	bare := []philips{{0, 0, 4, 0}, {0, 0, 2, 0}, {0, 0, 1, 0}}
	cases := []struct {
		name   string
		images []philips
		want   float64
	}{
		{"one scale", []philips{{2, 3, 4, 0}, {2, 3, 4, 0}}, 8003},
		{"scales that agree in what is shown", even, 8000},
		{"scales that differ in what is shown", uneven, computed},
		{"scales combined by an archive", combined, computed},
		{"intercepts that differ", shifted, computed},
		{"no rescale", bare, computed},
		{"no rescale in one", []philips{{2, 0, 4, 0}, {0, 0, 2, 0}}, computed},
		{"no scale", []philips{{2, 1, 0, 0}, {4, 1, 0, 0}}, math.NaN()},
	}
	shapes := []struct {
		name     string
		enhanced bool
		syntax   string
		write    func(p philips) []kit.Element
	}{
		{"classic", false, kit.ExplicitLittle, func(p philips) []kit.Element { return append(p.private(0x10), p.rescale()...) }},
		{"classic, implicit", false, kit.ImplicitLittle, func(p philips) []kit.Element { return append(p.private(0x10), p.rescale()...) }},
		{"classic, big endian", false, kit.ExplicitBig, func(p philips) []kit.Element { return append(p.private(0x10), p.rescale()...) }},
		{"classic, another block", false, kit.ImplicitLittle, func(p philips) []kit.Element { return append(p.private(0x17), p.rescale()...) }},
		{"enhanced", true, kit.ExplicitLittle, inGroups(0x2005140F)},
		{"enhanced, implicit", true, kit.ImplicitLittle, inGroups(0x2005140F)},
		{"enhanced, big endian", true, kit.ExplicitBig, inGroups(0x2005140F)},
		{"enhanced, another block", true, kit.ImplicitLittle, inGroups(0x2005110F)},
	}
	for _, shape := range shapes {
		for _, c := range cases {
			var images []kit.Image
			for _, p := range c.images {
				stored := computed
				if p.ss != 0 {
					stored = int(computed*p.ss + p.si)
				}
				image := kit.Grey(4, 4, func(int, int) int { return stored })
				image.Extra = shape.write(p)
				images = append(images, image)
			}
			series := kit.Series{Enhanced: shape.enhanced, Syntax: shape.syntax, Images: images, Stack: kit.Stack{Between: 20}}
			read, refused := slicesOf(t, opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{}))
			if len(read) != len(images) {
				t.Fatalf("%s, %s: read %d, refused %v", shape.name, c.name, len(read), refused)
			}
			for n, slice := range read {
				want := c.want
				if math.IsNaN(want) { // nothing but the standard's rescale is known
					want = computed*c.images[n].rs + c.images[n].ri
				}
				if math.Abs(float64(slice.Pixels[5])-want) > 1e-3*want {
					t.Errorf("%s, %s: slice %d shows %g, want %g", shape.name, c.name, n, slice.Pixels[5], want)
				}
			}
		}
	}
}

// inGroups writes an enhanced image's scalings: the standard's in its macro, Philips'
// in their private sequence.
func inGroups(sequence uint32) func(p philips) []kit.Element {
	return func(p philips) (groups []kit.Element) {
		if p.ss != 0 {
			groups = append(groups, lo(0x20050014, philipsOldCreator), kit.Macro(sequence, p.private(0x10)...))
		}
		if p.rs != 0 {
			groups = append(groups, kit.Macro(0x00289145, p.rescale()...))
		}
		return groups
	}
}

// Other words for a scale: real world values, and Philips' copy of a rescale that
// was taken away.
func TestOtherScalings(t *testing.T) {
	world := func(unit string, slope, intercept float64) kit.Element {
		return kit.Macro(0x00409096, fd(0x00409224, intercept), fd(0x00409225, slope),
			kit.Macro(0x004008EA, sh(0x00080100, unit), sh(0x00080102, "UCUM")))
	}
	table := kit.Element{Tag: 0x00409096, VR: "SQ", Value: []kit.Item{{{Tag: 0x00409212, VR: "FD", Value: []float64{1, 2}}}, world("1", 3, 4).Value.([]kit.Item)[0]}}
	standard := kit.Macro(0x00289145, philips{rs: 7}.rescale()...)
	copied := kit.Macro(0x2005140F, philips{rs: 6, ri: 1}.combined()...)
	only := func(elements ...kit.Element) []kit.Element { return elements }
	cases := []struct {
		name    string
		groups  [2][]kit.Element // of two frames, which store 10
		want    [2]float32
		warning string
	}{
		{"real world values", [2][]kit.Element{only(world("1", 2, 1)), only(world("1", 4, 1))}, [2]float32{21, 41}, ""},
		{"real world values behind a table", [2][]kit.Element{only(table), only(table)}, [2]float32{34, 34}, ""},
		{"real world values in two units", [2][]kit.Element{only(world("ms", 2, 1)), only(world("1", 4, 1))}, [2]float32{10, 10}, ""},
		{"real world values of one frame", [2][]kit.Element{only(world("1", 2, 1)), nil}, [2]float32{10, 10}, ""},
		{"real world values that make none", [2][]kit.Element{only(world("1", math.Inf(1), 0)), only(world("1", 0, 1))}, [2]float32{10, 10}, ""},
		{"real world values beside a rescale", [2][]kit.Element{only(world("1", 2, 1), standard), only(world("1", 4, 1), standard)}, [2]float32{70, 70}, ""},
		{"Philips' copy of a rescale", [2][]kit.Element{only(copied), only(copied)}, [2]float32{61, 61}, ""},
		{"Philips' copy beside a rescale", [2][]kit.Element{only(copied, standard), only(copied, standard)}, [2]float32{70, 70}, ""},
		{"a rescale of one frame", [2][]kit.Element{only(standard), nil}, [2]float32{70, 10}, "some images say how to rescale"},
		{"another's private values", [2][]kit.Element{
			only(lo(0x20050010, "OTHER"), fl(0x2005100D, 8), fl(0x2005100E, 4)), only(lo(0x20050010, "OTHER"), fl(0x2005100D, 8), fl(0x2005100E, 2)),
		}, [2]float32{10, 10}, ""},
	}
	for _, c := range cases {
		for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle} {
			images := []kit.Image{kit.Grey(4, 4, func(int, int) int { return 10 }), kit.Grey(4, 4, func(int, int) int { return 10 })}
			images[0].Extra, images[1].Extra = c.groups[0], c.groups[1]
			study := opened(t, kit.Study{Series: []kit.Series{{Enhanced: true, Syntax: syntax, Images: images}}}.Files(), dicomio.Options{})
			read, refused := slicesOf(t, study)
			if len(read) != 2 {
				t.Fatalf("%s: refused %v", c.name, refused)
			}
			if got := [2]float32{read[0].Pixels[0], read[1].Pixels[0]}; got != c.want {
				t.Errorf("%s, %s: got %v, want %v", c.name, syntax, got, c.want)
			}
			warnings := strings.Join(study.Study().Series[0].Warnings, "; ")
			if !strings.Contains(warnings, c.warning) || c.warning == "" && strings.Contains(warnings, "rescale") {
				t.Errorf("%s: warnings %q", c.name, warnings)
			}
		}
	}
}

// Numbers that make no values are refused, whatever else would do.
func TestScalingThatIsNone(t *testing.T) {
	for _, slope := range []string{"NaN", "0", "Inf", "1e300", "x"} {
		image := kit.Head(4, 4, 0.5)
		image.Extra = append(philips{ss: 2}.private(0x10), ds(0x00281053, slope))
		_, _, err := opening(t, kit.Study{Series: []kit.Series{{Images: []kit.Image{image}}}}.Files(), dicomio.Options{})
		if reason(err) != neurotriage.CorruptDICOM {
			t.Errorf("slope %s: got %v", slope, err)
		}
	}
}
