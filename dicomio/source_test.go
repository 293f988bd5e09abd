package dicomio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// tree makes a root with one study in it and something outside of it.
func tree(t *testing.T) (root, outside string) {
	t.Helper()
	base := t.TempDir()
	root, outside = filepath.Join(base, "root"), filepath.Join(base, "outside")
	study := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}
	for _, dir := range []string{filepath.Join(root, "study"), outside} {
		if err := study.WriteDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "study.zip"), study.Zip())
	write(t, filepath.Join(root, "one.dcm"), study.Files()[0].Data)
	write(t, filepath.Join(root, "note.txt"), []byte("no image"))
	write(t, filepath.Join(root, "other", "a.txt"), []byte("no image"))
	for _, dir := range []string{"empty", "loops", "linked", "escaping", "pipes"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link(t, outside, filepath.Join(root, "out"))
	link(t, "../../outside/S001/I0001.dcm", filepath.Join(root, "escaping", "I0001.dcm"))
	link(t, "../one.dcm", filepath.Join(root, "linked", "I0001.dcm"))
	link(t, ".", filepath.Join(root, "loops", "again"))
	link(t, "around", filepath.Join(root, "around"))
	link(t, "study", filepath.Join(root, "alias"))
	if err := syscall.Mkfifo(filepath.Join(root, "pipes", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root, outside
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-time.Hour) // as lay does
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func openDir(t *testing.T, root, path string) (*dicomio.Study, error) {
	t.Helper()
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	return dicomio.Open(t.Context(), dicomio.Dir(r, path), dicomio.Options{})
}

// A job's path stays beneath its root.
func TestDir(t *testing.T) {
	root, outside := tree(t)
	cases := []struct {
		path   string
		want   neurotriage.Reason
		slices int
	}{
		{"study", read, 12},
		{"study/S001", read, 12},
		{"./study/../study", read, 12},
		{"alias", read, 12},
		{"study.zip", read, 12},
		{"one.dcm", read, 1},
		{"linked", read, 1},
		{"..", neurotriage.PathNotAllowed, 0},
		{"../outside", neurotriage.PathNotAllowed, 0},
		{"study/../../outside", neurotriage.PathNotAllowed, 0},
		{outside, neurotriage.PathNotAllowed, 0},
		{"/etc/passwd", neurotriage.PathNotAllowed, 0},
		{"out", neurotriage.PathNotAllowed, 0},
		{"out/S001", neurotriage.PathNotAllowed, 0},
		{"escaping", neurotriage.PathNotAllowed, 0},
		{"around", neurotriage.PathNotAllowed, 0},
		{"study\x00", neurotriage.PathNotAllowed, 0},
		{"missing", neurotriage.StudyNotFound, 0},
		{"one.dcm/below", neurotriage.StudyNotFound, 0},
		{"empty", neurotriage.NotDICOM, 0},
		{"loops", neurotriage.NotDICOM, 0},
		{"pipes", neurotriage.NotDICOM, 0},
		{"other", neurotriage.NotDICOM, 0},
		{"note.txt", neurotriage.NotDICOM, 0},
	}
	for _, c := range cases {
		study, err := openDir(t, root, c.path)
		if got := reason(err); got != c.want {
			t.Errorf("%q: got %s (%v), want %s", c.path, got, err, c.want)
		}
		if err != nil {
			continue
		}
		if slices, _ := slicesOf(t, study); len(slices) != c.slices {
			t.Errorf("%q: %d slices, want %d", c.path, len(slices), c.slices)
		}
		if err := errors.Join(study.Close(), study.Close()); err != nil {
			t.Errorf("%q: close twice: %v", c.path, err)
		}
	}
}

// A root that is empty or gone is no fault of the study.
func TestRootIsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(root string) error
	}{
		{"empty", func(root string) error { return nil }},
		{"removed", os.Remove},
	} {
		root := t.TempDir()
		r, err := os.OpenRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.lose(root); err != nil {
			t.Fatal(err)
		}
		if _, err := dicomio.Open(t.Context(), dicomio.Dir(r, "study"), dicomio.Options{}); !errors.Is(err, neurotriage.ErrSurroundings) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// A root that empties between headers and pixels is a fault of the surroundings;
// a single file that is gone may come back: neither is a refusal.
func TestFilesVanishBetweenHeadersAndPixels(t *testing.T) {
	cases := []struct {
		name   string
		vanish string
		want   neurotriage.Reason
	}{
		{"one file", filepath.Join("study", "S001", "I0005.dcm"), ""},
		{"everything", "", "surroundings"},
	}
	for _, c := range cases {
		root, _ := tree(t)
		study, err := openDir(t, root, "study")
		if err != nil {
			t.Fatal(err)
		}
		names := []string{filepath.Join(root, c.vanish)}
		if c.vanish == "" {
			if names, err = filepath.Glob(filepath.Join(root, "*")); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
		var last error
		for _, err := range study.Slices(t.Context()) {
			last = err
		}
		var refusal *neurotriage.Refusal
		if last == nil || errors.As(last, &refusal) || c.want != "" && reason(last) != c.want {
			t.Errorf("%s: got %v", c.name, last)
		}
		if err := study.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file that was cut after its headers were read is that slice's refusal.
func TestFileIsCutBetweenHeadersAndPixels(t *testing.T) {
	root, _ := tree(t)
	study, err := openDir(t, root, "study")
	if err != nil {
		t.Fatal(err)
	}
	defer study.Close()
	if err := os.Truncate(filepath.Join(root, "study", "S001", "I0005.dcm"), 1000); err != nil {
		t.Fatal(err)
	}
	slices, refused := slicesOf(t, study)
	if len(slices) != 11 || len(refused) != 1 || refused[0].Reason != neurotriage.CorruptDICOM {
		t.Errorf("%d slices, refused %v", len(slices), refused)
	}
}

// Thousands of files that are not DICOM are counted and do not matter.
func TestManyOtherFiles(t *testing.T) {
	root, _ := tree(t)
	for i := range 3000 {
		write(t, filepath.Join(root, "study", fmt.Sprintf("log%04d.txt", i)), bytes.Repeat([]byte("log line\n"), 40))
	}
	study, err := openDir(t, root, "study")
	if err != nil {
		t.Fatal(err)
	}
	defer study.Close()
	if got := study.Study(); got.Skipped != 3000 || len(got.Series[0].Slices) != 12 {
		t.Errorf("skipped %d, %d slices", got.Skipped, len(got.Series[0].Slices))
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dicomio.Open(t.Context(), dicomio.Dir(r, "study"), dicomio.Options{Limits: dicomio.Limits{Files: 1000}})
	if reason(err) != neurotriage.TooLarge {
		t.Errorf("with a limit of 1000 files: %v", err)
	}
}

func TestZip(t *testing.T) {
	study := kit.Study{Series: []kit.Series{{Images: kit.Heads(12, 8, 8)}}}
	archive := study.Zip()
	flipped := bytes.Clone(archive)
	flipped[bytes.Index(flipped, []byte("S001/I0003.dcm"))+200] ^= 0x55
	packed := kit.ZipFiles([]kit.File{dark("1.2.1"), dark("1.2.2")})
	wide := dicomio.Limits{FramePixels: 1 << 30}
	cases := []struct {
		name    string
		archive []byte
		limits  dicomio.Limits
		want    neurotriage.Reason
		read    int
		refused int
	}{
		{"sound", archive, dicomio.Limits{}, read, 12, 0},
		{"names that climb", kit.ZipFiles([]kit.File{{Name: "../../etc/passwd", Data: study.Files()[0].Data}}), dicomio.Limits{}, read, 1, 0},
		{"absolute names", kit.ZipFiles([]kit.File{{Name: "/etc/passwd", Data: study.Files()[0].Data}}), dicomio.Limits{}, read, 1, 0},
		{"an archive in the archive", kit.ZipFiles([]kit.File{{Name: "inner.zip", Data: archive}}), dicomio.Limits{}, neurotriage.NotDICOM, 0, 0},
		{"an archive beside images", kit.ZipFiles(append(study.Files(), kit.File{Name: "inner.zip", Data: archive})), dicomio.Limits{}, read, 12, 0},
		{"nothing in it", kit.ZipFiles(nil), dicomio.Limits{}, neurotriage.NotDICOM, 0, 0},
		{"cut", archive[:len(archive)/2], dicomio.Limits{}, neurotriage.CorruptDICOM, 0, 0},
		{"no archive", []byte("PK\x03\x04 not at all"), dicomio.Limits{}, neurotriage.CorruptDICOM, 0, 0},
		{"a damaged entry", flipped, dicomio.Limits{}, read, 11, 1},
		{"larger than a study may be", archive, dicomio.Limits{StudyBytes: 8000}, neurotriage.TooLarge, 0, 0},
		{"one file larger than allowed", archive, dicomio.Limits{FileBytes: 800}, neurotriage.TooLarge, 0, 0},
		{"a bomb", packed, wide, neurotriage.TooLarge, 0, 0},
		{"a large dark study, allowed", packed, dicomio.Limits{FramePixels: 1 << 30, ZipRatio: 2000}, read, 2, 0},
		{"a bomb that is no image", bomb(t), dicomio.Limits{}, neurotriage.NotDICOM, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opened, err := dicomio.Open(t.Context(), dicomio.Zip(bytes.NewReader(c.archive), int64(len(c.archive))), dicomio.Options{Limits: c.limits})
			if got := reason(err); got != c.want {
				t.Fatalf("got %s (%v), want %s", got, err, c.want)
			}
			if err != nil {
				return
			}
			defer opened.Close()
			slices, refused := slicesOf(t, opened)
			if len(slices) != c.read || len(refused) != c.refused {
				t.Errorf("%d slices, refused %v", len(slices), refused)
			}
		})
	}
}

// Files, folders and archives may be mixed; what a person named must be there.
func TestPaths(t *testing.T) {
	root, _ := tree(t)
	at := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(root, names[i])
		}
		return names
	}
	cases := []struct {
		name    string
		paths   []string
		want    neurotriage.Reason
		skipped int
	}{
		{"a folder", at("study"), read, 0},
		{"an archive", at("study.zip"), read, 0},
		{"a file", at("one.dcm"), read, 0},
		{"all at once", at("study", "study.zip", "one.dcm", "note.txt", "empty"), read, 1},
		{"a missing one", at("study", "missing"), neurotriage.StudyNotFound, 0},
		{"an empty folder", at("empty"), read, 0},
		{"a text", at("note.txt"), read, 1},
		{"a pipe", at("pipes/pipe"), neurotriage.NotDICOM, 0},
	}
	for _, c := range cases {
		studies, skipped, err := dicomio.Scan(t.Context(), dicomio.Paths(c.paths), dicomio.Options{})
		if got := reason(err); got != c.want || skipped.NotDICOM != c.skipped {
			t.Errorf("%s: got %s (%v), skipped %+v", c.name, got, err, skipped)
		}
		for _, s := range studies {
			if err := s.Close(); err != nil {
				t.Errorf("%s: close: %v", c.name, err)
			}
		}
	}
}

// brokenSource fails in a given way when its files are listed, opened or read.
type brokenSource struct {
	list, open, read error
	closed           *int
}

func (b brokenSource) Close() error { *b.closed++; return nil }

func (b brokenSource) List(context.Context) iter.Seq2[dicomio.File, error] {
	return func(yield func(dicomio.File, error) bool) {
		if b.list != nil {
			yield(dicomio.File{}, b.list)
			return
		}
		data := sound().Data
		yield(dicomio.File{Name: "broken", Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
			if b.open != nil {
				return nil, b.open
			}
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[:600]), failing{b.read})), nil
		}}, nil)
	}
}

// What the disk does is judged by its cause, and the source is closed all the same.
func TestFaultsOfTheDisk(t *testing.T) {
	at := func(err error) error { return &fs.PathError{Op: "read", Path: "broken", Err: err} }
	cases := []struct {
		name   string
		source brokenSource
		want   neurotriage.Reason
	}{
		{"i/o error while listing", brokenSource{list: fmt.Errorf("list: %w", neurotriage.ErrSurroundings)}, "surroundings"},
		{"i/o error while opening", brokenSource{open: at(syscall.EIO)}, "surroundings"},
		{"i/o error while reading", brokenSource{read: at(syscall.EIO)}, "surroundings"},
		{"stale share", brokenSource{read: at(syscall.ESTALE)}, "surroundings"},
		{"share gone", brokenSource{open: at(syscall.ENOTCONN)}, "surroundings"},
		{"too many open files", brokenSource{open: at(syscall.EMFILE)}, "surroundings"},
		{"ends early", brokenSource{read: io.ErrUnexpectedEOF}, neurotriage.CorruptDICOM},
		{"leaves the root", brokenSource{open: at(errors.New("path escapes from parent"))}, neurotriage.PathNotAllowed},
	}
	for _, c := range cases {
		closed := 0
		c.source.closed = &closed
		_, err := dicomio.Open(t.Context(), c.source, dicomio.Options{})
		if got := reason(err); got != c.want || closed != 1 {
			t.Errorf("%s: got %s (%v), closed %d times", c.name, got, err, closed)
		}
	}
	closed := 0
	_, err := dicomio.Open(t.Context(), brokenSource{open: at(fs.ErrPermission), closed: &closed}, dicomio.Options{})
	var refusal *neurotriage.Refusal
	if err == nil || errors.As(err, &refusal) || errors.Is(err, neurotriage.ErrSurroundings) {
		t.Errorf("no permission: got %v, want an error that may be tried again", err)
	}
}
