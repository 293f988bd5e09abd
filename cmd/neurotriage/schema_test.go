package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// conform holds each JSON value of a command's output against a schema that
// programs rely on.
func conform(t *testing.T, schema, output string) {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile("../../docs/schemas/" + schema)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(output))
	count := 0
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		for _, one := range elements(raw) {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(one)))
			if err == nil {
				err = compiled.Validate(value)
			}
			if err != nil {
				t.Errorf("%s: %v", schema, err)
			}
			count++
		}
	}
	if count == 0 {
		t.Errorf("nothing to hold against %s", schema)
	}
}

// elements gives the elements of an array, or the value itself.
func elements(raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	return []json.RawMessage{raw}
}
