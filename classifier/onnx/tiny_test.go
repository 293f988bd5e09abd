package onnx

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"neurotriage/classifier"
	"neurotriage/classifier/onnx/library"
)

// tiny is the fixture network with its card and golden scores; edit may change
// either before they are put in.
func tiny(t testing.TB, edit func(card, golden map[string]any)) []byte {
	t.Helper()
	card, golden := readJSON(t, "testdata/tiny.card.json"), readJSON(t, "testdata/tiny.golden.json")
	if edit != nil {
		edit(card, golden)
	}
	onnx, err := os.ReadFile("testdata/tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	onnx = withProperty(t, onnx, "neurotriage.card", card)
	return withProperty(t, onnx, "neurotriage.golden", golden)
}

func readJSON(t testing.TB, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var value map[string]any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// withProperty appends a metadata entry: messages laid end to end are merged.
func withProperty(t testing.TB, onnx []byte, key string, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	entry := protowire.AppendTag(nil, 1, protowire.BytesType)
	entry = protowire.AppendString(entry, key)
	entry = protowire.AppendTag(entry, 2, protowire.BytesType)
	entry = protowire.AppendBytes(entry, text)
	return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(onnx), 14, protowire.BytesType), entry)
}

// openTiny opens the fixture on the real runtime, or skips.
func openTiny(t testing.TB, options Options) *Runner {
	t.Helper()
	needLibrary(t)
	if options.Model == nil {
		options.Model = tiny(t, nil)
	}
	runner, _, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runner.Close(); err != nil {
			t.Error(err)
		}
	})
	return runner
}

func needLibrary(t testing.TB) {
	t.Helper()
	if _, err := library.Find(""); err != nil {
		t.Skip(err)
	}
}

func unpack(t testing.TB, onnx []byte) classifier.Package {
	t.Helper()
	p, err := classifier.Unpack(onnx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
