package dicomio_test

import (
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

// The whole T1 brain: read, eligible, without contrast, complete.
func TestRealBrain(t *testing.T) {
	study := open(t, dicomio.Options{}, data(t, "dicom", "t1-brain", "t1-brain.zip"))
	series := study.Study().Series
	if len(series) != 1 || len(study.Study().Warnings) != 0 {
		t.Fatalf("got %d series and warnings %q, want one and none", len(series), study.Study().Warnings)
	}
	brain := series[0]
	if !brain.Eligible || brain.Sequence != neurotriage.T1 || brain.Plane != neurotriage.Axial || !brain.Complete || len(brain.Slices) != 384 {
		t.Errorf("got eligible %v, %s, %s, complete %v, %d slices; why: %s; warnings: %q",
			brain.Eligible, brain.Sequence, brain.Plane, brain.Complete, len(brain.Slices), brain.Why, brain.Warnings)
	}
	if !strings.Contains(brain.Why, "inferred from description") {
		t.Errorf("why does not say that it is inferred: %s", brain.Why)
	}
	read, refused := slicesOf(t, study)
	if len(read) != 384 || len(refused) != 0 {
		t.Fatalf("read %d slices, %d refused: %v", len(read), len(refused), refused)
	}
	for i, slice := range read {
		if slice.Index != i || len(slice.Pixels) != slice.Rows*slice.Columns || i > 0 && slice.Position <= read[i-1].Position {
			t.Fatalf("slice %d: index %d, %d pixels for %d × %d, position %g after %g",
				i, slice.Index, len(slice.Pixels), slice.Rows, slice.Columns, slice.Position, read[max(0, i-1)].Position)
		}
	}
	middle := read[192]
	if got, top := slices.Max(middle.Pixels), slices.Max(middle.Pixels[:middle.Columns*8]); got < 100 || top > got/2 {
		t.Errorf("the middle slice has maximum %g, %g in its first rows: no head on a dark ground", got, top)
	}
}

// Slices of a public collection, written as a series, come back as they were.
func TestRealPicturesAsAStudy(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(data(t, "brainmri", "images", "glioma"), "*.jpg"))
	if err != nil || len(files) < 12 {
		t.Fatalf("%d pictures, %v", len(files), err)
	}
	var images []kit.Image
	for _, file := range files[:12] {
		image, err := kit.Picture(file)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, image)
	}
	study := opened(t, kit.Study{Series: []kit.Series{{Agent: "Gadovist", Images: images}}}.Files(), dicomio.Options{})
	series := study.Study().Series[0]
	if !series.Eligible || series.Sequence != neurotriage.T1C || !series.Complete {
		t.Errorf("eligible %v, %s, complete %v: %s; %q", series.Eligible, series.Sequence, series.Complete, series.Why, series.Warnings)
	}
	read, _ := slicesOf(t, study)
	for i, slice := range read {
		for j, v := range slice.Pixels {
			if v != float32(images[i].Stored[j]) {
				t.Fatalf("slice %d: pixel %d is %g, want %d", i, j, v, images[i].Stored[j])
			}
		}
	}
	if len(read) != 12 {
		t.Errorf("%d slices", len(read))
	}
}

// The same image in several transfer syntaxes has the same pixels.
func TestRealSyntaxes(t *testing.T) {
	cases := []struct {
		name  string
		files []string
	}{
		{"small", []string{"small/MR_small.dcm", "small/MR_small_implicit.dcm", "small/MR_small_bigendian.dcm", "small/MR_small_expb.dcm", "small/MR_small_RLE.dcm", "small/MR_small_padded.dcm", "small/MR_small_jp2klossless.dcm", "small/MR_small_jpeg_ls_lossless.dcm"}},
		{"mosaic", []string{"transfer-syntaxes/1.dcm", "transfer-syntaxes/2.dcm", "transfer-syntaxes/3.dcm", "transfer-syntaxes/4.dcm", "transfer-syntaxes/5.dcm", "transfer-syntaxes/6.dcm", "transfer-syntaxes/7.dcm", "transfer-syntaxes/8.dcm", "transfer-syntaxes/9.dcm"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			first, err := readFile(t, data(t, "dicom", c.files[0]))
			if err != nil {
				t.Fatal(err)
			}
			if slices.Max(first.Pixels) == slices.Min(first.Pixels) {
				t.Fatal("the first file is flat")
			}
			for _, name := range c.files[1:] {
				slice, err := readFile(t, data(t, "dicom", name))
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if !slices.Equal(first.Pixels, slice.Pixels) {
					t.Errorf("%s has other pixels than %s", name, c.files[0])
				}
			}
		})
	}
}

// Pixels agree with dcmtk's, which turns stored values into 16-bit samples.
func TestPixelsAgainstDCMTK(t *testing.T) {
	dump, err := exec.LookPath("dcmdump")
	if err != nil {
		t.Skipf("dcmtk is missing: %v", err)
	}
	path := data(t, "dicom", "small", "MR_small_implicit.dcm")
	out := t.TempDir()
	if text, err := exec.Command(dump, "+W", out, path).CombinedOutput(); err != nil {
		t.Fatalf("dcmdump: %v: %s", err, text)
	}
	files, err := filepath.Glob(filepath.Join(out, "*.raw"))
	if err != nil || len(files) != 1 {
		t.Fatalf("dcmdump wrote %v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	slice, err := readFile(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for row := range slice.Rows {
		for column := range slice.Columns {
			r, c := slice.Turn.Stored(row, column, slice.Rows, slice.Columns)
			at := 2 * (r*64 + c)
			if want := float32(int16(uint16(raw[at]) | uint16(raw[at+1])<<8)); slice.Pixels[row*slice.Columns+column] != want {
				t.Fatalf("pixel %d, %d is %g, dcmtk says %g", row, column, slice.Pixels[row*slice.Columns+column], want)
			}
		}
	}
}

func TestRealTruncatedIsCorrupt(t *testing.T) {
	path := data(t, "dicom", "small", "MR_truncated.dcm")
	_, err := dicomio.Open(t.Context(), dicomio.Paths([]string{path}), dicomio.Options{})
	if reason(err) != neurotriage.CorruptDICOM {
		t.Errorf("got %v", err)
	}
}

// Nothing that is no T1 of a brain comes out eligible, and each says why.
func TestRealNotEligible(t *testing.T) {
	parser, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/suyashkumar/dicom").Output()
	if err != nil {
		t.Fatalf("find the parser's own files: %v", err)
	}
	parserData := filepath.Join(strings.TrimSpace(string(parser)), "testdata")
	cases := []struct {
		path string
		why  map[string]bool // beginnings of reasons, all of which occur
	}{
		{data(t, "dicom", "not-eligible"), map[string]bool{"image type EPI": true, "image type DIFFUSION": true, "a report object (SR)": true}},
		{data(t, "dicom", "transfer-syntaxes", "1.dcm"), map[string]bool{"image type MOSAIC": true}},
		{filepath.Join(parserData, "1.dcm"), map[string]bool{"positron emission tomography": true}},
		{filepath.Join(parserData, "3.dcm"), map[string]bool{"body part PROSTATE": true}},
		{filepath.Join(parserData, "4.dcm"), map[string]bool{"computed radiography": true}},
		{filepath.Join(parserData, "5.dcm"), map[string]bool{"computed tomography": true}},
		{filepath.Join(parserData, "6.dcm"), map[string]bool{"another kind of object": true}},
		{data(t, "dicom", "small", "MR_small.dcm"), map[string]bool{"scanning sequence SE, TR 4000 ms, TE 240 ms make a T2": true}},
		{data(t, "dicom", "charsets", "chrGerm.dcm"), map[string]bool{"": true}},
	}
	for _, c := range cases {
		studies, _, err := dicomio.Scan(t.Context(), dicomio.Paths([]string{c.path}), dicomio.Options{})
		if err != nil || len(studies) == 0 {
			t.Errorf("%s: %d studies, %v", c.path, len(studies), err)
		}
		for _, study := range studies {
			if study.Refusal() != nil {
				t.Errorf("%s: refused: %v", c.path, study.Refusal())
			}
			for _, series := range study.Study().Series {
				if series.Eligible || series.Why == "" {
					t.Errorf("%s: series %s: eligible %v because %q", c.path, series.Description, series.Eligible, series.Why)
				}
				for why := range c.why {
					if strings.HasPrefix(series.Why, why) {
						c.why[why] = false
					}
				}
			}
			if err := study.Close(); err != nil {
				t.Error(err)
			}
		}
		for why, missing := range c.why {
			if missing {
				t.Errorf("%s: no series says %q", c.path, why)
			}
		}
	}
}

// Names come out in UTF-8 whatever they were stored in.
func TestRealCharacterSets(t *testing.T) {
	cases := map[string]string{
		"chrArab": "قباني^لنزار", "chrFren": "Buc^Jérôme", "chrFrenMulti": "Buc^Jérôme", "chrGerm": "Äneas^Rüdiger",
		"chrGreek": "Διονυσιος", "chrH31": "Yamada^Tarou=山田^太郎=やまだ^たろう", "chrH32": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
		"chrHbrw": "שרון^דבורה", "chrI2": "Hong^Gildong=洪^吉洞=홍^길동", "chrJapMulti": "やまだ^たろう", "chrJapMultiExplicitIR6": "やまだ^たろう",
		"chrKoreanMulti": "김희중", "chrRuss": "Люкceмбypг", "chrX1": "Wang^XiaoDong=王^小東", "chrX2": "Wang^XiaoDong=王^小东",
	}
	for file, want := range cases {
		study := open(t, dicomio.Options{}, data(t, "dicom", "charsets", file+".dcm"))
		if got := study.Study().Patient.Name; got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(data(t, "dicom", "charsets"), "*.dcm"))
	if err != nil || len(files) < len(cases) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files { // also those that hold a sequence and no study
		studies, skipped, err := dicomio.Scan(t.Context(), dicomio.Paths([]string{file}), dicomio.Options{})
		if err != nil || len(studies)+skipped.Other != 1 {
			t.Errorf("%s: %d studies, %+v, %v", file, len(studies), skipped, err)
		}
		for _, study := range studies {
			if name := study.Study().Patient.Name; strings.ContainsRune(name, '\uFFFD') || study.Refusal() != nil {
				t.Errorf("%s: %q, %v", file, name, study.Refusal())
			}
			if err := study.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
