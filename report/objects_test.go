package report_test

import (
	"bytes"
	"fmt"
	"image"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/report"
)

// caseNamed gives one of the cases.
func caseNamed(t testing.TB, name string) aCase {
	t.Helper()
	list := cases(t)
	at := slices.IndexFunc(list, func(c aCase) bool { return c.name == name })
	if at < 0 {
		t.Fatalf("there is no case %q", name)
	}
	return list[at]
}

// What each report says, for people to read.
func TestStructuredReports(t *testing.T) {
	for _, c := range cases(t) {
		sr := one(t, objects(t, c.reading), report.KindSR)
		kit.Golden(t, "testdata/sr/"+strings.NewReplacer(" ", "-", ",", "").Replace(c.name)+".txt", outline(parsed(t, sr)))
	}
}

func TestKeyObjectSelection(t *testing.T) {
	c := caseNamed(t, "flagged")
	kit.Golden(t, "testdata/sr/key-object.txt", outline(parsed(t, one(t, objects(t, c.reading), report.KindKeyObject))))
}

// All objects of a study say the same of patient, study and equipment.
func TestHeaders(t *testing.T) {
	type fact struct {
		group, element uint16
		want           string
	}
	common := []fact{
		{0x0008, 0x0005, "ISO_IR 192"}, {0x0008, 0x0070, "neurotriage"}, {0x0008, 0x1090, "mobilenetv3-large"},
		{0x0018, 0x1000, strings.TrimPrefix(model.Digest, "sha256:")}, {0x0018, 0x1002, neurotriage.DeviceUID(model.Digest)},
		{0x0018, 0x1020, `1.2.3\2026.11.1`},
	}
	cases := []struct {
		name  string
		facts []fact
	}{
		{"flagged", []fact{
			{0x0010, 0x0010, "Kit^Patient"}, {0x0010, 0x0020, "KIT1"}, {0x0010, 0x0021, "HOSPITAL"}, {0x0010, 0x0030, "19700101"},
			{0x0010, 0x0040, "O"}, {0x0020, 0x000D, kit.UID("flagged")}, {0x0020, 0x0010, "S1"}, {0x0008, 0x0020, "20260102"},
			{0x0008, 0x0030, "101500"}, {0x0008, 0x0050, "A1"}, {0x0008, 0x0090, "Referrer^Ruth"}, {0x0008, 0x1030, "MR examination"},
			{0x0008, 0x0201, "+0130"}, {0x0008, 0x0023, "20261124"}, {0x0008, 0x0033, "110015.250000"}, // our time in the study's zone
		}},
		{"hostile", []fact{
			{0x0010, 0x0010, "Yamada^Tarou=山田^太郎=やまだ^たろう"}, {0x0010, 0x0020, ""}, {0x0010, 0x0030, ""}, {0x0010, 0x0040, ""},
			{0x0008, 0x0090, "Ärztin^Zoë^^Dr."}, {0x0008, 0x0030, ""}, {0x0008, 0x1030, "first line  second line äöü"},
			{0x0020, 0x0010, "a study id that"}, {0x0008, 0x0023, "20261124"}, {0x0008, 0x0033, "093015.250000"},
		}},
	}
	for _, c := range cases {
		for _, object := range objects(t, caseNamed(t, c.name).reading) {
			elements := parsed(t, object)
			for _, f := range append(c.facts, common...) {
				if got, there := value(elements, f.group, f.element); !there || got != f.want {
					t.Errorf("%s, %s: (%04x,%04x) is %q, want %q", c.name, object.Kind, f.group, f.element, got, f.want)
				}
			}
			if equipment := items(elements, 0x0018, 0xA001); len(equipment) != 1 {
				t.Errorf("%s, %s: contributing equipment %v", c.name, object.Kind, equipment)
			} else if uid, _ := value(equipment[0], 0x0018, 0x1002); uid != neurotriage.DeviceUID(model.Digest) {
				t.Errorf("%s, %s: the contributing device is %q", c.name, object.Kind, uid)
			}
		}
	}
}

// An accession number longer than the standard allows is what its site uses.
func TestIdentifiersAreWholeOrAbsent(t *testing.T) {
	cases := []struct{ given, want string }{
		{"2026-11-24-MR-000123456", "2026-11-24-MR-000123456"},
		{strings.Repeat("9", 65), ""},
		{`A\B`, ""}, {"A\x00B", ""},
	}
	reading := caseNamed(t, "not flagged").reading
	for _, c := range cases {
		reading.Study.AccessionNumber, reading.Study.Patient.ID = c.given, c.given
		elements := parsed(t, one(t, objects(t, reading), report.KindSR))
		accession, _ := value(elements, 0x0008, 0x0050)
		patient, _ := value(elements, 0x0010, 0x0020)
		if accession != c.want || patient != c.want {
			t.Errorf("%q became accession number %q and patient id %q, want %q", c.given, accession, patient, c.want)
		}
	}
}

// A document references nothing that its evidence does not list.
func TestEvidenceIsComplete(t *testing.T) {
	for _, c := range cases(t) {
		for _, object := range objects(t, c.reading) {
			if object.Kind == report.KindKeyImage {
				continue
			}
			elements := parsed(t, object)
			listed, studies := evidence(elements, 0xA375)
			for _, uid := range referenced(elements) {
				if !slices.Contains(listed, uid) {
					t.Errorf("%s, %s: %s is referenced and no evidence", c.name, object.Kind, uid)
				}
			}
			if len(studies) > 1 || len(studies) == 1 && studies[0] != c.reading.Study.UID {
				t.Errorf("%s, %s: evidence of studies %v", c.name, object.Kind, studies)
			}
			for _, uid := range c.reading.Study.EligibleSOPs() {
				if object.Kind == report.KindSR && !slices.Contains(listed, uid) {
					t.Errorf("%s: instance %s was to be read and is no evidence", c.name, uid)
				}
			}
		}
	}
}

func TestRevisionNamesItsPredecessor(t *testing.T) {
	c := caseNamed(t, "revision")
	former, studies := evidence(parsed(t, one(t, objects(t, c.reading), report.KindSR)), 0xA360)
	if want := neurotriage.DerivedUID(c.reading.Finding.Replaces, "sr"); !slices.Equal(former, []string{want}) || !slices.Equal(studies, []string{c.reading.Study.UID}) {
		t.Errorf("predecessor %v of studies %v, want %s", former, studies, want)
	}
	c.reading.Replaced = nil // the former finding had no report
	if former, _ := evidence(parsed(t, one(t, objects(t, c.reading), report.KindSR)), 0xA360); len(former) != 0 {
		t.Errorf("predecessor %v, which does not exist", former)
	}
}

func TestCaptures(t *testing.T) {
	c := caseNamed(t, "flagged, enhanced")
	pictures, err := report.DrawKeyImages(c.reading)
	if err != nil {
		t.Fatal(err)
	}
	object := one(t, objects(t, c.reading), report.KindKeyImage)
	elements := parsed(t, object)
	size := pictures[0].Bounds().Size()
	facts := []struct {
		group, element uint16
		want           string
	}{
		{0x0008, 0x0008, `DERIVED\SECONDARY`}, {0x0028, 0x0301, "YES"}, {0x0028, 0x0004, "RGB"}, {0x0020, 0x0020, `L\P`},
		{0x0028, 0x0010, fmt.Sprint(size.Y)}, {0x0028, 0x0011, fmt.Sprint(size.X)}, {0x0008, 0x0060, "OT"},
		{0x0028, 0x0030, `0.46875\0.46875`}, // 240 mm on 512 pixels
	}
	for _, f := range facts {
		if got, _ := value(elements, f.group, f.element); got != f.want {
			t.Errorf("(%04x,%04x) is %q, want %q", f.group, f.element, got, f.want)
		}
	}
	source := items(elements, 0x0008, 0x2112)
	if frame, _ := value(source[0], 0x0008, 0x1160); frame != fmt.Sprint(c.reading.Keys[0].Slice.Frame) {
		t.Errorf("the source is frame %q", frame)
	}
	pixels := object.Bytes[len(object.Bytes)-3*size.X*size.Y:]
	for _, at := range []image.Point{{0, 0}, {size.X / 4, size.Y / 3}, {size.X - 1, size.Y - 1}, {100, size.Y - 40}} {
		got := pixels[3*(at.Y*size.X+at.X):][:3]
		if want := pictures[0].Pix[pictures[0].PixOffset(at.X, at.Y):][:3]; !bytes.Equal(got, want) {
			t.Errorf("pixel %v is %v, drawn %v", at, got, want)
		}
	}
}

// Equal readings give equal bytes, whoever drew the pictures; other times and
// versions do not change the UIDs.
func TestObjectsAreDeterministic(t *testing.T) {
	for _, c := range cases(t) {
		first, again := objects(t, c.reading), objects(t, c.reading)
		pictures, err := report.DrawKeyImages(c.reading)
		if err != nil {
			t.Fatal(err)
		}
		drawn, err := report.Objects(c.reading, report.Context{Version: "1.2.3", Zone: time.UTC, Pictures: pictures})
		if err != nil {
			t.Fatal(err)
		}
		later := c.reading
		later.Finding.Finished = later.Finding.Finished.Add(time.Hour)
		moved := objects(t, later)
		for i := range first {
			if !bytes.Equal(first[i].Bytes, again[i].Bytes) || !bytes.Equal(first[i].Bytes, drawn[i].Bytes) {
				t.Errorf("%s: the %s differs from run to run", c.name, first[i].Kind)
			}
			if moved[i].SOPInstanceUID != first[i].SOPInstanceUID || bytes.Equal(moved[i].Bytes, first[i].Bytes) {
				t.Errorf("%s: an hour later the %s has UID %s (was %s)", c.name, first[i].Kind, moved[i].SOPInstanceUID, first[i].SOPInstanceUID)
			}
		}
	}
}

// The model cannot know that there is no abnormality.
func TestNothingIsCodedAsNormal(t *testing.T) {
	for _, c := range cases(t) {
		for _, object := range objects(t, c.reading) {
			if bytes.Contains(object.Bytes, []byte("111286")) {
				t.Errorf("%s: the %s says that there is no abnormality", c.name, object.Kind)
			}
		}
	}
}

func TestWhatCannotBeMadeIsTold(t *testing.T) {
	c := caseNamed(t, "flagged")
	c.reading.Keys[1].Slice.Pixels = nil
	made, err := report.Objects(c.reading, report.Context{})
	if want := []string{"key_image", "key_image", "key_object", "sr"}; err == nil || !slices.Equal(kinds(made), want) {
		t.Errorf("objects %v (%v), want %v and an error", kinds(made), err, want)
	}
	other := c.reading.Study
	other.UID = "1.2.3"
	for name, study := range map[string]neurotriage.Study{"no": {}, "empty": {UID: c.reading.Study.UID}, "another study's": other} {
		c.reading.Study = study
		if made, err := report.Objects(c.reading, report.Context{}); len(made) != 0 || err != nil {
			t.Errorf("objects %v (%v) of a study with %s headers", kinds(made), err, name)
		}
	}
}

func BenchmarkObjects(b *testing.B) {
	reading := conclude(b, headers(b, t1c("large", 384)), neurotriage.GliomaReview, "", glioma, 5)
	pictures, err := report.DrawKeyImages(reading)
	if err != nil {
		b.Fatal(err)
	}
	bytes := 0
	b.ReportAllocs()
	for b.Loop() {
		made, err := report.Objects(reading, report.Context{Version: "1.2.3", Pictures: pictures})
		if err != nil {
			b.Fatal(err)
		}
		bytes = 0
		for _, object := range made {
			bytes += len(object.Bytes)
		}
	}
	b.ReportMetric(float64(bytes), "written-B")
}
