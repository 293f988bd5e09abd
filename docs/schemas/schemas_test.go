package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"neurotriage"
	"neurotriage/events"
)

func TestFilesAreUpToDate(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Keys(files)); !slices.Equal(committed, want) {
		t.Errorf("folder holds %q, the generator makes %q", committed, want)
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is out of date (%v): run go generate ./docs/schemas", name, err)
		}
	}
}

const (
	id     = "5f1d0c2e-9f5b-5c0a-8d0e-2b7f3f6c1a90"
	digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// read is a finding as the daemon makes it.
func read() neurotriage.Finding {
	p := map[string]float64{"glioma": 0.91, "meningioma": 0.05, "normal": 0.01, "pituitary": 0.03}
	return neurotriage.Finding{
		Schema: neurotriage.FindingSchema, ID: neurotriage.FindingKey{StudyInstanceUID: "1.2.3"}.ID(), StudyInstanceUID: "1.2.3",
		Status: neurotriage.StatusRead, Disposition: neurotriage.GliomaReview, Predicted: "glioma", Probabilities: p,
		Flags: neurotriage.Flags{GliomaReview: true}, Thresholds: neurotriage.Thresholds{GliomaReview: 0.17}, PredictionSet: []string{"glioma"},
		Series:    []neurotriage.SeriesFinding{{SeriesInstanceUID: "1.2.3.1", Eligible: true, Slices: 24, Probabilities: p}, {SeriesInstanceUID: "1.2.3.2"}},
		KeySlices: []neurotriage.KeySlice{{SOPInstanceUID: "1.2.3.1.7", Frame: 1, Probability: 0.97}},
		Model:     neurotriage.ModelRef{Name: "m", Version: "1", Digest: digest, Runtime: "cpu"},
		Warnings:  []string{}, Reports: []neurotriage.ReportRef{{Kind: "sr", SOPInstanceUID: "2.25.1"}},
		Started: time.Now(), Finished: time.Now(),
	}
}

func with(change func(*neurotriage.Finding)) neurotriage.Finding {
	f := read()
	change(&f)
	return f
}

// study is an announcement as a sender makes it.
func study(t *testing.T, change func(e *event.Event, data map[string]any)) any {
	t.Helper()
	e := event.New()
	e.SetID("e1")
	e.SetSource("ris/7")
	e.SetType("imaging.study.available.v1")
	e.SetTime(time.Now())
	data := map[string]any{
		"study_instance_uid": "1.2.3", "priority": "stat",
		"location": map[string]any{"kind": "directory", "root": "in", "path": "1.2.3"},
	}
	change(&e, data)
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestValues(t *testing.T) {
	announce := func(change func(e *event.Event, data map[string]any)) any { return study(t, change) }
	located := func(location map[string]any) any {
		return announce(func(_ *event.Event, data map[string]any) { data["location"] = location })
	}
	card, err := os.ReadFile("../../classifier/model/card.json")
	if err != nil {
		t.Fatal(err)
	}
	var model neurotriage.Model
	if err := json.Unmarshal(card, &model); err != nil {
		t.Fatal(err)
	}
	share, now := 0.4, time.Now()
	cases := []struct {
		name, schema string
		value        any
		wrong        string // where it is wrong; empty: right
	}{
		{"read", "finding.v1", read(), ""},
		{"not assessable", "finding.v1", with(func(f *neurotriage.Finding) {
			f.Status, f.Reason, f.Disposition = neurotriage.StatusNotAssessable, neurotriage.NothingEligible, neurotriage.NotAssessable
			f.Probabilities, f.Predicted, f.PredictionSet, f.KeySlices = nil, "", []string{}, []neurotriage.KeySlice{}
		}), ""},
		{"revision", "finding.v1", with(func(f *neurotriage.Finding) { f.Replaces = id }), ""},
		{"status", "finding.v1", with(func(f *neurotriage.Finding) { f.Status = "done" }), "/status"},
		{"no status", "finding.v1", with(func(f *neurotriage.Finding) { f.Status = "" }), "/status"},
		{"reason", "finding.v1", with(func(f *neurotriage.Finding) { f.Reason = "bored" }), "/reason"},
		{"disposition", "finding.v1", with(func(f *neurotriage.Finding) { f.Disposition = "no_tumour" }), "/disposition"},
		{"id", "finding.v1", with(func(f *neurotriage.Finding) { f.ID = "7" }), "/id"},
		{"study uid", "finding.v1", with(func(f *neurotriage.Finding) { f.StudyInstanceUID = "1..2" }), "/study_instance_uid"},
		{"study uid too long", "finding.v1", with(func(f *neurotriage.Finding) { f.StudyInstanceUID = strings.Repeat("1", 65) }), "/study_instance_uid"},
		{"series uid", "finding.v1", with(func(f *neurotriage.Finding) { f.Series[0].SeriesInstanceUID = "x" }), "/series/0/series_instance_uid"},
		{"sop uid", "finding.v1", with(func(f *neurotriage.Finding) { f.KeySlices[0].SOPInstanceUID = "" }), "/key_slices/0/sop_instance_uid"},
		{"frame from zero", "finding.v1", with(func(f *neurotriage.Finding) { f.KeySlices[0].Frame = 0 }), "/key_slices/0/frame"},
		{"probability", "finding.v1", with(func(f *neurotriage.Finding) { f.Probabilities["glioma"] = 1.1 }), "/probabilities"},
		{"no labels", "finding.v1", with(func(f *neurotriage.Finding) { f.Probabilities = map[string]float64{} }), "/probabilities"},
		{"digest", "finding.v1", with(func(f *neurotriage.Finding) { f.Model.Digest = "md5:1" }), "/model/digest"},
		{"runtime", "finding.v1", with(func(f *neurotriage.Finding) { f.Model.Runtime = "tpu" }), "/model/runtime"},
		{"null for a list", "finding.v1", with(func(f *neurotriage.Finding) { f.Warnings = nil }), "/warnings"},
		{"another version", "finding.v1", with(func(f *neurotriage.Finding) { f.Schema = "finding.v2" }), "/schema"},
		{"a field is missing", "finding.v1", map[string]any{"schema": "finding.v1"}, "missing properties"},

		{"announced", "study-available.v1", announce(func(*event.Event, map[string]any) {}), ""},
		{"newer sender", "study-available.v1", announce(func(e *event.Event, data map[string]any) { e.SetExtension("x", "1"); data["new"] = 1 }), ""},
		{"in an archive", "study-available.v1", located(map[string]any{"kind": "dicomweb", "url": "https://p/dicom-web/studies/1.2.3"}), ""},
		{"uploaded", "study-available.v1", located(map[string]any{"kind": "object", "bucket": "imaging_inbox", "name": "a.zip"}), ""},
		{"no study", "study-available.v1", announce(func(_ *event.Event, data map[string]any) { delete(data, "study_instance_uid") }), "/data"},
		{"uid with blanks", "study-available.v1", announce(func(_ *event.Event, data map[string]any) { data["study_instance_uid"] = "1.2 3" }), "/data/study_instance_uid"},
		{"unknown priority", "study-available.v1", announce(func(_ *event.Event, data map[string]any) { data["priority"] = "high" }), "/data/priority"},
		{"unknown kind", "study-available.v1", located(map[string]any{"kind": "ftp"}), "/data/location/kind"},
		{"folder without root", "study-available.v1", located(map[string]any{"kind": "directory", "path": "a"}), "/data/location"},
		{"empty url", "study-available.v1", located(map[string]any{"kind": "dicomweb", "url": ""}), "/data/location/url"},
		{"object without name", "study-available.v1", located(map[string]any{"kind": "object", "bucket": "b"}), "/data/location"},
		{"no envelope", "study-available.v1", map[string]any{"study_instance_uid": "1.2.3"}, "missing properties"},
		{"long id", "study-available.v1", announce(func(e *event.Event, _ map[string]any) { e.SetID(strings.Repeat("x", 257)) }), "/id"},

		{"the shipped card", "model.v1", json.RawMessage(card), ""},
		{"the shipped card through its type", "model.v1", model, ""},
		{"card without labels", "model.v1", map[string]any{"schema": "model.v1"}, "missing properties"},
		{"card of another version", "model.v1", func() any { m := model; m.Schema = "model.v2"; return m }(), "/schema"},
		{"card reads what there is not", "model.v1", func() any { m := model; m.IntendedUse.Read = []neurotriage.SequenceKind{"CT"}; return m }(), "/intended_use/read/0"},
		{"card flags above one", "model.v1", func() any { m := model; m.Thresholds.GliomaReview = 17; return m }(), "/thresholds/glioma_review"},

		{"overdue", "alert.v1", events.Alert{Schema: "alert.v1", Kind: events.AlertOverdue, StudyInstanceUID: "1.2", Text: "x", Announced: &now, State: events.Waiting}, ""},
		{"unknown alert", "alert.v1", events.Alert{Schema: "alert.v1", Kind: "fire", StudyInstanceUID: "1.2"}, "/kind"},
		{"alert's probability", "alert.v1", map[string]any{"schema": "alert.v1", "kind": "changed", "study_instance_uid": "1.2", "text": "", "probability": 2}, "/probability"},
		{"dead letter", "deadletter.v1", events.DeadLetter{Schema: "deadletter.v1", ID: id, Reason: neurotriage.GaveUp, EventID: "e", Attempts: 5, Original: []byte(`[1]`)}, ""},
		{"dead letter without id", "deadletter.v1", events.DeadLetter{Schema: "deadletter.v1", Reason: neurotriage.GaveUp}, "/id"},
		{"entry", "worklist.v1", events.Entry{Schema: "worklist.v1", StudyInstanceUID: "1.2", State: events.Read, Finding: &events.FindingSummary{
			ID: id, Status: neurotriage.StatusRead, Disposition: neurotriage.NotFlagged, Probability: &share, Model: digest,
		}}, ""},
		{"entry without probability", "worklist.v1", events.Entry{Schema: "worklist.v1", StudyInstanceUID: "1.2", State: events.NotRead, Finding: &events.FindingSummary{
			ID: id, Status: neurotriage.StatusRefused, Reason: neurotriage.GaveUp, Disposition: neurotriage.Refused,
		}}, ""},
		{"entry's state", "worklist.v1", events.Entry{Schema: "worklist.v1", StudyInstanceUID: "1.2", State: "lost"}, "/state"},
		{"heartbeat", "heartbeat.v1", events.Heartbeat{Schema: "heartbeat.v1", Instance: "a-1", EverySecs: 10}, ""},
		{"heartbeat without queue", "heartbeat.v1", map[string]any{"schema": "heartbeat.v1"}, "missing properties"},
	}
	for _, c := range cases {
		t.Run(c.schema+" "+c.name, func(t *testing.T) {
			text, err := json.Marshal(c.value)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c.schema, text, c.wrong)
		})
	}
}

// check validates text and looks where it is wrong.
func check(t *testing.T, name string, text []byte, wrong string) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	err = schema.Validate(value)
	switch {
	case err == nil && wrong != "":
		t.Errorf("wrong at %s and accepted: %s", wrong, text)
	case err != nil && wrong == "":
		t.Errorf("right and refused: %v\n%s", err, text)
	case err != nil && !strings.Contains(err.Error(), wrong):
		t.Errorf("refused, but not for %s: %v", wrong, err)
	}
}

var (
	jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")
	shortID   = regexp.MustCompile(`"[0-9a-f]{4}…"`) // ids are shortened for the reader
	schemaTag = regexp.MustCompile(`"schema": "([a-z]+\.v[0-9]+)"`)
)

// TestExamplesOfTheDocumentation holds docs/EVENTS.md to the schemas.
func TestExamplesOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, block := range jsonBlock.FindAllStringSubmatch(string(text), -1) {
		example := shortID.ReplaceAllString(strings.ReplaceAll(block[1], "sha256:…", digest), `"`+id+`"`)
		var outer struct {
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal([]byte(example), &outer); err != nil {
			t.Errorf("example is not JSON: %v\n%s", err, example)
			continue
		}
		name, checked := "", []byte(example)
		switch tag := schemaTag.FindStringSubmatch(example); {
		case outer.Type == "imaging.study.available.v1":
			name = announcementName
		case tag != nil && outer.Data != nil:
			name, checked = tag[1], outer.Data
		case tag != nil:
			name = tag[1]
		}
		if _, err := os.Stat(name + ".json"); err != nil {
			t.Logf("no schema for an example of %s: %.60s", outer.Type, example)
			continue
		}
		seen[name] = true
		check(t, name, checked, "")
	}
	for _, name := range []string{announcementName, "finding.v1", "alert.v1"} {
		if !seen[name] {
			t.Errorf("no example of %s was found", name)
		}
	}
}
