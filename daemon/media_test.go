package daemon

import (
	"bytes"
	"fmt"
	"image/png"
	"log/slog"
	"strings"
	"testing"

	"neurotriage"
)

// keyed is a reading with n key slices, each a ramp.
func keyed(n int) neurotriage.Reading {
	r := neurotriage.Reading{
		Finding: neurotriage.Finding{ID: "f", StudyInstanceUID: fakeStudy}, Labels: []string{"glioma", "normal"},
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
	media, err := illustrator{log: slog.New(slog.NewTextHandler(&log, nil))}.media(broken)
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
		if bytes.Contains(one.Data, []byte("DOE")) || bytes.Contains(one.Data, []byte("4711")) {
			t.Errorf("%s names the patient", one.Name)
		}
	}
	if got, want := fmt.Sprint(names), "[reading.json key-1.png key-3.png keys.slices]"; got != want {
		t.Errorf("media %s, want %s", got, want)
	}
	if strings.Count(log.String(), "has no picture") != 1 {
		t.Errorf("log %q", &log)
	}
}

func TestNoKeySlicesNoPictures(t *testing.T) {
	media, err := illustrator{log: slog.New(slog.DiscardHandler)}.media(keyed(0))
	if err != nil || len(media) != 1 || media[0].Name != "reading.json" {
		t.Errorf("media %v, %v", media, err)
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
