package dicomio_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// opening writes files to a folder and tells how opening them ends.
func opening(t *testing.T, files []kit.File, options dicomio.Options) (neurotriage.Reason, neurotriage.Study, error) {
	t.Helper()
	dir := t.TempDir()
	lay(t, dir, files)
	study, err := dicomio.Open(t.Context(), dicomio.Paths([]string{dir}), options)
	if err != nil {
		return reason(err), neurotriage.Study{}, err
	}
	defer study.Close()
	return reason(nil), study.Study(), nil
}

func TestTwoPatients(t *testing.T) {
	const refused = neurotriage.InconsistentStudy
	cases := []struct {
		name             string
		id, person, born string // of the second half of the study; the first is KIT1, Kit^Patient, 19700101
		want             neurotriage.Reason
	}{
		{"the same", "KIT1", "Kit^Patient", "19700101", read},
		{"another person", "KIT2", "Other^Person", "19800202", refused},
		{"another identifier", "KIT2", "", "", refused},
		{"another identifier and name", "KIT2", "Other^Person", "19700101", refused},
		{"two identifiers of one person", "KIT2", "KIT^PATIENT", "19700101", read},
		{"another spelling", "KIT1", "Kit Patient", "19700101", read},
		{"a new name", "KIT1", "Married^Patient", "19700101", read},
		{"a corrected birth date", "KIT1", "Kit^Patient", "19700102", read},
		{"one identifier for two people", "KIT1", "Other^Person", "19800202", refused},
		{"no identifier, another name", "", "Other^Person", "", refused},
		{"no identifier, the same name", "", "Kit^Patient", "19700101", read},
		{"nothing said", "", "", "", read},
	}
	for _, c := range cases {
		files := kit.Study{Series: []kit.Series{{Images: kit.Heads(4, 8, 8)}}}.Files()
		for i := 2; i < 4; i++ {
			files[i] = changed(files[i], lo(0x00100020, c.id), kit.Element{Tag: 0x00100010, VR: "PN", Value: c.person},
				kit.Element{Tag: 0x00100030, VR: "DA", Value: c.born})
		}
		if got, _, err := opening(t, files, dicomio.Options{}); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func TestCopies(t *testing.T) {
	images := kit.Heads(4, 8, 8)
	files := kit.Study{Series: []kit.Series{{Images: images}}}.Files()
	renamed := func(f kit.File, name string) kit.File { return named(name, f) }
	packed := kit.Study{Series: []kit.Series{{Images: images, Syntax: kit.RLE}}}.Files()
	xl := renamed(files[1], "xl")
	xl.Data = kit.EncodeFile("1.2.840.10008.1.2.4.110", xl.With(kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{{1, 2}}}))
	torn := renamed(files[1], "a torn copy, listed first")
	torn.Data = torn.Data[:len(torn.Data)-9]
	other := renamed(changed(files[1], files[2].Element(pixelData)), "other")
	moved := renamed(changed(files[1], ds(imagePosition, `0\0\7`)), "moved")
	elsewhere := renamed(changed(files[1], ui(seriesUID, "1.2.3")), "elsewhere")
	cases := []struct {
		name string
		copy kit.File
		want neurotriage.Reason
	}{
		{"the same bytes", renamed(files[1], "copy"), read},
		{"the same image in another syntax", renamed(packed[1], "rle"), read},
		{"the same image in a syntax that is not read", xl, read},
		{"a torn copy", torn, read},
		{"other pixels", other, neurotriage.InconsistentStudy},
		{"another place", moved, neurotriage.InconsistentStudy},
		{"another series", elsewhere, neurotriage.InconsistentStudy},
	}
	for _, c := range cases {
		got, study, err := opening(t, append(slices.Clone(files), c.copy), dicomio.Options{})
		if got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.name, got, err, c.want)
			continue
		}
		if got == read && (len(study.Series[0].Slices) != 4 || !study.Series[0].Complete || len(study.Warnings) != 1) {
			t.Errorf("%s: %d slices, complete %v, warnings %q and %q", c.name, len(study.Series[0].Slices), study.Series[0].Complete, study.Warnings, study.Series[0].Warnings)
		}
	}
}

// Structure, then eligibility, then transfer syntax of eligible series only.
func TestOrderOfChecks(t *testing.T) {
	syntax := func(f kit.File) kit.File {
		f.Data = kit.EncodeFile("1.2.840.10008.1.2.4.110", f.With(kit.Element{Tag: pixelData, VR: "OB", Value: kit.Fragments{{1, 2}}}))
		return f
	}
	torn := func(f kit.File) kit.File { f.Data = f.Data[:len(f.Data)-20]; return f }
	torso := func(f kit.File) kit.File { f.Data = f.Data[:400]; return f }
	headless := func(f kit.File) kit.File { f.Data = f.Data[:320]; return f }
	bits := func(f kit.File) kit.File {
		return changed(f, kit.Element{Tag: 0x00280100, VR: "US", Value: []uint16{64}})
	}
	t1 := kit.Study{Series: []kit.Series{{Images: kit.Heads(6, 8, 8)}}}.Files()
	t2 := kit.Study{Series: []kit.Series{{Name: "t2", Timing: kit.Timing{TR: 4000, TE: 100}, Images: kit.Heads(6, 8, 8)}}}.Files()
	for i := range t2 {
		t2[i].Name = "t2/" + t2[i].Name
	}
	some := func(files []kit.File, n int, change func(kit.File) kit.File) []kit.File {
		files = slices.Clone(files)
		for i := range n {
			files[i] = change(files[i])
		}
		return files
	}
	both := func(a, b []kit.File) []kit.File { return append(slices.Clone(a), b...) }
	cases := []struct {
		name          string
		files         []kit.File
		want          neurotriage.Reason
		read, refused int // slices
		eligible      int // series
	}{
		{"sound", both(t1, t2), read, 6, 0, 1},
		{"every eligible slice compressed", some(t1, 6, syntax), neurotriage.UnsupportedTransferSyntax, 0, 0, 0},
		{"every eligible slice compressed, others fine", both(some(t1, 6, syntax), t2), neurotriage.UnsupportedTransferSyntax, 0, 0, 0},
		{"compressed where nothing is eligible", some(t2, 6, syntax), read, 0, 0, 0},
		{"some slices compressed", some(t1, 2, syntax), read, 4, 2, 1},
		{"every file torn", some(t1, 6, torn), neurotriage.CorruptDICOM, 0, 0, 0},
		{"every file torn in its headers", some(t1, 6, torso), neurotriage.CorruptDICOM, 0, 0, 0},
		{"every file torn before its identity", some(t1, 6, headless), neurotriage.CorruptDICOM, 0, 0, 0},
		{"torn where nothing is eligible", some(t2, 6, torn), neurotriage.CorruptDICOM, 0, 0, 0},
		{"some torn where nothing is eligible", some(t2, 2, torn), read, 0, 0, 0},
		{"the T1 torn, the T2 fine", both(some(t1, 6, torn), t2), neurotriage.CorruptDICOM, 0, 0, 0},
		{"one file torn", some(t1, 1, torn), read, 5, 1, 1},
		{"one file torn in its headers", some(t1, 1, torso), read, 5, 0, 1},
		{"one file torn before its identity", some(t1, 1, headless), read, 5, 0, 1},
		{"images that are not read", some(t1, 6, bits), neurotriage.UnsupportedImage, 0, 0, 0},
		{"one image that is not read", some(t1, 1, bits), read, 5, 1, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, headers, err := opening(t, c.files, dicomio.Options{})
			if got != c.want {
				t.Fatalf("got %s (%v), want %s", got, err, c.want)
			}
			if got != read {
				return
			}
			eligible := 0
			for _, series := range headers.Series {
				if series.Eligible {
					eligible++
				}
				if series.Eligible && (c.refused > 0 || c.read < 6) && (series.Complete && len(series.Warnings)+len(headers.Warnings) == 0) {
					t.Error("a faulty series looks whole")
				}
			}
			slices, refused := slicesOf(t, opened(t, c.files, dicomio.Options{}))
			if len(slices) != c.read || len(refused) != c.refused || eligible != c.eligible {
				t.Errorf("%d slices, %d refused (%v), %d series eligible, want %d, %d, %d", len(slices), len(refused), refused, eligible, c.read, c.refused, c.eligible)
			}
		})
	}
}

// A study with a damaged file never looks complete.
func TestDamageIsNeverSilent(t *testing.T) {
	whole := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}.Files()
	for _, cut := range []int{140, 320, 400, 700, len(whole[11].Data) - 1} {
		files := slices.Clone(whole)
		files[11].Data = bytes.Clone(files[11].Data[:cut])
		series := opened(t, files, dicomio.Options{}).Study().Series[0]
		if series.Complete {
			t.Errorf("cut at byte %d: the series looks complete", cut)
		}
	}
}

func TestWhichStudy(t *testing.T) {
	one, two := kit.Study{Name: "one", Series: []kit.Series{{Images: kit.Heads(2, 8, 8)}}}, kit.Study{Name: "two", Series: []kit.Series{{Images: kit.Heads(2, 8, 8)}}}
	both := one.Files()
	for _, f := range two.Files() {
		f.Name = "two/" + f.Name
		both = append(both, f)
	}
	nameless := slices.Clone(one.Files())
	for i := range nameless {
		nameless[i] = changed(nameless[i], ui(studyUID, ""))
	}
	odd := slices.Clone(one.Files())
	for i := range odd {
		odd[i] = changed(odd[i], ui(studyUID, "1.2.x y"))
	}
	cases := []struct {
		name  string
		files []kit.File
		asked string
		want  neurotriage.Reason
	}{
		{"the only one", one.Files(), "", read},
		{"the one asked for", both, kit.UID("two"), read},
		{"two, and none asked for", both, "", neurotriage.InconsistentStudy},
		{"another one", both, "1.2.3", neurotriage.StudyNotFound},
		{"none is named", nameless, "", neurotriage.CorruptDICOM},
		{"a UID that is none", odd, "", neurotriage.CorruptDICOM},
	}
	for _, c := range cases {
		got, study, err := opening(t, c.files, dicomio.Options{StudyUID: c.asked})
		if got != c.want || got == read && c.asked != "" && study.UID != c.asked {
			t.Errorf("%s: got %s (%v) %s, want %s", c.name, got, err, study.UID, c.want)
		}
	}
}

// A damaged file among several studies spoils none of them in a scan.
func TestScanKeepsStudiesApart(t *testing.T) {
	files := append(kit.Study{Name: "one", Series: []kit.Series{{Images: kit.Heads(2, 8, 8)}}}.Files(),
		kit.File{Name: "torn", Data: sound().Data[:320]}, kit.File{Name: "notes.txt", Data: []byte("patient was restless")})
	for _, f := range (kit.Study{Name: "two", Series: []kit.Series{{Images: kit.Heads(2, 8, 8)}}}).Files() {
		f.Name = "two/" + f.Name
		files = append(files, f)
	}
	dir := t.TempDir()
	lay(t, dir, files)
	studies, skipped, err := dicomio.Scan(t.Context(), dicomio.Paths([]string{dir}), dicomio.Options{})
	if err != nil || len(studies) != 3 || skipped.NotDICOM != 1 {
		t.Fatalf("got %d studies, %+v, %v", len(studies), skipped, err)
	}
	var got []string
	for _, s := range studies {
		state := "fine"
		if s.Refusal() != nil {
			state = string(s.Refusal().Reason)
		}
		got = append(got, s.Study().UID+" "+state)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	want := []string{" corrupt_dicom", kit.UID("one") + " fine", kit.UID("two") + " fine"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}
