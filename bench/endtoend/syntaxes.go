package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// packings are programs that compress the study's files, of the form
// "program options… in out".
var packings = []struct {
	name    string
	command []string
}{
	{"JPEG lossless", []string{"dcmcjpeg", "+e1"}},
	{"JPEG 2000", []string{"gdcmconv", "--j2k"}},
}

// measurePackings times the road for the study in compressed transfer syntaxes. A
// program that is missing leaves its row out, and says so.
func measurePackings(ctx context.Context, folder string, rounds int, r *result) error {
	for _, p := range packings {
		if _, err := exec.LookPath(p.command[0]); err != nil {
			fmt.Fprintf(os.Stderr, "endtoend: %s is left out: %v\n", p.name, err)
			continue
		}
		if err := measurePacking(ctx, folder, p.name, p.command, rounds, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func measurePacking(ctx context.Context, folder, name string, command []string, rounds int, r *result) error {
	packed, err := os.MkdirTemp("", "neurotriage-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(packed)
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		arguments := append(append([]string{}, command[1:]...), filepath.Join(folder, file.Name()), filepath.Join(packed, file.Name()))
		if out, err := exec.CommandContext(ctx, command[0], arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	alone := result{Cores: r.Cores, Times: map[string]float64{}}
	if err := measureParts(ctx, packed, rounds, &alone); err != nil {
		return err
	}
	if alone.Slices != r.Slices {
		return fmt.Errorf("%d slices were read, %d before they were compressed", alone.Slices, r.Slices)
	}
	for _, stage := range []string{"decoding alone (CPU)", "end to end"} {
		r.Times[stage+", "+name] = alone.Times[stage]
	}
	ratio := alone.Figures[0]
	ratio.Name += ", " + name
	r.Figures = append(r.Figures, ratio)
	return nil
}
