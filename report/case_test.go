package report_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
	"neurotriage/report"
)

// labels are the model's, in card order.
var labels = []string{neurotriage.Glioma, neurotriage.Meningioma, neurotriage.Normal, neurotriage.Pituitary}

// model is a model with a whole digest.
var model = neurotriage.ModelRef{
	Name: "mobilenetv3-large", Version: "2026.11.1", Runtime: "cpu",
	Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}

var finished = time.Date(2026, 11, 24, 9, 30, 15, 250_000_000, time.UTC)

// aCase is one reading to be reported, by its name.
type aCase struct {
	name    string
	reading neurotriage.Reading
	kinds   []string // of the objects, in order
}

// t1c is a study of one series with contrast agent.
func t1c(name string, slices int) kit.Study {
	return kit.Study{Name: name, Series: []kit.Series{{Name: "t1c", Agent: "Gadovist", Images: kit.Heads(slices, 64, 64)}}}
}

// headers opens a study.
func headers(t testing.TB, study kit.Study) *dicomio.Study {
	t.Helper()
	data := study.Zip()
	opened, err := dicomio.Open(t.Context(), dicomio.Zip(bytes.NewReader(data), int64(len(data))), dicomio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// conclude makes a reading of a study with these probabilities; keys is the
// number of key slices, which show the label of most evidence.
func conclude(t testing.TB, opened *dicomio.Study, disposition neurotriage.Disposition, reason neurotriage.Reason, p []float64, keys int) neurotriage.Reading {
	t.Helper()
	study := opened.Study()
	f := neurotriage.Finding{
		Schema: neurotriage.FindingSchema, StudyInstanceUID: study.UID, Status: neurotriage.StatusRead, Reason: reason,
		Disposition: disposition, Thresholds: neurotriage.Thresholds{GliomaReview: 0.17}, Model: model, Warnings: []string{},
		Started: finished.Add(-time.Second), Finished: finished,
	}
	f.ID = neurotriage.UUIDv5([16]byte{1}, study.UID+string(disposition)+string(reason))
	lead := neurotriage.Glioma
	if p != nil {
		f.Probabilities = map[string]float64{}
		for i, label := range labels {
			f.Probabilities[label] = p[i]
		}
		f.Predicted = labels[slices.Index(p, slices.Max(p))]
		f.PredictionSet = []string{f.Predicted}
		f.Flags.GliomaReview = disposition == neurotriage.GliomaReview
		if disposition == neurotriage.TumourSuspected {
			lead = f.Predicted
		}
	}
	reading := neurotriage.Reading{Study: study, Labels: labels}
	for _, series := range study.Series {
		of := neurotriage.SeriesFinding{
			SeriesInstanceUID: series.UID, Eligible: series.Eligible, Why: series.Why, Slices: len(series.Slices), Sequence: series.Sequence,
		}
		if series.Eligible {
			of.Probabilities = f.Probabilities
		}
		f.Series = append(f.Series, of)
	}
	if keys > 0 {
		reading.Keys = keysOf(t, opened, lead, p, keys)
	}
	for _, key := range reading.Keys {
		f.KeySlices = append(f.KeySlices, neurotriage.KeySlice{SOPInstanceUID: key.Slice.SOPInstanceUID, Frame: key.Slice.Frame, Probability: 0.9})
	}
	reading.Finding = f
	return reading
}

// keysOf reads the middle slices of a study as its key slices.
func keysOf(t testing.TB, opened *dicomio.Study, label string, p []float64, keys int) []neurotriage.KeyImage {
	t.Helper()
	var list []neurotriage.KeyImage
	for slice, err := range opened.Slices(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, neurotriage.KeyImage{
			Slice: slice, Label: label, Probabilities: p, Window: [2]float64{0, 1000},
			Map: neurotriage.HeatMap{
				Rows: 3, Columns: 3, Values: []float32{0, .1, 0, .2, .3, 1, 0, .1, .2},
				Size: [2]float64{float64(slice.Rows), float64(slice.Columns)},
			},
		})
	}
	from := (len(list) - keys) / 2
	return list[from : from+keys]
}

var (
	glioma     = []float64{0.91, 0.05, 0.01, 0.03}
	meningioma = []float64{0.02, 0.9, 0.03, 0.05}
	normal     = []float64{0.01, 0.01, 0.97, 0.01}
	undecided  = []float64{0.12, 0.4, 0.38, 0.1}
)

// hostile is a study whose headers hold what headers should not.
func hostile() kit.Study {
	s := t1c("hostile", 12)
	s.PatientName = "Yamada^Tarou\x07=山田^太郎=やまだ^たろう="
	s.PatientID, s.BirthDate = "ID\\WITH\\BACKSLASHES", "born in May"
	s.Description = "first line\r\nsecond\tline äöü"
	s.Series[0].Extra = []kit.Element{
		{Tag: 0x00080090, VR: "PN", Value: "Ärztin^Zoë^^Dr.^^^^too^many"}, {Tag: 0x00080030, VR: "TM", Value: "noon"},
		{Tag: 0x00100021, VR: "LO", Value: "Haus\x07"}, {Tag: 0x00100040, VR: "CS", Value: "X"},
		{Tag: 0x00080201, VR: "SH", Value: "+25x"}, {Tag: 0x00200010, VR: "SH", Value: "a study id that is much too long"},
	}
	return s
}

// cases are the readings that the validators judge.
func cases(t testing.TB) []aCase {
	t.Helper()
	sr := []string{report.KindSR}
	withKeys := func(n int, kinds ...string) []string {
		return append(slices.Repeat([]string{report.KindKeyImage}, n), append(kinds, report.KindSR)...)
	}
	named := t1c("flagged", 12)
	named.Series[0].Extra = []kit.Element{
		{Tag: 0x00080090, VR: "PN", Value: "Referrer^Ruth"}, {Tag: 0x00100021, VR: "LO", Value: "HOSPITAL"},
		{Tag: 0x00080201, VR: "SH", Value: "+0130"}, {Tag: 0x00200010, VR: "SH", Value: "S1"},
	}
	flagged := conclude(t, headers(t, named), neurotriage.GliomaReview, "", glioma, 3)
	flagged.Finding.Warnings = []string{"series 1.2: 1 of 12 slices could not be read (corrupt_dicom 1)"}

	two := t1c("two", 12)
	two.Series = append(two.Series, kit.Series{Name: "t1", Images: kit.Heads(12, 64, 64)})
	two.Series[1].Stack.Right, two.Series[1].Stack.Down = [3]float64{1, 0, 0}, [3]float64{0, 0, -1}

	enhanced := t1c("enhanced", 12)
	enhanced.Series[0].Enhanced = true

	revision := conclude(t, headers(t, t1c("revision", 13)), neurotriage.NotFlagged, "", normal, 0)
	revision.Finding.Replaces = "0b6b7a0e-0000-5000-8000-000000000001"
	revision.Replaced = []neurotriage.ReportRef{
		{Kind: report.KindKeyImage, SOPInstanceUID: neurotriage.DerivedUID(revision.Finding.Replaces, "key image 1")},
		{Kind: report.KindSR, SOPInstanceUID: neurotriage.DerivedUID(revision.Finding.Replaces, "sr")},
	}

	torn := conclude(t, headers(t, t1c("torn", 12)), neurotriage.Refused, neurotriage.CorruptDICOM, nil, 0)
	torn.Finding.Status = neurotriage.StatusRefused
	list := []aCase{
		{"flagged", flagged, withKeys(3, report.KindKeyObject)},
		{"tumour suspected", conclude(t, headers(t, two), neurotriage.TumourSuspected, "", meningioma, 2), withKeys(2)},
		{"flagged, enhanced", conclude(t, headers(t, enhanced), neurotriage.GliomaReview, "", glioma, 2), withKeys(2, report.KindKeyObject)},
		{"not flagged", conclude(t, headers(t, t1c("clear", 12)), neurotriage.NotFlagged, "", normal, 2), sr},
		{"revision", revision, sr},
		{"refused", torn, sr},
		{"hostile", conclude(t, headers(t, hostile()), neurotriage.GliomaReview, "", glioma, 1), withKeys(1, report.KindKeyObject)},
	}
	t2 := kit.Study{Name: "t2", Series: []kit.Series{{Description: "T2 TSE AX", Timing: kit.Timing{TR: 4000, TE: 100}, Images: kit.Heads(12, 64, 64)}}}
	nothing := conclude(t, headers(t, t2), neurotriage.NotAssessable, neurotriage.NothingEligible, nil, 0)
	nothing.Finding.Status = neurotriage.StatusNotAssessable
	list = append(list, aCase{"nothing eligible", nothing, sr})
	for _, reason := range []neurotriage.Reason{neurotriage.NoContrast, neurotriage.Incomplete, neurotriage.OutOfDomain, neurotriage.Uncertain} {
		list = append(list, aCase{string(reason), conclude(t, headers(t, t1c(string(reason), 12)), neurotriage.NotAssessable, reason, undecided, 1), sr})
	}
	return list
}

// objects makes a reading's objects, all of them.
func objects(t testing.TB, reading neurotriage.Reading) []report.Object {
	t.Helper()
	made, err := report.Objects(reading, report.Context{Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// kinds lists the kinds of objects.
func kinds(made []report.Object) []string {
	list := make([]string, len(made))
	for i, object := range made {
		list[i] = object.Kind
	}
	return list
}

// one gives the first object of a kind.
func one(t testing.TB, made []report.Object, kind string) report.Object {
	t.Helper()
	at := slices.IndexFunc(made, func(o report.Object) bool { return o.Kind == kind })
	if at < 0 {
		t.Fatalf("there is no %s among %v", kind, kinds(made))
	}
	return made[at]
}
