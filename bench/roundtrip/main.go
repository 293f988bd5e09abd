// Roundtrip measures the road from the last image that a scanner sends to the
// report in the archive: a study of 200 slices comes by C-STORE, is announced
// when it is quiet, read, and its report goes back to Orthanc by STOW-RS, where
// QIDO-RS finds it. What counts is the time beside waiting for quiet and reading.
//
//	go run ./bench/roundtrip -study ../shared/data/dicom/t1-brain/t1-brain.zip
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// quiet is the shortest that the configuration takes.
const quiet = time.Second

type options struct {
	study, binary, orthanc, out string
	slices, rounds              int
}

// result is written as JSON; times are in seconds, one for each round.
type result struct {
	When    time.Time `json:"when"`
	Cores   int       `json:"cores"`
	Slices  int       `json:"slices"`
	Quiet   float64   `json:"quiet"`
	Sending []float64 `json:"sending"` // of all images
	Reading []float64 `json:"reading"` // headers, pixels, classification, as the finding says
	Back    []float64 `json:"back"`    // from the last image's answer to the report in the archive
	Beside  float64   `json:"beside"`  // median of back, less quiet and reading
	Limit   float64   `json:"limit"`   // of beside
	Reached bool      `json:"reached"`
}

func main() {
	var o options
	flag.StringVar(&o.study, "study", "../shared/data/dicom/t1-brain/t1-brain.zip", "zip of one study")
	flag.StringVar(&o.binary, "binary", "bin/neurotriage", "the daemon")
	flag.StringVar(&o.orthanc, "orthanc", "Orthanc", "Debian's Orthanc, with its DICOMweb plugin")
	flag.StringVar(&o.out, "out", "bench/results", "folder for roundtrip.json and roundtrip.md")
	flag.IntVar(&o.slices, "slices", 200, "of the study that are sent")
	flag.IntVar(&o.rounds, "rounds", 5, "of which the median counts")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "roundtrip:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if _, err := exec.LookPath(o.orthanc); err != nil {
		return errors.New("no Orthanc on PATH: install the packages orthanc and orthanc-dicomweb")
	}
	folder, err := os.MkdirTemp("", "neurotriage-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	images, err := readStudy(o.study, o.slices)
	if err != nil {
		return err
	}
	archive, stop, err := startOrthanc(ctx, o.orthanc, folder)
	if err != nil {
		return err
	}
	defer stop()
	daemon, stop, err := startDaemon(ctx, o.binary, folder, archive)
	if err != nil {
		return err
	}
	defer stop()
	r := result{When: time.Now().UTC(), Cores: runtime.GOMAXPROCS(0), Slices: len(images), Quiet: quiet.Seconds(), Limit: 1.5}
	var beside []float64
	for round := range o.rounds {
		one, err := daemon.round(ctx, images, archive, round)
		if err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		r.Sending, r.Reading, r.Back = append(r.Sending, one.sending), append(r.Reading, one.reading), append(r.Back, one.back)
		beside = append(beside, one.back-one.reading-quiet.Seconds())
	}
	slices.Sort(beside)
	r.Beside = beside[len(beside)/2]
	r.Reached = r.Beside <= r.Limit
	return r.write(o.out)
}

func (r result) write(folder string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	verdict := "reached"
	if !r.Reached {
		verdict = "MISSED"
	}
	table := &strings.Builder{}
	fmt.Fprintf(table, "# From the last image to the report in the archive\n\n%s · %d cores · %d slices by C-STORE, report by STOW-RS to Orthanc\n\n",
		r.When.Format(time.DateTime), r.Cores, r.Slices)
	fmt.Fprintf(table, "| round | sending, s | reading, s | last image to report, s | beside quiet (%.0f s) and reading, s |\n|---|---|---|---|---|\n", r.Quiet)
	for i := range r.Back {
		fmt.Fprintf(table, "| %d | %.2f | %.2f | %.2f | %.2f |\n", i+1, r.Sending[i], r.Reading[i], r.Back[i], r.Back[i]-r.Reading[i]-r.Quiet)
	}
	fmt.Fprintf(table, "\nMedian beside: **%.2f s**, at most %.1f s: %s.\n", r.Beside, r.Limit, verdict)
	fmt.Print(table)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "roundtrip.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "roundtrip.md"), []byte(table.String()), 0o644)
}
