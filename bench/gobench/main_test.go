package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `goos: linux
goarch: amd64
pkg: neurotriage/dicomio
cpu: Some Processor
BenchmarkNative/512x512x16-2         	    2500	    400000 ns/op	1310.72 MB/s	  524288 B/op	       3 allocs/op
BenchmarkPlain   	     100	    123.5 ns/op
BenchmarkLogs
    x_test.go:5: a remark
PASS
ok  	neurotriage/dicomio	1.2s
FAIL	neurotriage/events [build failed]
`

func TestRead(t *testing.T) {
	var echo bytes.Buffer
	got, err := read(strings.NewReader(printed), &echo)
	if err != nil {
		t.Fatal(err)
	}
	want := result{Processor: "Some Processor", Rows: []row{
		{"neurotriage/dicomio", "Native/512x512x16", 2500, map[string]float64{"ns/op": 400000, "MB/s": 1310.72, "B/op": 524288, "allocs/op": 3}},
		{"neurotriage/dicomio", "Plain", 100, map[string]float64{"ns/op": 123.5}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"a remark", "[build failed]"} {
		if !strings.Contains(echo.String(), line) {
			t.Errorf("%q was not passed through", line)
		}
	}
}

func TestRunWritesBothFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	if err := run(strings.NewReader(printed), &bytes.Buffer{}, folder); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"go.json": `"name": "Native/512x512x16"`,
		"go.md":   "| Native/512x512x16 | 0.4000 | 1310.7 | 524.3 | 3 |  |\n| Plain | 0.0001 |  |  |  |  |",
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q:\n%s", name, want, text)
		}
	}
}

func TestRunRefusesSilence(t *testing.T) {
	if err := run(strings.NewReader("PASS\n"), &bytes.Buffer{}, t.TempDir()); err == nil {
		t.Error("no complaint although no benchmark ran")
	}
}
