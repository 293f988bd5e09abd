package dicomio_test

import (
	"slices"
	"strings"
	"testing"

	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// An image that was stored in parts is read like one that was not.
func TestConcatenationIsOneImage(t *testing.T) {
	for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.Deflated, kit.RLE} {
		series := kit.Series{Enhanced: true, Syntax: syntax, Images: kit.Heads(13, 12, 10)}
		whole := opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{})
		series.Parts = 4 // the last has one frame
		files := kit.Study{Series: []kit.Series{series}}.Files()
		slices.Reverse(files)
		for n := range files {
			files[n].Name = string(rune('a' + n)) // and is the first to be found
		}
		study := opened(t, files, dicomio.Options{})
		if got := study.Study().Series[0]; len(files) != 4 || !got.Complete || len(got.Warnings) > 0 || len(got.Slices) != 13 {
			t.Fatalf("%s: %d files, complete %v, %d slices, %q", syntax, len(files), got.Complete, len(got.Slices), got.Warnings)
		}
		want, _ := slicesOf(t, whole)
		got, refused := slicesOf(t, study)
		if len(got) != len(want) {
			t.Fatalf("%s: read %d, refused %v", syntax, len(got), refused)
		}
		for n := range got {
			if got[n].Position != want[n].Position || !slices.Equal(got[n].Pixels, want[n].Pixels) || got[n].Frame != n%4+1 {
				t.Errorf("%s: slice %d is frame %d at %g", syntax, n, got[n].Frame, got[n].Position)
			}
		}
	}
}

// A part that is missing, or does not fit, makes the series incomplete, also where
// geometry cannot tell.
func TestConcatenationFaults(t *testing.T) {
	us := func(tag uint32, v uint16) kit.Element { return kit.Element{Tag: tag, VR: "US", Value: []uint16{v}} }
	const number, total, offset = 0x00209162, 0x00209163, 0x00209228
	cases := []struct {
		name    string
		change  func(parts []kit.File) []kit.File
		warning string // empty: complete
	}{
		{"whole", func(p []kit.File) []kit.File { return p }, ""},
		{"the first is missing", func(p []kit.File) []kit.File { return p[1:] }, "1 of 4 parts of a concatenation are missing"},
		{"the last is missing", func(p []kit.File) []kit.File { return p[:3] }, "1 of 4 parts of a concatenation are missing"},
		{"two are missing", func(p []kit.File) []kit.File { return p[1:3] }, "2 of 4 parts of a concatenation are missing"},
		{"one is missing, the total not said", func(p []kit.File) []kit.File {
			for n := range p {
				p[n] = changed(p[n], kit.Element{Tag: total, VR: "US", Value: []byte{}})
			}
			return slices.Delete(p, 1, 2)
		}, "1 of 4 parts of a concatenation are missing"},
		{"no totals", func(p []kit.File) []kit.File {
			for n := range p {
				p[n] = changed(p[n], kit.Element{Tag: total, VR: "US", Value: []byte{}})
			}
			return p
		}, ""},
		{"one number for two", func(p []kit.File) []kit.File { p[2] = changed(p[2], us(number, 2)); return p }, "two parts of a concatenation are numbered 2"},
		{"no number", func(p []kit.File) []kit.File { p[2] = changed(p[2], us(number, 0)); return p }, "a part of a concatenation is numbered 0 of 4"},
		{"a number beyond", func(p []kit.File) []kit.File { p[2] = changed(p[2], us(number, 9)); return p }, "numbered 9 of 4"},
		{"frames in between", func(p []kit.File) []kit.File { p[2] = changed(p[2], ul(offset, 20)); return p }, "part 3 of a concatenation begins behind frame 20, those before it have 12"},
		{"two concatenations", func(p []kit.File) []kit.File {
			p[2], p[3] = changed(p[2], ui(0x00209161, "1.2.3"), us(number, 1), us(total, 2), ul(offset, 0)), changed(p[3], ui(0x00209161, "1.2.3"), us(number, 2), us(total, 2), ul(offset, 6))
			p[0], p[1] = changed(p[0], us(total, 2)), changed(p[1], us(total, 2))
			return p
		}, ""},
	}
	for _, c := range cases {
		series := kit.Series{Enhanced: true, Parts: 4, Images: kit.Heads(24, 8, 8), Stack: kit.Stack{Between: 10}}
		files := c.change(kit.Study{Series: []kit.Series{series}}.Files())
		got := opened(t, files, dicomio.Options{}).Study().Series[0]
		warnings := strings.Join(got.Warnings, "; ")
		if !got.Eligible || got.Complete != (c.warning == "") || !strings.Contains(warnings, c.warning) || c.warning == "" && warnings != "" {
			t.Errorf("%s: eligible %v, complete %v, %q", c.name, got.Eligible, got.Complete, got.Warnings)
		}
	}
}
