package main

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clock reads wall and processor time at once.
type clock struct {
	wall time.Time
	cpu  time.Duration
}

func startClock() clock { return clock{wall: time.Now(), cpu: processTime()} }

// stop gives the seconds of wall and of processor time since the start.
func (c clock) stop() (wall, cpu float64) {
	return time.Since(c.wall).Seconds(), (processTime() - c.cpu).Seconds()
}

// processTime is the processor time of all threads of this process.
func processTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // the clock is part of POSIX.1-2008
	}
	return time.Duration(t.Nano())
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// unzip lays the files of a zip flat into folder.
func unzip(path, folder string) error {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, file := range archive.File {
		if strings.HasSuffix(file.Name, "/") {
			continue
		}
		if err := copyOut(file, filepath.Join(folder, filepath.Base(file.Name))); err != nil {
			return err
		}
	}
	return nil
}

func copyOut(file *zip.File, path string) error {
	in, err := file.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil { //nolint:gosec // our own study, not a stranger's zip
		out.Close()
		return err
	}
	return out.Close()
}
