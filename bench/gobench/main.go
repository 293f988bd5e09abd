// Gobench reads what `go test -bench -benchmem` prints and writes it as JSON and
// as a table, so that runs can be compared:
//
//	go test -run '^$' -bench . -benchmem ./... | go run ./bench/gobench -out bench/results
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is one run: where, when, and a row for each benchmark.
type result struct {
	When      time.Time `json:"when"`
	Processor string    `json:"processor"`
	Rows      []row     `json:"rows"`
}

// row is one line of a benchmark's output.
type row struct {
	Package string             `json:"package"`
	Name    string             `json:"name"`
	Runs    int                `json:"runs"`
	Values  map[string]float64 `json:"values"` // by unit, as printed: ns/op, B/op, MB/s, …
}

func main() {
	out := flag.String("out", "bench/results", "folder for go.json and go.md")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gobench:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, echo io.Writer, folder string) error {
	r, err := read(in, echo)
	if err != nil {
		return err
	}
	if len(r.Rows) == 0 {
		return errors.New("no benchmark ran")
	}
	r.When = time.Now().UTC()
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "go.json"), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(folder, "go.md"), []byte(r.table()), 0o644))
}

// read takes the rows out of the text and passes everything else through, so
// that a failure is seen.
func read(in io.Reader, echo io.Writer) (result, error) {
	var (
		r      result
		folder string
	)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case key == "pkg":
			folder = value
		case key == "cpu":
			r.Processor = value
		case key == "goos", key == "goarch", line == "PASS", strings.HasPrefix(line, "ok "), strings.HasPrefix(line, "? "):
		case strings.HasPrefix(line, "Benchmark"):
			if row, ok := parse(line); ok {
				row.Package = folder
				r.Rows = append(r.Rows, row)
			}
			fmt.Fprintln(echo, line)
		default:
			fmt.Fprintln(echo, line)
		}
	}
	return r, lines.Err()
}

// parse reads "BenchmarkX-8   100   123 ns/op   5 B/op".
func parse(line string) (row, bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return row{}, false
	}
	runs, err := strconv.Atoi(fields[1])
	if err != nil {
		return row{}, false
	}
	name := strings.TrimPrefix(fields[0], "Benchmark")
	if at := strings.LastIndexByte(name, '-'); at > 0 { // the number of processors
		if _, err := strconv.Atoi(name[at+1:]); err == nil {
			name = name[:at]
		}
	}
	r := row{Name: name, Runs: runs, Values: map[string]float64{}}
	for pair := range slices.Chunk(fields[2:], 2) {
		if len(pair) < 2 {
			return row{}, false
		}
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil {
			return row{}, false
		}
		r.Values[pair[1]] = value
	}
	return r, true
}

// table is the result as Markdown, package by package.
func (r result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Go benchmarks\n\n%s, %s.\n", r.Processor, r.When.Format("2006-01-02"))
	folder := ""
	for _, row := range r.Rows {
		if row.Package != folder {
			folder = row.Package
			fmt.Fprintf(&b, "\n## %s\n\n| benchmark | ms/op | MB/s | kB/op | allocs/op | beside |\n|---|---:|---:|---:|---:|---|\n", folder)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", row.Name,
			row.cell("ns/op", 1e6, 4), row.cell("MB/s", 1, 1), row.cell("B/op", 1e3, 1), row.cell("allocs/op", 1, 0), row.beside())
	}
	return b.String()
}

// beside lists what the benchmark reported in units of its own.
func (r row) beside() string {
	var all []string
	for _, unit := range slices.Sorted(maps.Keys(r.Values)) {
		if !slices.Contains([]string{"ns/op", "MB/s", "B/op", "allocs/op"}, unit) {
			all = append(all, fmt.Sprintf("%.4g %s", r.Values[unit], unit))
		}
	}
	return strings.Join(all, ", ")
}

// cell is empty for a unit that the benchmark did not report.
func (r row) cell(unit string, divisor float64, digits int) string {
	value, ok := r.Values[unit]
	if !ok {
		return ""
	}
	return strconv.FormatFloat(value/divisor, 'f', digits, 64)
}
