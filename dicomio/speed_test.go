package dicomio_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// The figures of this file are ratios and differences within one run. They count as
// reached up to what stands in their names' comments; bench/README.md tells more.

// BenchmarkNative reads native slices of 512² in 16 bits from headers to modality
// units. times-a-pass compares its processor time with that of reading the same
// files and passing over their pixels once: at most 2.
func BenchmarkNative(b *testing.B) {
	const n, side = 32, 512
	dir := b.TempDir()
	image := kit.Head(side, side, 0.5)
	image.Slope, image.Intercept = 1.5, -3
	images := make([]kit.Image, n)
	for i := range images {
		images[i] = image
	}
	if err := (kit.Study{Series: []kit.Series{{Images: images}}}).WriteDir(dir); err != nil {
		b.Fatal(err)
	}
	var pass, ours time.Duration
	b.SetBytes(n * side * side * 2)
	for b.Loop() {
		start := processorTime()
		if onePass(b, dir) == 0 {
			b.Fatal("nothing was read")
		}
		pass += processorTime() - start
		start = processorTime()
		study, err := dicomio.Open(b.Context(), dicomio.Paths([]string{dir}), dicomio.Options{Parallel: 1})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range study.Slices(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := study.Close(); err != nil {
			b.Fatal(err)
		}
		ours += processorTime() - start
	}
	b.ReportMetric(ours.Seconds()/pass.Seconds(), "times-a-pass")
}

// onePass reads every file and adds its words up.
func onePass(b *testing.B, dir string) (sum uint64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(data); i += 2 {
			sum += uint64(binary.LittleEndian.Uint16(data[i:]))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

// highWater is what Linux says a process has held at most. Rusage would count what
// its parent held, too.
var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// memoryVariable makes the test binary a process that reads one study.
const memoryVariable = "NEUROTRIAGE_READ_STUDY"

// BenchmarkEnhancedMemory reads 200 frames of 512² in 16 bits in a process of its own.
// MB-above-file is what that process held at most, less the file's size: at most 64.
func BenchmarkEnhancedMemory(b *testing.B) {
	if path := os.Getenv(memoryVariable); path != "" {
		readAll(b, path)
		return
	}
	const n, side = 200, 512
	images := make([]kit.Image, n)
	blank := kit.Head(side, side, 0.5)
	for i := range images {
		images[i] = blank
	}
	for _, c := range []struct{ name, syntax string }{{"native", kit.ExplicitLittle}, {"rle", kit.RLE}, {"deflated", kit.Deflated}} {
		dir := b.TempDir()
		if err := (kit.Study{Series: []kit.Series{{Enhanced: true, Syntax: c.syntax, Images: images}}}).WriteDir(dir); err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(dir, "S001", "enhanced.dcm")
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		size := info.Size()
		if c.syntax == kit.Deflated {
			size = n * side * side * 2 // what it inflates to is held, and more is not promised
		}
		b.Run(c.name, func(b *testing.B) {
			peak := int64(0)
			for b.Loop() {
				child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkEnhancedMemory$", "-test.benchtime=1x")
				child.Env = append(os.Environ(), memoryVariable+"="+path)
				out, err := child.CombinedOutput()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				found := highWater.FindSubmatch(out)
				if found == nil {
					b.Skip("this system does not tell what a process has held")
				}
				held, err := strconv.ParseInt(string(found[1]), 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				peak = max(peak, held<<10)
			}
			b.ReportMetric(float64(peak-size)/1e6, "MB-above-file")
		})
	}
}

// readAll is the child.
func readAll(b *testing.B, path string) {
	study, err := dicomio.Open(b.Context(), dicomio.Paths([]string{path}), dicomio.Options{Parallel: 2})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, err := range study.Slices(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := study.Close(); err != nil || n != 200 {
		b.Fatalf("%d frames, %v", n, err)
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		fmt.Printf("%s", status)
	}
}
