// Endtoend measures the road from files on disk to a finding: against its own
// parts measured alone, against a Python pipeline, and in memory and start-up
// of the daemon. Every figure is a ratio of times of one run, since machines
// differ and are shared; the raw times stand beside them.
//
//	go run ./bench/endtoend -study ../shared/data/dicom/t1-brain/t1-brain.zip -python .venv-training/bin/python
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// options are the flags.
type options struct {
	study, python, binary, out string
	rounds                     int
}

// result is written as JSON; times are in seconds, memory in MB (10^6 bytes).
type result struct {
	When    time.Time          `json:"when"`
	Machine string             `json:"machine"`
	Cores   int                `json:"cores"`
	Study   string             `json:"study"`
	Slices  int                `json:"slices"`
	Times   map[string]float64 `json:"times"`
	Figures []figure           `json:"figures"`
}

// figure is one measured ratio or size beside what it should reach.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Least bool    `json:"least"` // Limit is the least allowed, not the most
	Unit  string  `json:"unit,omitempty"`
}

func (f figure) reached() bool {
	if f.Least {
		return f.Value >= f.Limit
	}
	return f.Value <= f.Limit
}

func main() {
	var o options
	flag.StringVar(&o.study, "study", "../shared/data/dicom/t1-brain/t1-brain.zip", "zip of one study")
	flag.StringVar(&o.python, "python", "", "python with pydicom, numpy and onnxruntime; empty leaves the peer out")
	flag.StringVar(&o.binary, "binary", "bin/neurotriage", "the daemon; empty leaves start-up and memory out")
	flag.StringVar(&o.out, "out", "bench/results", "folder for endtoend.json and endtoend.md")
	flag.IntVar(&o.rounds, "rounds", 9, "rounds of which the median counts (the peer: a third of them)")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "endtoend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	folder, err := os.MkdirTemp("", "neurotriage-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := unzip(o.study, folder); err != nil {
		return fmt.Errorf("unpack %s: %w", o.study, err)
	}
	r := result{
		When: time.Now().UTC(), Machine: processor(), Cores: runtime.GOMAXPROCS(0),
		Study: filepath.Base(o.study), Times: map[string]float64{},
	}
	if err := measureParts(ctx, folder, o.rounds, &r); err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	if err := measurePackings(ctx, folder, o.rounds, &r); err != nil {
		return fmt.Errorf("compressed: %w", err)
	}
	if o.python != "" {
		if err := measurePeer(ctx, o, folder, &r); err != nil {
			return fmt.Errorf("python peer: %w", err)
		}
	}
	if o.binary != "" {
		if err := measureDaemon(ctx, o, &r); err != nil {
			return fmt.Errorf("daemon: %w", err)
		}
	}
	return write(o.out, r)
}

func write(folder string, r result) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	table := r.table()
	fmt.Print(table)
	if err := os.WriteFile(filepath.Join(folder, "endtoend.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "endtoend.md"), []byte(table), 0o644)
}
