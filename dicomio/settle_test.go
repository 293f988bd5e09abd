package dicomio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// growing is a file of which more and more can be seen.
type growing struct {
	data    []byte
	seen    atomic.Int64
	changed time.Time
}

func (g *growing) Close() error { return nil }

func (g *growing) List(context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) {
		yield(dicomio.File{Name: "growing", Size: g.seen.Load(), Open: func() (io.ReadCloser, error) { return growingFile{g}, nil }}, nil)
	}
}

type growingFile struct{ *growing }

func (g growingFile) Read([]byte) (int, error) { return 0, errors.New("read forwards") }

func (g growingFile) ReadAt(p []byte, offset int64) (int, error) {
	seen := g.data[:g.seen.Load()]
	n := copy(p, seen[min(offset, int64(len(seen))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (g growingFile) Stat() (fs.FileInfo, error) { return grown{g.seen.Load(), g.changed}, nil }

type grown struct {
	size    int64
	changed time.Time
}

func (g grown) Name() string       { return "growing" }
func (g grown) Size() int64        { return g.size }
func (g grown) Mode() fs.FileMode  { return 0o644 }
func (g grown) ModTime() time.Time { return g.changed }
func (g grown) IsDir() bool        { return false }
func (g grown) Sys() any           { return nil }

// A file that is still being written is waited for, and not for ever.
func TestFilesBeingWritten(t *testing.T) {
	whole := sound().Data
	cases := []struct {
		name  string
		seen  int64         // bytes at first
		since int64         // of these, came after the file was listed
		age   time.Duration // of the last of them
		step  int           // bytes more
		every time.Duration // after which they come
		want  neurotriage.Reason
		took  time.Duration // at most
	}{
		{"ends soon", 600, 100, time.Hour, len(whole) / 8, 200 * time.Millisecond, read, 4 * time.Second},
		{"stops", 600, 100, time.Hour, 0, time.Hour, neurotriage.CorruptDICOM, time.Second},
		{"never ends", 600, 100, time.Hour, 1, 300 * time.Millisecond, neurotriage.CorruptDICOM, 11 * time.Second},
		{"was written a moment ago", 600, 0, time.Second, len(whole) / 8, 200 * time.Millisecond, read, 4 * time.Second},
		{"was written a moment ago, by a clock that is ahead", 600, 0, -time.Second, len(whole) / 8, 200 * time.Millisecond, read, 4 * time.Second},
		{"was written a moment ago, and is whole", int64(len(whole)), 0, time.Second, 0, time.Hour, read, 0},
		{"was cut long ago", 600, 0, time.Hour, 0, time.Hour, neurotriage.CorruptDICOM, 0},
		{"has just been made", 0, 0, 0, len(whole) / 2, 200 * time.Millisecond, read, 2 * time.Second},
		{"is empty and stays so", 0, 0, 0, 0, time.Hour, neurotriage.NotDICOM, time.Second},
		{"is empty", 0, 0, time.Hour, 0, time.Hour, neurotriage.NotDICOM, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := &growing{data: whole, changed: time.Now().Add(-c.age)}
				file.seen.Store(c.seen)
				done := make(chan struct{})
				go func() {
					for {
						select {
						case <-done:
							return
						case <-time.After(c.every):
							file.seen.Store(min(file.seen.Load()+int64(c.step), int64(len(whole))))
						}
					}
				}()
				start := time.Now()
				listed := growingSince{file, c.seen - c.since}
				study, err := dicomio.Open(t.Context(), listed, dicomio.Options{})
				close(done)
				if reason(err) != c.want || time.Since(start) > c.took {
					t.Errorf("got %v after %v, want %s", err, time.Since(start), c.want)
				}
				if err == nil {
					if got, refused := slicesOf(t, study); len(got) != 1 {
						t.Errorf("refused %v", refused)
					}
				}
			})
		})
	}
}

// growingSince was listed when it was smaller.
type growingSince struct {
	*growing
	listed int64
}

func (g growingSince) List(ctx context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) {
		for file, err := range g.growing.List(ctx) {
			file.Size = g.listed
			yield(file, err)
		}
	}
}

// However many files are damaged and new, they are not waited for one after another
// for ever.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &growing{data: sound().Data, changed: time.Now()}
		file.seen.Store(600)
		start := time.Now()
		_, err := dicomio.Open(t.Context(), manyTimes{file, 500}, dicomio.Options{Parallel: 1})
		if took := time.Since(start); reason(err) != neurotriage.CorruptDICOM || took > 61*time.Second || took < time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

// manyTimes lists one file again and again, each time younger than it is.
type manyTimes struct {
	*growing
	times int
}

func (m manyTimes) List(ctx context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) {
		for range m.times {
			m.changed = time.Now()
			for file, err := range m.growing.List(ctx) {
				file.Size--
				if !yield(file, err) {
					return
				}
			}
		}
	}
}

// An archive whose end is still to come is waited for, and no longer than that.
func TestArchiveBeingWritten(t *testing.T) {
	archive := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}.Zip()
	for _, c := range []struct {
		name string
		age  time.Duration // of the first half
		rest bool          // the other half comes 300 ms later
		want neurotriage.Reason
		took time.Duration // at most
	}{
		{"goes on", time.Second, true, read, time.Second},
		{"stops", time.Second, false, neurotriage.CorruptDICOM, time.Second},
		{"stopped long ago", time.Hour, false, neurotriage.CorruptDICOM, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "study.zip")
			synctest.Test(t, func(t *testing.T) {
				fill := func(part []byte, age time.Duration) {
					file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
					if err != nil {
						t.Error(err)
						return
					}
					then := time.Now().Add(-age)
					_, err = file.Write(part)
					if err := errors.Join(err, file.Close(), os.Chtimes(path, then, then)); err != nil {
						t.Error(err)
					}
				}
				fill(archive[:len(archive)/2], c.age)
				if c.rest {
					time.AfterFunc(300*time.Millisecond, func() { fill(archive[len(archive)/2:], 0) })
				}
				start := time.Now()
				study, err := dicomio.Open(t.Context(), dicomio.Paths([]string{path}), dicomio.Options{})
				if took := time.Since(start); reason(err) != c.want || took > c.took {
					t.Errorf("got %v after %v", err, took)
				}
				if err != nil {
					return
				}
				if got, refused := slicesOf(t, study); len(got) != 12 || len(refused) > 0 {
					t.Errorf("read %d, refused %v", len(got), refused)
				}
				if err := study.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The index of a medium lies beside the images and is none.
func TestDICOMDIRBeside(t *testing.T) {
	files := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}.Files()
	index := kit.EncodeFile(kit.ExplicitLittle, []kit.Element{
		ui(0x00080016, "1.2.840.10008.1.3.10"), ui(sopUID, "1.2.3"),
		{Tag: 0x00041130, VR: "CS", Value: "DISK"},
		{Tag: 0x00041220, VR: "SQ", Value: []kit.Item{{
			{Tag: 0x00041430, VR: "CS", Value: "STUDY"}, ui(studyUID, "1.2.3.4"), {Tag: 0x00041500, VR: "CS", Value: `S001\I0001`},
		}}},
	})
	study := opened(t, append(files, kit.File{Name: "DICOMDIR", Data: index}), dicomio.Options{})
	if got := study.Study(); got.Skipped != 1 || len(got.Series) != 1 || len(got.Series[0].Slices) != 12 || len(got.Warnings) > 0 {
		t.Errorf("skipped %d, %d series, warnings %q", got.Skipped, len(got.Series), got.Warnings)
	}
}

// BenchmarkManyFiles opens studies of many files in one folder: the time for a
// file must not grow with their number.
func BenchmarkManyFiles(b *testing.B) {
	file := sound()
	for _, n := range []int{1_000, 10_000, 30_000} {
		dir := b.TempDir()
		for i := range n {
			uid := fmt.Sprintf("1.2.3.%d", i)
			data := kit.EncodeFile(kit.ExplicitLittle, file.With(ui(sopUID, uid), is(instanceNumber, fmt.Sprint(i)), ds(imagePosition, fmt.Sprintf(`0\0\%d`, i))))
			if err := os.WriteFile(filepath.Join(dir, uid), data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			start, before, held := processorTime(), heap(), int64(0)
			for b.Loop() {
				study, err := dicomio.Open(b.Context(), dicomio.Paths([]string{dir}), dicomio.Options{})
				if err != nil {
					b.Fatal(err)
				}
				if held == 0 {
					held = heap() - before
				}
				if err := study.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime()-start).Microseconds())/float64(b.N)/float64(n), "cpu-µs/file")
			b.ReportMetric(float64(held)/float64(n)/1e3, "kB/file")
		})
	}
}
