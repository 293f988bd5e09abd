package daemon

import (
	"bytes"
	"fmt"
	"image/png"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"neurotriage"
)

// keyed is a reading with n key slices, each a ramp.
func keyed(n int) neurotriage.Reading {
	r := neurotriage.Reading{
		Finding: neurotriage.Finding{ID: "f", StudyInstanceUID: fakeStudy, Disposition: neurotriage.GliomaReview}, Labels: []string{"glioma", "normal"},
		Study: neurotriage.Study{UID: fakeStudy, Patient: neurotriage.Patient{Name: "DOE^JOHN", ID: "4711"}},
	}
	for range n {
		key := neurotriage.KeyImage{
			Slice: neurotriage.Slice{Rows: 8, Columns: 8, Pixels: make([]float32, 64)}, Label: "glioma", Probabilities: []float64{.9, .1},
			Window: [2]float64{0, 64}, Map: neurotriage.HeatMap{Rows: 1, Columns: 1, Values: []float32{1}, Size: [2]float64{8, 8}},
		}
		for i := range key.Slice.Pixels {
			key.Slice.Pixels[i] = float32(i)
		}
		r.Keys = append(r.Keys, key)
		r.Finding.KeySlices = append(r.Finding.KeySlices, neurotriage.KeySlice{SOPInstanceUID: "1.2", Frame: 1, Probability: .9})
	}
	return r
}

func TestMedia(t *testing.T) {
	broken := keyed(3)
	broken.Keys[1].Slice.Pixels = nil // cannot be drawn
	var log bytes.Buffer
	media, err := illustrator{log: slog.New(slog.NewTextHandler(&log, nil)), version: "1"}.media(broken)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range media {
		names = append(names, one.Name)
		if one.ContentType == "image/png" {
			if _, err := png.Decode(bytes.NewReader(one.Data)); err != nil {
				t.Errorf("%s: %v", one.Name, err)
			}
		}
		named := bytes.Contains(one.Data, []byte("DOE")) || bytes.Contains(one.Data, []byte("4711"))
		if inside := one.Name == headersName || strings.HasSuffix(one.Name, ".dcm"); named != inside {
			t.Errorf("%s names the patient: %v, want %v", one.Name, named, inside)
		}
		if (one.Report.Kind != "") != strings.HasSuffix(one.Name, ".dcm") || one.Report.Kind != "" && one.Name != one.Report.SOPInstanceUID+".dcm" {
			t.Errorf("%s is report %+v", one.Name, one.Report)
		}
	}
	uid := func(what string) string { return neurotriage.DerivedUID("f", what) + ".dcm" }
	want := fmt.Sprint([]string{
		"reading.json", "study.json", "key-1.png", "key-3.png", "keys.slices", uid("key image 1"), uid("key image 3"), uid("sr"),
	})
	if got := fmt.Sprint(names); got != want {
		t.Errorf("media %s\nwant  %s", got, want)
	}
	if strings.Count(log.String(), "has no picture") != 1 {
		t.Errorf("log %q", &log)
	}
}

func TestNoKeySlicesNoPictures(t *testing.T) {
	media, err := illustrator{log: slog.New(slog.DiscardHandler)}.media(keyed(0))
	var names []string
	for _, one := range media {
		names = append(names, one.Name)
	}
	if want := []string{"reading.json", "study.json", neurotriage.DerivedUID("f", "sr") + ".dcm"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("media %v, %v", names, err)
	}
}

func BenchmarkMedia(b *testing.B) {
	reading := keyed(5)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (illustrator{log: slog.New(slog.DiscardHandler)}).media(reading); err != nil {
			b.Fatal(err)
		}
	}
}
