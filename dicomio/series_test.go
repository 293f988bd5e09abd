package dicomio_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// opened writes files to a folder and opens the study in it.
func opened(t testing.TB, files []kit.File, options dicomio.Options) *dicomio.Study {
	t.Helper()
	dir := t.TempDir()
	lay(t, dir, files)
	return open(t, options, dir)
}

// changed rewrites a file with some elements changed.
func changed(file kit.File, elements ...kit.Element) kit.File {
	file.Elements = file.With(elements...)
	file.Data = kit.EncodeFile(kit.ExplicitLittle, file.Elements)
	return file
}

func named(name string, f kit.File) kit.File { f.Name = name; return f }

func is(tag uint32, value string) kit.Element { return kit.Element{Tag: tag, VR: "IS", Value: value} }
func ds(tag uint32, value string) kit.Element { return kit.Element{Tag: tag, VR: "DS", Value: value} }
func ui(tag uint32, value string) kit.Element { return kit.Element{Tag: tag, VR: "UI", Value: value} }
func lo(tag uint32, value string) kit.Element { return kit.Element{Tag: tag, VR: "LO", Value: value} }

const (
	instanceNumber   = 0x00200013
	imagePosition    = 0x00200032
	imageOrientation = 0x00200037
	seriesUID        = 0x0020000E
	sopUID           = 0x00080018
	studyUID         = 0x0020000D
)

// Slices are ordered by their place, whatever names and numbers say.
func TestOrderFollowsThePlaceAndNotTheNumber(t *testing.T) {
	files := kit.Study{Series: []kit.Series{{Images: kit.Heads(21, 8, 8)}}}.Files()
	var want []string
	for _, f := range files {
		want = append(want, f.Element(sopUID).Value.(string))
	}
	random := rand.New(rand.NewPCG(1, 2))
	numbers := random.Perm(21)
	for i, name := range random.Perm(21) {
		files[i] = changed(files[i], is(instanceNumber, string(rune('1'+numbers[i]%9))))
		files[i].Name = string(rune('a' + name))
	}
	study := opened(t, files, dicomio.Options{})
	var got []string
	for _, slice := range study.Study().Series[0].Slices {
		got = append(got, slice.SOPInstanceUID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// The order along the normal does not depend on the direction in which the
// slices were acquired or laid out.
func TestOrderDoesNotDependOnAcquisition(t *testing.T) {
	up := kit.Study{Name: "up", Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}
	down := kit.Study{Name: "down", Series: []kit.Series{{Images: kit.Heads(12, 8, 8), Stack: kit.Stack{
		Right: [3]float64{-1, 0, 0}, Down: [3]float64{0, 1, 0}, Step: [3]float64{0, 0, -10}, Origin: [3]float64{0, 0, 110}}}}}
	for _, s := range []kit.Study{up, down} {
		slices := opened(t, s.Files(), dicomio.Options{}).Study().Series[0].Slices
		if first, last := slices[0].Position, slices[11].Position; last-first < 100 {
			t.Errorf("%s: from %g to %g, want feet to head", s.Name, first, last)
		}
	}
}

// What is wrong with a stack is a warning, never silence, and it never clears.
func TestStackFaults(t *testing.T) {
	type files = []kit.File
	stack := func(n int) files { return kit.Study{Series: []kit.Series{{Images: kit.Heads(n, 8, 8)}}}.Files() }
	cases := []struct {
		name    string
		files   files
		slices  int
		warning string // empty: complete
	}{
		{"sound", stack(24), 24, ""},
		{"one missing", slices.Delete(stack(24), 10, 11), 23, "about 1 slices are missing"},
		{"three missing in two places", slices.Delete(slices.Delete(stack(24), 10, 12), 4, 5), 21, "about 3 slices are missing"},
		{"every other one missing", func() files {
			var half files
			for i, f := range stack(24) {
				if i%2 == 0 {
					half = append(half, f)
				}
			}
			return half
		}(), 12, "some are missing"},
		{"one in the place of another", func() files {
			all := stack(24)
			return append(all, named("twin", changed(all[3], ui(sopUID, "1.2.3"), is(instanceNumber, "25"))))
		}(), 25, "1 slices lie where another one lies"},
		{"uneven", func() files {
			all := stack(11) // 12 mm apart
			all[5] = changed(all[5], ds(imagePosition, `0\0\58`))
			return all
		}(), 11, "2 of 10 distances between slices are uneven"},
		{"no position", func() files {
			all := stack(5)
			all[2] = changed(all[2], ds(imagePosition, ""))
			return all
		}(), 5, "position or orientation is missing"},
		{"orientation that is none", func() files {
			all := stack(5)
			for i := range all {
				all[i] = changed(all[i], ds(imageOrientation, `1\0\0\1\0\0`))
			}
			return all
		}(), 5, "position or orientation is missing"},
		{"a slice across", func() files {
			all := stack(12)
			all[5] = changed(all[5], ds(imageOrientation, `1\0\0\0\0\-1`))
			return all
		}(), 12, "2 stacks of different orientation"},
		{"two echoes", func() files {
			all := stack(12)
			for i := range all {
				all[i] = changed(all[i], is(0x00180086, string(rune('1'+i%2))))
			}
			return all
		}(), 12, "2 stacks of different orientation, echo or time"},
		{"another size", func() files {
			all := stack(12)
			other := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 10, 10)}}}.Files()
			all[5] = other[5]
			return all
		}(), 12, "slices differ in size or pixel spacing"},
		{"no spacing", func() files {
			all := stack(12)
			for i := range all {
				all[i] = changed(all[i], ds(0x00280030, ""))
			}
			return all
		}(), 12, "pixel spacing is missing"},
		{"one slice", stack(1), 1, "one slice only"},
		{"a detail of the head", kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8), Stack: kit.Stack{Between: 3}}}}.Files(), 12, "covers 33 mm of the head"},
		{"the end is missing, the header knows", func() files {
			all := stack(24)
			for i := range all {
				all[i] = changed(all[i], is(0x00201002, "24"))
			}
			return all[:20]
		}(), 20, "24 images are announced"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			series := opened(t, c.files, dicomio.Options{}).Study().Series[0]
			warnings := strings.Join(series.Warnings, "; ")
			if !series.Eligible || len(series.Slices) != c.slices {
				t.Errorf("eligible %v, %d slices, want %d; %s", series.Eligible, len(series.Slices), c.slices, series.Why)
			}
			if strings.Contains(warnings, ".dcm") {
				t.Errorf("warnings leave the house and name files: %s", warnings)
			}
			if series.Complete != (c.warning == "") || !strings.Contains(warnings, c.warning) || c.warning == "" && warnings != "" {
				t.Errorf("complete %v, warnings %q, want %q", series.Complete, warnings, c.warning)
			}
		})
	}
}

func TestMixedSeries(t *testing.T) {
	plain := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}.Files()
	t.Run("contrast in some images", func(t *testing.T) {
		files := slices.Clone(plain)
		for i := 6; i < 12; i++ {
			files[i] = changed(files[i], lo(0x00180010, "Gadovist"))
		}
		series := opened(t, files, dicomio.Options{}).Study().Series[0]
		if series.Sequence != neurotriage.T1 || series.Complete || !strings.Contains(strings.Join(series.Warnings, ";"), "some do not") {
			t.Errorf("got %s, complete %v, %q", series.Sequence, series.Complete, series.Warnings)
		}
	})
	t.Run("a projection among slices", func(t *testing.T) {
		files := append(slices.Clone(plain), named("mip", changed(plain[0], ui(sopUID, "1.2.3"),
			kit.Element{Tag: 0x00080008, VR: "CS", Value: `DERIVED\SECONDARY\PROJECTION IMAGE`})))
		series := opened(t, files, dicomio.Options{}).Study().Series[0]
		if !series.Eligible || len(series.Slices) != 12 || !strings.Contains(strings.Join(series.Warnings, ";"), "1 of 13 images were left out") {
			t.Errorf("got eligible %v, %d slices, %q", series.Eligible, len(series.Slices), series.Warnings)
		}
	})
}

func TestSeriesOfAStudy(t *testing.T) {
	study := kit.Study{Series: []kit.Series{
		{Number: 7, Description: "T1 AX", Images: kit.Heads(12, 8, 8)},
		{Number: 2, Description: "T2 AX", Timing: kit.Timing{TR: 4000, TE: 100}, Images: kit.Heads(12, 8, 8)},
		{Number: 5, Description: "T1 AX", Agent: "Gadovist", Images: kit.Heads(12, 8, 8)},
	}}
	files := study.Files()
	got := opened(t, files, dicomio.Options{StudyUID: kit.UID("study")}).Study()
	var numbers []int
	var sequences []neurotriage.SequenceKind
	for _, series := range got.Series {
		numbers = append(numbers, series.Number)
		sequences = append(sequences, series.Sequence)
	}
	if !slices.Equal(numbers, []int{2, 5, 7}) || !slices.Equal(sequences, []neurotriage.SequenceKind{neurotriage.T2, neurotriage.T1C, neurotriage.T1}) {
		t.Errorf("got series %v with %v", numbers, sequences)
	}
	if got.UID != kit.UID("study") || got.Patient.Name != "Kit^Patient" || got.Patient.ID != "KIT1" || got.AccessionNumber != "A1" || got.Date != "20260102" {
		t.Errorf("got %s, %s, %s, %s, %s", got.UID, got.Patient.Name, got.Patient.ID, got.AccessionNumber, got.Date)
	}
	if n := len(got.EligibleSOPs()); n != 24 {
		t.Errorf("got %d eligible instances, want 24", n)
	}
	asked := opened(t, files, dicomio.Options{SeriesUIDs: []string{kit.UID("study/1"), "1.2.3"}}).Study()
	if len(asked.Series) != 1 || asked.Series[0].Number != 7 || len(asked.Warnings) != 1 || !strings.Contains(asked.Warnings[0], "1.2.3") {
		t.Errorf("asked for one series and one that is missing: got %d series, %q", len(asked.Series), asked.Warnings)
	}
}
