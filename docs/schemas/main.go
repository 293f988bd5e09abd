// Command schemas writes the JSON Schemas in this folder from the Go types that
// they describe, so that the two cannot differ: descriptions are the comments
// of the fields, and what a type cannot say (UIDs, choices, ranges) is added by
// rules.go. A test fails when a committed file is out of date.
//
// Run it from anywhere in the repository: go run ./docs/schemas
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
)

//go:generate go run .

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := repository()
	if err != nil {
		return err
	}
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(root, "docs", "schemas", name)
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // documentation, for everybody
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// repository finds the folder of go.mod above the working one.
func repository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("find the repository: no go.mod here or above")
		}
	}
}

// generate returns every schema by file name.
func generate(root string) (map[string][]byte, error) {
	comments, err := readComments(map[string]string{
		"neurotriage":        root,
		"neurotriage/events": filepath.Join(root, "events"),
	})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, document := range []struct {
		name, title string
		value       any
	}{
		{neurotriage.FindingSchema, "a finding: the data of events on triage.finding.>", neurotriage.Finding{}},
		{"model.v1", "the card of a model, in the metadata neurotriage.card of its ONNX file", neurotriage.Model{}},
		{events.AlertSchema, "an alert: the data of events on triage.alert.>", events.Alert{}},
		{events.DeadLetterSchema, "a dead letter: the data of events on triage.deadletter.>", events.DeadLetter{}},
		{events.AssessmentSchema, "a radiologist's verdict: the data of events on triage.assessment.>", events.Assessment{}},
		{events.EntrySchema, "a value of the bucket triage_worklist", events.Entry{}},
		{"heartbeat.v1", "a sign of life of one daemon", events.Heartbeat{}},
	} {
		schema := reflector(comments).Reflect(document.value)
		refine(schema)
		identify(schema, document.name, document.title)
		if err := add(files, document.name, schema); err != nil {
			return nil, err
		}
	}
	if err := add(files, announcementName, announcement(comments)); err != nil {
		return nil, err
	}
	if files["config.v1.json"], err = config.Schema(); err != nil {
		return nil, err
	}
	return files, nil
}

func add(files map[string][]byte, name string, schema any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // for people, not for pages
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return fmt.Errorf("write schema %s: %w", name, err)
	}
	// The library's own marshaller escapes before the encoder has a say.
	plain := strings.NewReplacer(`\u003e`, `>`, `\u003c`, `<`, `\u0026`, `&`)
	files[name+".json"] = []byte(plain.Replace(text.String()))
	return nil
}
