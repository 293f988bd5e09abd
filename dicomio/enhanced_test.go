package dicomio_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// scans are series whose classic and enhanced forms must come out alike.
func scans() map[string]kit.Series {
	scaled := kit.Heads(13, 12, 10)
	for i := range scaled {
		scaled[i].Slope, scaled[i].Intercept = 1+float64(i)/10, float64(-i)
	}
	odd := kit.Heads(5, 7, 9)
	for i := range odd {
		odd[i].Bits = 8
		for j := range odd[i].Stored {
			odd[i].Stored[j] &= 255
		}
	}
	mprage := kit.Timing{Scanning: `GR\IR`, Variant: "SP", Type: "3D", TR: 2300, TE: 3, TI: 900, Flip: 9}
	return map[string]kit.Series{
		"T1":            {Images: kit.Heads(13, 12, 10)},
		"with contrast": {Agent: "Gadovist", Images: kit.Heads(13, 12, 10)},
		"rescaled":      {Images: scaled},
		"8 bit, odd":    {Images: odd, Stack: kit.Stack{Between: 25}},
		"upwards":       {Images: kit.Heads(13, 12, 10), Stack: kit.Stack{Step: [3]float64{0, 0, -10}, Between: 10}},
		"sagittal":      {Images: kit.Heads(13, 12, 10), Timing: mprage, Stack: kit.Stack{Right: [3]float64{0, 1, 0}, Down: [3]float64{0, 0, -1}}},
		"T2":            {Timing: kit.Timing{TR: 4000, TE: 100}, Description: "T2 TSE", Images: kit.Heads(13, 12, 10)},
		"diffusion":     {ImageType: `ORIGINAL\PRIMARY\DIFFUSION\NONE`, Images: kit.Heads(13, 12, 10)},
		"phase":         {ImageType: `ORIGINAL\PRIMARY\P\ND`, Images: kit.Heads(13, 12, 10)},
		"echo planar":   {Timing: kit.Timing{Scanning: `SE\EP`}, Images: kit.Heads(13, 12, 10)},
		"spine":         {BodyPart: new(string), Description: "T1 L-Spine", Images: kit.Heads(13, 12, 10)},
	}
}

// An enhanced image is the series of classic ones: same verdict, order, places
// and pixels, from a folder and from an archive, in every syntax.
func TestEnhancedIsTheClassicSeries(t *testing.T) {
	for name, series := range scans() {
		for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.ExplicitBig, kit.Deflated, kit.RLE} {
			t.Run(name+" "+syntax, func(t *testing.T) {
				series.Syntax, series.Enhanced = kit.ExplicitLittle, false
				classic := opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{})
				series.Syntax, series.Enhanced = syntax, true
				made := kit.Study{Series: []kit.Series{series}}
				same(t, opened(t, made.Files(), dicomio.Options{}), classic)
				archive := made.Zip()
				packed, err := dicomio.Open(t.Context(), dicomio.Zip(bytes.NewReader(archive), int64(len(archive))), dicomio.Options{Parallel: 3})
				if err != nil {
					t.Fatal(err)
				}
				defer packed.Close()
				same(t, packed, classic)
				same(t, packed, classic) // what was held for the first pass is made again
			})
		}
	}
}

// same compares an enhanced image with the classic series it was made of.
func same(t *testing.T, enhanced, classic *dicomio.Study) {
	t.Helper()
	got, want := enhanced.Study().Series[0], classic.Study().Series[0]
	if got.Eligible != want.Eligible || got.Sequence != want.Sequence || got.Plane != want.Plane || got.Complete != want.Complete ||
		len(got.Slices) != len(want.Slices) || got.BodyPart != want.BodyPart || !slices.Equal(got.Warnings, want.Warnings) {
		t.Fatalf("got  eligible %v, %s, %s, complete %v, %d slices, %q, %q\nwant eligible %v, %s, %s, complete %v, %d slices, %q, %q",
			got.Eligible, got.Sequence, got.Plane, got.Complete, len(got.Slices), got.Why, got.Warnings,
			want.Eligible, want.Sequence, want.Plane, want.Complete, len(want.Slices), want.Why, want.Warnings)
	}
	left, refused := slicesOf(t, enhanced)
	right, _ := slicesOf(t, classic)
	if len(refused) > 0 || len(left) != len(right) {
		t.Fatalf("%d slices, want %d; refused %v", len(left), len(right), refused)
	}
	for i := range left {
		if left[i].Position != right[i].Position || left[i].Spacing != right[i].Spacing || left[i].Turn != right[i].Turn || !slices.Equal(left[i].Pixels, right[i].Pixels) {
			t.Fatalf("slice %d differs: %+v", i, left[i].Position)
		}
		if uid := kit.UID(fmt.Sprintf("study/1/%d", left[i].Frame)); right[i].SOPInstanceUID != uid {
			t.Fatalf("slice %d is frame %d, which is another classic image", i, left[i].Frame)
		}
	}
}

// What differs within one enhanced image is told apart, or told.
func TestEnhancedMixtures(t *testing.T) {
	frames := func(change func(n int, image *kit.Image)) kit.Series {
		images := kit.Heads(20, 8, 8)
		for n := range images {
			change(n, &images[n])
		}
		return kit.Series{Enhanced: true, Images: images, Stack: kit.Stack{Between: 12}}
	}
	place := func(n int) kit.Element {
		return kit.Macro(0x00209113, ds(imagePosition, fmt.Sprintf(`0\0\%d`, 12*(n%10))))
	}
	content := func(stack string) kit.Element {
		return kit.Macro(0x00209111, kit.Element{Tag: 0x00209056, VR: "SH", Value: stack})
	}
	phase := kit.Macro(0x00189226, kit.Element{Tag: 0x00089007, VR: "CS", Value: `ORIGINAL\PRIMARY\P\NONE`})
	component := kit.Macro(0x00189226, kit.Element{Tag: 0x00089208, VR: "CS", Value: "IMAGINARY"})
	usage := func(given string) kit.Element {
		return kit.Macro(0x00189341, kit.Element{Tag: 0x00189342, VR: "CS", Value: given})
	}
	cases := []struct {
		name     string
		series   kit.Series
		slices   int
		complete bool
		sequence neurotriage.SequenceKind
		warning  string
	}{
		{"whole", frames(func(int, *kit.Image) {}), 20, true, neurotriage.T1, ""},
		{"two stacks", frames(func(n int, m *kit.Image) { m.Extra = []kit.Element{place(n), content(fmt.Sprint(1 + n/10))} }), 20, false, neurotriage.T1, "2 stacks"},
		{"two echoes", frames(func(n int, m *kit.Image) {
			m.Extra = []kit.Element{place(n), kit.Macro(0x00189114, kit.Element{Tag: 0x00189082, VR: "FD", Value: []float64{10 + float64(n/10)}})}
		}), 20, false, neurotriage.T1, "2 stacks"},
		{"two points in time", frames(func(n int, m *kit.Image) {
			m.Extra = []kit.Element{place(n), kit.Macro(0x00209111, kit.Element{Tag: 0x00209128, VR: "UL", Value: []uint32{uint32(1 + n/10)}})}
		}), 20, false, neurotriage.T1, "2 stacks"},
		{"magnitude and phase", frames(func(n int, m *kit.Image) {
			if m.Extra = []kit.Element{place(n)}; n >= 10 {
				m.Extra = append(m.Extra, phase)
			}
		}), 10, true, neurotriage.T1, "10 of 20 images were left out: image type P"},
		{"magnitude and imaginary part", frames(func(n int, m *kit.Image) {
			if m.Extra = []kit.Element{place(n)}; n >= 10 {
				m.Extra = append(m.Extra, component)
			}
		}), 10, true, neurotriage.T1, "image type IMAGINARY"},
		{"one place for all", frames(func(n int, m *kit.Image) { m.Extra = []kit.Element{place(0)} }), 20, false, neurotriage.T1, "lie where another one lies"},
		{"a place is missing", frames(func(n int, m *kit.Image) {
			if n == 7 {
				m.Extra = []kit.Element{kit.Macro(0x00209113)}
			}
		}), 20, false, neurotriage.T1, "position or orientation is missing"},
		{"agent given", frames(func(n int, m *kit.Image) { m.Extra = []kit.Element{usage("YES")} }), 20, true, neurotriage.T1C, ""},
		{"agent not given yet", func() kit.Series {
			s := frames(func(n int, m *kit.Image) { m.Extra = []kit.Element{usage("NO")} })
			s.Agent = "Gadovist"
			return s
		}(), 20, true, neurotriage.T1, ""},
	}
	for _, c := range cases {
		study := opened(t, kit.Study{Series: []kit.Series{c.series}}.Files(), dicomio.Options{})
		got := study.Study().Series[0]
		if !got.Eligible || len(got.Slices) != c.slices || got.Complete != c.complete || got.Sequence != c.sequence ||
			!strings.Contains(strings.Join(got.Warnings, "; "), c.warning) || c.warning == "" && len(got.Warnings) > 0 {
			t.Errorf("%s: eligible %v, %s, %d slices, complete %v, %q; why: %s", c.name, got.Eligible, got.Sequence, len(got.Slices), got.Complete, got.Warnings, got.Why)
		}
		if read, refused := slicesOf(t, study); len(read) != c.slices || len(refused) > 0 {
			t.Errorf("%s: read %d, refused %v", c.name, len(read), refused)
		}
	}
}

// Where rescale stands: in the frame's groups, at the top, or in Philips' own.
func TestEnhancedRescale(t *testing.T) {
	philips := func(creator string, slope, intercept float32) []kit.Element {
		return []kit.Element{lo(0x20050010, creator), {Tag: 0x2005100D, VR: "FL", Value: []float32{intercept}}, {Tag: 0x2005100E, VR: "FL", Value: []float32{slope}}}
	}
	const creator = "Philips MR Imaging DD 001"
	macro := kit.Macro(0x00289145, ds(0x00281052, "-3"), ds(0x00281053, "2"))
	top := []kit.Element{ds(0x00281052, "7"), ds(0x00281053, "5")}
	cases := []struct {
		name          string
		top, group    []kit.Element
		slope, offset float64
	}{
		{"none", nil, nil, 1, 0},
		{"in the group", nil, []kit.Element{macro}, 2, -3},
		{"at the top", top, nil, 5, 7},
		{"both: the frame's own", top, []kit.Element{macro}, 2, -3},
		{"Philips", philips(creator, 4, 8), nil, 0.25, -2},
		{"Philips, in its private sequence", philips(creator, 1, 0)[:1], []kit.Element{kit.Macro(0x2005140F, philips(creator, 4, 8)...)}, 0.25, -2},
		{"Philips, rescaled as well", philips(creator, 4, 8), []kit.Element{macro}, 2, -3},
		{"another's private group", philips("OTHER", 4, 8), nil, 1, 0},
		{"Philips, slope zero", philips(creator, 0, 8), nil, 1, 0},
	}
	for _, c := range cases {
		for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle} {
			images := kit.Heads(2, 4, 4)
			for n := range images {
				images[n].Extra = c.group
			}
			series := kit.Series{Enhanced: true, Syntax: syntax, Images: images, Extra: c.top}
			read, refused := slicesOf(t, opened(t, kit.Study{Series: []kit.Series{series}}.Files(), dicomio.Options{}))
			if len(read) != 2 {
				t.Fatalf("%s: %v", c.name, refused)
			}
			for i, v := range read[1].Pixels {
				if want := float32(float64(images[1].Stored[i])*c.slope + c.offset); v != want {
					t.Fatalf("%s, %s: pixel %d is %g, want %g", c.name, syntax, i, v, want)
				}
			}
		}
	}
}

// A T1 of a Siemens XA30, 96 sagittal frames: every pixel is dcmtk's.
func TestRealEnhanced(t *testing.T) {
	path := data(t, "dicom", "enhanced", "siemens-xa30-t1w-96f-128.dcm")
	study := open(t, dicomio.Options{}, path)
	series := study.Study().Series[0]
	if !series.Eligible || series.Sequence != neurotriage.T1 || series.Plane != neurotriage.Sagittal || !series.Complete || len(series.Slices) != 96 ||
		!strings.Contains(series.Why, "no contrast agent is recorded") {
		t.Errorf("eligible %v, %s, %s, complete %v, %d slices: %s %q", series.Eligible, series.Sequence, series.Plane, series.Complete, len(series.Slices), series.Why, series.Warnings)
	}
	read, refused := slicesOf(t, study)
	if len(read) != 96 || len(refused) > 0 {
		t.Fatalf("read %d, refused %v", len(read), refused)
	}
	for i, slice := range read {
		if want := -100.424 + 2*float64(i); math.Abs(slice.Position-want) > 0.01 || slice.Spacing != [2]float64{2, 2} {
			t.Fatalf("slice %d lies at %g, want %g; spacing %v", i, slice.Position, want, slice.Spacing)
		}
	}
	if _, err := exec.LookPath("dcmdump"); err != nil {
		t.Skipf("dcmtk is missing: %v", err)
	}
	out := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), "dcmdump", "+W", out, path).CombinedOutput(); err != nil {
		t.Fatalf("dcmdump: %v: %s", err, text)
	}
	raw := largest(t, out)
	if len(raw) != 96*128*128*2 {
		t.Fatalf("dcmdump wrote %d bytes", len(raw))
	}
	for _, slice := range read {
		for p, v := range slice.Pixels {
			r, c := slice.Turn.Stored(p/128, p%128, 128, 128)
			at := 2 * ((slice.Frame-1)*128*128 + r*128 + c)
			if want := float32(uint16(raw[at]) | uint16(raw[at+1])<<8); v != want {
				t.Fatalf("frame %d: pixel %d is %g, dcmtk says %g", slice.Frame, p, v, want)
			}
		}
	}
}

// largest reads the largest file of a folder.
func largest(t *testing.T, folder string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.raw"))
	if err != nil {
		t.Fatal(err)
	}
	var most []byte
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > len(most) {
			most = raw
		}
	}
	return most
}

// The same image as peers compress it has the same pixels, frame by frame.
func TestRealEnhancedCompressed(t *testing.T) {
	path := data(t, "dicom", "enhanced", "siemens-xa30-t1w-96f-128.dcm")
	want, _ := slicesOf(t, open(t, dicomio.Options{}, path))
	for _, c := range [][]string{{"dcmcrle"}, {"dcmcjpls"}, {"dcmcjpls", "+fs", "1"}, {"dcmcjpeg"}, {"gdcmconv", "--j2k"}} {
		t.Run(strings.Join(c, " "), func(t *testing.T) {
			if _, err := exec.LookPath(c[0]); err != nil {
				t.Skipf("%s is missing: %v", c[0], err)
			}
			out := filepath.Join(t.TempDir(), "out.dcm")
			if text, err := exec.CommandContext(t.Context(), c[0], append(slices.Clone(c[1:]), path, out)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			got, refused := slicesOf(t, open(t, dicomio.Options{}, out))
			if len(got) != len(want) || len(refused) > 0 {
				t.Fatalf("read %d, refused %v", len(got), refused)
			}
			for i := range got {
				if got[i].Frame != want[i].Frame || !slices.Equal(got[i].Pixels, want[i].Pixels) {
					t.Fatalf("slice %d differs", i)
				}
			}
		})
	}
}

// A file of 200 frames costs less memory than its size and 64 MB more, whichever
// way it comes: its frames are read one by one.
func TestEnhancedMemoryIsBounded(t *testing.T) {
	const n, rows, columns, allowed = 200, 256, 256, 64 << 20
	images := make([]kit.Image, n)
	blank := kit.Head(rows, columns, 0.5)
	for i := range images {
		images[i] = blank
	}
	for _, syntax := range []string{kit.ExplicitLittle, kit.RLE, kit.Deflated} {
		files := kit.Study{Series: []kit.Series{{Enhanced: true, Syntax: syntax, Images: images}}}.Files()
		dir := t.TempDir()
		if err := kit.WriteFiles(dir, files); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "study.zip"), kit.ZipFiles(files), 0o600); err != nil {
			t.Fatal(err)
		}
		clear(files) // what is measured below must not count them
		for _, name := range []string{"S001", "study.zip"} {
			before := heap()
			study := open(t, dicomio.Options{Parallel: 2}, filepath.Join(dir, name))
			most, total, read := int64(0), allocated(), 0
			for _, err := range study.Slices(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if read++; read%40 == 0 {
					most = max(most, heap()-before)
				}
			}
			size := int64(n * rows * columns * 2)
			if read != n || most > size+allowed || name == "S001" && syntax != kit.Deflated && most > 16<<20 {
				t.Errorf("%s, %s: %d frames, %d MB held for a file of %d MB", syntax, name, read, most>>20, size>>20)
			}
			// Each frame is made once, as four bytes a pixel, beside what the file costs.
			if grown := int64(allocated() - total); grown > 2*size+size+allowed {
				t.Errorf("%s, %s: %d MB allocated in all", syntax, name, grown>>20)
			}
		}
	}
}
