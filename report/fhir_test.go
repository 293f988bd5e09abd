package report_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/report"
)

var server = report.FHIR{PatientSystem: "urn:oid:1.2.3.4", AccessionSystem: "https://hospital.example/accession"}

func TestBundle(t *testing.T) {
	cases := []struct {
		name   string
		change []func(*report.Annotation)
		former report.FHIRReport
		want   []string // what the judge finds
	}{
		{"flagged", nil, report.FHIRReport{}, []string{"Device", "Observation", "Observation", "DiagnosticReport", "Flag"}},
		{"revised", []func(*report.Annotation){notFlagged, func(a *report.Annotation) { a.Finding.Replaces = "c6f2" }},
			report.FHIRReport{ID: "12", Version: `W/"3"`}, []string{"Device", "Observation", "Observation", "DiagnosticReport"}},
		{"refused", []func(*report.Annotation){refused}, report.FHIRReport{}, []string{"Device", "Observation", "DiagnosticReport"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bundle, err := server.Bundle(annotation(c.change...), c.former)
			if err != nil {
				t.Fatal(err)
			}
			if again, _ := server.Bundle(annotation(c.change...), c.former); !bytes.Equal(again, bundle) {
				t.Error("made again, it is another bundle")
			}
			var shown bytes.Buffer
			if err := json.Indent(&shown, bundle, "", " "); err != nil {
				t.Fatal(err)
			}
			kit.Golden(t, "testdata/fhir-"+c.name+".json", shown.String())
			t.Run("for an independent reader", func(t *testing.T) {
				var got []string
				judge(t, "fhir", bundle, &got)
				if !slices.Equal(got, c.want) {
					t.Errorf("resources %v, want %v", got, c.want)
				}
			})
		})
	}
}

// entry is what a server looks at first.
type entry struct {
	FullURL  string `json:"fullUrl"`
	Resource struct {
		ResourceType, Status string
	} `json:"resource"`
	Request struct{ Method, URL, IfNoneExist, IfMatch string } `json:"request"`
}

func entries(t *testing.T, a report.Annotation, former report.FHIRReport) []entry {
	t.Helper()
	text, err := server.Bundle(a, former)
	if err != nil {
		t.Fatal(err)
	}
	var bundle struct{ Entry []entry }
	if err := json.Unmarshal(text, &bundle); err != nil {
		t.Fatal(err)
	}
	return bundle.Entry
}

// TestBundleIsRepeatable demands that nothing is created without a condition, and
// that the only thing replaced is the report, in the version that was looked at.
func TestBundleIsRepeatable(t *testing.T) {
	for _, former := range []report.FHIRReport{{}, {ID: "12", Version: `W/"3"`}} {
		urls := map[string]bool{}
		for _, e := range entries(t, annotation(), former) {
			r := e.Request
			switch {
			case urls[e.FullURL]:
				t.Errorf("%s stands twice", e.FullURL)
			case r.Method == "POST" && (r.IfNoneExist == "" || r.URL != e.Resource.ResourceType):
				t.Errorf("%+v is created every time", r)
			case r.Method == "PUT" && (r.URL != "DiagnosticReport/12" || r.IfMatch != former.Version || e.Resource.Status != "amended"):
				t.Errorf("%+v, %s", r, e.Resource.Status)
			case r.Method == "PUT" && former.ID == "":
				t.Errorf("%+v replaces what nobody looked at", r)
			}
			urls[e.FullURL] = true
		}
	}
}

// TestBundleIdentities says what is shared between findings and what is not.
func TestBundleIdentities(t *testing.T) {
	condition := func(change func(*report.Annotation), kind string) string {
		for _, e := range entries(t, annotation(change), report.FHIRReport{}) {
			if e.Resource.ResourceType == kind {
				return e.Request.IfNoneExist
			}
		}
		return ""
	}
	same := func(*report.Annotation) {}
	anew := func(a *report.Annotation) { a.Finding.ID = "other" }
	retrained := func(a *report.Annotation) { a.Finding.Model.Digest = "sha256:0100" }
	cases := []struct {
		kind   string
		change func(*report.Annotation)
		other  bool
	}{
		{"Device", anew, false}, {"Device", retrained, true},
		{"Observation", anew, true},
		{"DiagnosticReport", anew, false}, {"Flag", anew, false},
	}
	for _, c := range cases {
		if got := condition(c.change, c.kind) != condition(same, c.kind); got != c.other {
			t.Errorf("%s: another identity is %v, want %v", c.kind, got, c.other)
		}
	}
}

func TestBundlePatient(t *testing.T) {
	cases := []struct {
		name     string
		server   report.FHIR
		patient  neurotriage.Patient
		has, not string
	}{
		{"logical", server, neurotriage.Patient{ID: "7"}, `"type":"Patient","identifier":{"system":"urn:oid:1.2.3.4","value":"7"}`, "Patient?"},
		{"looked up", report.FHIR{PatientSystem: "urn:x", FindPatient: true}, neurotriage.Patient{ID: "7&8"}, `"reference":"Patient?identifier=urn%3Ax%7C7%268"`, "7&8"},
		{"no system", report.FHIR{}, neurotriage.Patient{ID: "MRN7"}, "patient of study", "MRN7"},
		{"nobody", server, neurotriage.Patient{}, "patient of study", `"Patient"`},
		{"no name", server, neurotriage.Patient{ID: "7", Name: "Doe^Jane"}, "urn:oid:1.2.3.4", "Doe"},
	}
	for _, c := range cases {
		text, err := c.server.Bundle(annotation(func(a *report.Annotation) { a.Study.Patient = c.patient }), report.FHIRReport{})
		if err != nil || !strings.Contains(string(text), c.has) || strings.Contains(string(text), c.not) {
			t.Errorf("%s: %v\n%s", c.name, err, text)
		}
	}
	if got, want := server.ReportQuery("1.2"), "DiagnosticReport?identifier=urn%3Aneurotriage%3Astudy%7C1.2"; got != want {
		t.Errorf("query %s, want %s", got, want)
	}
}
