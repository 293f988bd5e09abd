package dicomio_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// Slices come series by series, in order, and own their pixels.
func TestSlicesAreOrderedAndOwned(t *testing.T) {
	study := opened(t, kit.Study{Series: []kit.Series{
		{Images: kit.Heads(30, 8, 8)}, {Agent: "Gadovist", Images: kit.Heads(17, 10, 10)},
		{Timing: kit.Timing{TR: 4000, TE: 100}, Images: kit.Heads(5, 8, 8)},
	}}.Files(), dicomio.Options{Parallel: 4})
	headers := append(study.Study().Series[0].Slices, study.Study().Series[1].Slices...)
	for range 2 { // may be read twice
		read, refused := slicesOf(t, study)
		if len(read) != 47 || len(refused) != 0 {
			t.Fatalf("%d slices, refused %v", len(read), refused)
		}
		for i, slice := range read {
			want := headers[i]
			if slice.SOPInstanceUID != want.SOPInstanceUID || slice.Index != want.Index || slice.Position != want.Position || slice.SeriesInstanceUID != want.SeriesInstanceUID {
				t.Fatalf("slice %d is %+v, want %+v", i, slice.SOPInstanceUID, want)
			}
			if want.Pixels != nil {
				t.Fatal("headers hold pixels")
			}
			if v := slice.Pixels[0]; v < 0 || v > 10 {
				t.Fatalf("slice %d was overwritten: its corner is %g", i, v)
			}
			clear(slice.Pixels)
			slice.Pixels[0] = 1e9 // ours: no other slice may see it
		}
	}
}

// Stopping early, or cancelling, leaves no goroutine and no open file.
func TestSlicesStop(t *testing.T) {
	study := opened(t, kit.Study{Series: []kit.Series{{Images: kit.Heads(60, 32, 32)}}}.Files(), dicomio.Options{Parallel: 3})
	t.Run("receiver", func(t *testing.T) {
		defer goleak.VerifyNone(t)
		n := 0
		for range study.Slices(t.Context()) {
			if n++; n == 5 {
				break
			}
		}
	})
	t.Run("context", func(t *testing.T) {
		defer goleak.VerifyNone(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		var last error
		for _, err := range study.Slices(ctx) {
			if last = err; err != nil {
				continue
			}
			if n++; n == 5 {
				cancel()
			}
		}
		var refusal *neurotriage.Refusal
		if !errors.Is(last, context.Canceled) || errors.As(last, &refusal) || n > 20 {
			t.Errorf("after %d slices: %v", n, last)
		}
	})
	t.Run("open", func(t *testing.T) {
		defer goleak.VerifyNone(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		archive := kit.Study{Series: []kit.Series{{Images: kit.Heads(3, 8, 8)}}}.Zip()
		if _, err := dicomio.Open(ctx, dicomio.Zip(bytes.NewReader(archive), int64(len(archive))), dicomio.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// Headers of a large study take little memory, and pixels only a window's worth.
func TestMemoryIsBounded(t *testing.T) {
	const n, rows, columns = 300, 256, 256
	dir := t.TempDir()
	if err := (kit.Study{Series: []kit.Series{{Images: kit.Heads(n, rows, columns)}}}).WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	before := heap()
	study := open(t, dicomio.Options{Parallel: 2}, dir)
	if grown := heap() - before; grown > n*10<<10 {
		t.Errorf("headers of %d files hold %d bytes", n, grown)
	}
	most, read := int64(0), 0
	for _, err := range study.Slices(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if read++; read%50 == 0 {
			most = max(most, heap()-before)
		}
	}
	if limit := int64(16 * rows * columns * 4); most > limit {
		t.Errorf("while reading %d bytes are held, at most %d expected", most, limit)
	}
}

// heap is what is reachable now.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func BenchmarkHeaders(b *testing.B) {
	path := data(b, "dicom", "t1-brain", "t1-brain.zip")
	dir := unpacked(b, path)
	for _, c := range []struct{ name, path string }{{"folder", dir}, {"zip", path}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				study, err := dicomio.Open(b.Context(), dicomio.Paths([]string{c.path}), dicomio.Options{Parallel: 1})
				if err != nil {
					b.Fatal(err)
				}
				if err := study.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/384, "µs/file")
		})
	}
}

func BenchmarkSlices(b *testing.B) {
	path := data(b, "dicom", "t1-brain", "t1-brain.zip")
	dir := unpacked(b, path)
	for _, c := range []struct{ name, path string }{{"folder", dir}, {"zip", path}} {
		b.Run(c.name, func(b *testing.B) {
			study := open(b, dicomio.Options{Parallel: 1}, c.path)
			b.ReportAllocs()
			b.SetBytes(384 * 384 * 274 * 2)
			for b.Loop() {
				for _, err := range study.Slices(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/384, "µs/slice")
		})
	}
}

// BenchmarkReadSlice reads one made file of each syntax, 384 × 274 in 16 bits.
func BenchmarkReadSlice(b *testing.B) {
	for _, c := range []struct{ name, syntax string }{
		{"explicit", kit.ExplicitLittle}, {"big endian", kit.ExplicitBig}, {"rle", kit.RLE}, {"deflated", kit.Deflated},
	} {
		file := kit.Study{Series: []kit.Series{{Syntax: c.syntax, Images: kit.Heads(1, 384, 274)}}}.Files()[0]
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(384 * 274 * 2)
			for b.Loop() {
				if _, err := dicomio.ReadSlice(bytes.NewReader(file.Data), dicomio.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// unpacked writes an archive's files to a folder.
func unpacked(b *testing.B, path string) string {
	b.Helper()
	dir := b.TempDir()
	if err := unzip(path, dir); err != nil {
		b.Fatal(err)
	}
	return dir
}
