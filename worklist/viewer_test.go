package worklist_test

import (
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/worklist"
)

func TestSlicesComeFromTheStudyOrFromTheFinding(t *testing.T) {
	o := newOffice(t, worklist.Viewer)
	reading := `{"labels":["glioma"],"series":[{"series_instance_uid":"1.3.9","slices":[{"sop_instance_uid":"1.3.1","frame":1},{"sop_instance_uid":"1.3.2","frame":1}]}],
		"keys":[{"slice":{"sop_instance_uid":"1.3.2","frame":1},"map":{"rows":1,"columns":1,"values":[1]}}]}`
	o.shelf.media["id-1.3/reading.json"] = []byte(reading)
	key := neurotriage.KeyImage{Slice: neurotriage.Slice{Rows: 1, Columns: 2, Pixels: []float32{-5, 7}}}
	o.shelf.media["id-1.3/"+worklist.KeysName] = worklist.PackKeys([]neurotriage.KeyImage{key})
	if _, body, _ := get(t, o.server, "/study/1.3/slice/1/2"); body != "packed 1.3.2" || o.asked[0].SeriesInstanceUID != "1.3.9" {
		t.Errorf("from the study: %q, asked %+v", body, o.asked)
	}
	o.fault = worklist.ErrNotFound
	if _, body, _ := get(t, o.server, "/study/1.3/slice/1/2"); !strings.HasPrefix(body, "NTS1") {
		t.Errorf("a key slice of a study that left: %q", body)
	}
	for _, path := range []string{"/study/1.3/slice/1/1", "/study/1.3/slice/1/3", "/study/1.3/slice/0/1", "/study/1.3/slice/x/1", "/study/1.4/slice/1/1"} {
		if status, _, _ := get(t, o.server, path); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
	o.fault = errors.New("the share hangs")
	if status, _, _ := get(t, o.server, "/study/1.3/slice/1/1"); status != http.StatusServiceUnavailable {
		t.Errorf("a fault that passes: status %d, want 503", status)
	}
	if _, body, _ := get(t, o.server, "/study/1.3/viewer.json"); !strings.Contains(body, `"/study/1.3/slice/1/2"`) || !strings.Contains(body, `"slice": 1`) {
		t.Errorf("viewer.json: %s", body)
	}
}

func TestPack(t *testing.T) {
	nan := float32(math.NaN())
	cases := []struct {
		name   string
		pixels []float32
		most   float64 // error
		shown  []float64
	}{
		{"whole numbers are exact", []float32{-1024, 0, 3071}, 0, []float64{-1024, 0, 3071}},
		{"the whole range is exact", []float32{0, 65535, 1}, 0, []float64{0, 65535, 1}},
		{"fractions are near", []float32{0.1, 0.5, 0.9}, 0.8 / 65535, []float64{0.1, 0.5, 0.9}},
		{"a wide range is near", []float32{-1e6, 0, 1e6}, 2e6 / 65535, []float64{-1e6, 0, 1e6}},
		{"one value", []float32{7, 7, 7}, 0, []float64{7, 7, 7}},
		{"what is no number is black", []float32{nan, 3, 5}, 0, []float64{3, 3, 5}},
	}
	for _, c := range cases {
		packed, err := worklist.Pack(neurotriage.Slice{Rows: 1, Columns: 3, Spacing: [2]float64{2, 1}, Pixels: c.pixels})
		if err != nil || len(packed) != 24+6 || string(packed[:4]) != "NTS1" {
			t.Fatalf("%s: %v, %q", c.name, err, packed)
		}
		real32 := func(at int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(packed[at:]))) }
		if real32(8) != 2 || real32(12) != 1 {
			t.Errorf("%s: spacing %v, %v", c.name, real32(8), real32(12))
		}
		for i, want := range c.shown {
			got := real32(16)*float64(binary.LittleEndian.Uint16(packed[24+2*i:])) + real32(20)
			if math.Abs(got-want) > c.most+1e-7 {
				t.Errorf("%s: pixel %d is %v, want %v", c.name, i, got, want)
			}
		}
	}
	if _, err := worklist.Pack(neurotriage.Slice{Rows: 2, Columns: 2, Pixels: []float32{1}}); err == nil {
		t.Error("a slice without its pixels was packed")
	}
}

func TestNotAssessableStandsWithNotRead(t *testing.T) {
	s := sample()
	s.entries[5].State = worklist.Read // opened and scored, and not assessable all the same
	if _, body, _ := get(t, serve(t, s), "/?show=not_read"); shown(body) != "1.2 1.6" {
		t.Errorf("not read: %q", shown(body))
	}
	if _, body, _ := get(t, serve(t, s), "/"); shown(body) != "1.7 1.3 1.4 1.2 1.6 1.5 1.1" {
		t.Errorf("order: %q", shown(body))
	}
}
