package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/report"
)

func TestReadingNamesNoPatient(t *testing.T) {
	var out bytes.Buffer
	reading := phantom(64, 64, [2]float64{3, 3}, blob{20, 20})
	if err := report.WriteReading(&out, reading); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"Doe", "MRN-77", "19700101"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the written reading holds %q", secret)
		}
	}
	if reading.Study.Patient.ID != "MRN-77" {
		t.Error("writing changed the caller's reading")
	}
}

func TestReadingComesBack(t *testing.T) {
	var out bytes.Buffer
	want := phantom(64, 64, [2]float64{3, 3}, blob{20, 20})
	want.Study.Description = "T1 <post> & pre"
	if err := report.WriteReading(&out, want); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), want.Study.Description) {
		t.Error("angle brackets of a description are escaped")
	}
	var got neurotriage.Reading
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Finding.Model != want.Finding.Model || got.Keys[0].Label != want.Keys[0].Label ||
		len(got.Keys[0].Map.Values) != len(want.Keys[0].Map.Values) {
		t.Errorf("read back %+v", got.Finding)
	}
}
