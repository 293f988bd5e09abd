package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"neurotriage"
)

// An error is held against the study only while its root is well.
func TestPlaceJudges(t *testing.T) {
	well, empty, gone := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "gone")
	if err := os.WriteFile(filepath.Join(well, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	corrupt := neurotriage.Refuse(neurotriage.CorruptDICOM, "truncated")
	missing := neurotriage.Refuse(neurotriage.StudyNotFound, "no folder")
	cases := []struct {
		name   string
		folder string
		err    error
		fault  bool
	}{
		{"a refusal stands while the root is well", well, corrupt, false},
		{"a missing study stands while the root is well", well, missing, false},
		{"an odd error stands while the root is well", well, errors.New("odd"), false},
		{"a fault of the disk", well, fmt.Errorf("read: %w: %w", neurotriage.ErrSurroundings, syscall.EIO), true},
		{"no permission", well, fmt.Errorf("open: %w", fs.ErrPermission), true},
		{"a missing study in an empty root", empty, missing, true},
		{"a missing study in a root that is gone", gone, missing, true},
		{"a broken file in a root that is gone", gone, corrupt, true},
		{"a path that is not allowed, whatever the root", empty, neurotriage.Refuse(neurotriage.PathNotAllowed, ".."), false},
		{"a stop", gone, fmt.Errorf("reading: %w", context.Canceled), false},
	}
	for _, c := range cases {
		err := (&place{name: "incoming", folder: c.folder}).judge(c.err)
		if errors.Is(err, neurotriage.ErrSurroundings) != c.fault {
			t.Errorf("%s: %v, a fault of the surroundings: want %v", c.name, err, c.fault)
		}
		if c.fault == (testPolicy().decide(neurotriage.Job{Delivery: 1}, err, false).pause == nil) {
			t.Errorf("%s: the policy does not agree", c.name)
		}
	}
}

func TestFaultOfARootIsOverWhenTheRootIsBack(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "share")
	p := &place{name: "incoming", folder: folder}
	f, ok := errors.AsType[*fault](p.judge(errors.New("odd")))
	if !ok || f.over() == nil {
		t.Fatal("a root that is gone is no fault")
	}
	if err := os.MkdirAll(filepath.Join(folder, "study"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.over(); err != nil {
		t.Errorf("the root is back: %v", err)
	}
}

// failing is a study with one good slice, one bad one, and one more good one.
type failing struct {
	OpenStudy
	between func()
}

func (f failing) Slices(context.Context) iter.Seq2[neurotriage.Slice, error] {
	return func(yield func(neurotriage.Slice, error) bool) {
		if !yield(neurotriage.Slice{Index: 0}, nil) {
			return
		}
		f.between()
		if yield(neurotriage.Slice{Index: 1}, neurotriage.Refuse(neurotriage.CorruptDICOM, "truncated")) {
			yield(neurotriage.Slice{Index: 2}, nil)
		}
	}
}

func TestSlicesOfARootThatGoesAway(t *testing.T) {
	for _, goes := range []bool{false, true} {
		folder := filepath.Join(t.TempDir(), "share")
		if err := os.MkdirAll(filepath.Join(folder, "study"), 0o700); err != nil {
			t.Fatal(err)
		}
		study := &placed{place: &place{name: "incoming", folder: folder}, OpenStudy: failing{between: func() {
			if goes {
				if err := os.RemoveAll(folder); err != nil {
					t.Fatal(err)
				}
			}
		}}}
		var last error
		count := 0
		for _, err := range study.Slices(t.Context()) {
			count++
			if err != nil {
				last = err
			}
		}
		if errors.Is(last, neurotriage.ErrSurroundings) != goes {
			t.Errorf("root goes away %v: the bad slice gives %v", goes, last)
		}
		if want := 3 - int(number(goes)); count != want {
			t.Errorf("root goes away %v: %d slices, want %d", goes, count, want)
		}
	}
}

func TestSpool(t *testing.T) {
	full := errors.New("no room")
	noSpace := fmt.Errorf("write: %w", syscall.ENOSPC)
	cases := []struct {
		name     string
		guard    error
		download func(w io.Writer) (int64, error)
		size     int64
		fault    bool
		refusal  bool
	}{
		{"fine", nil, func(w io.Writer) (int64, error) { n, err := w.Write([]byte("12345")); return int64(n), err }, 5, false, false},
		{"the guard says no", full, nil, 0, false, false},
		{"too large", nil, func(io.Writer) (int64, error) { return 0, neurotriage.Refuse(neurotriage.TooLarge, "9 GB") }, 0, false, true},
	}
	for _, c := range cases {
		s := spool{dir: filepath.Join(t.TempDir(), "spool"), guard: func() error { return c.guard }}
		if err := s.clean(); err != nil {
			t.Fatal(err)
		}
		file, size, err := s.fill(c.download)
		if size != c.size || (file == nil) != (err != nil) || errors.Is(err, neurotriage.ErrSurroundings) != c.fault || (refusal(err) != nil) != c.refusal {
			t.Errorf("%s: %d bytes, %v", c.name, size, err)
		}
		if entries, _ := os.ReadDir(s.dir); len(entries) != 0 {
			t.Errorf("%s: the spool holds %v", c.name, entries)
		}
		if file != nil {
			text, err := io.ReadAll(io.NewSectionReader(file, 0, size))
			if string(text) != "12345" || err != nil {
				t.Errorf("%s: read %q, %v", c.name, text, err)
			}
			_ = file.Close()
		}
	}
	w := &witness{w: failingWriter{noSpace}}
	if _, err := io.WriteString(w, "x"); !errors.Is(err, syscall.ENOSPC) || !errors.Is(w.err, syscall.ENOSPC) {
		t.Errorf("the witness saw %v", w.err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// A full disk in the middle of a download is no fault of the study, however the
// downloader words it.
func TestSpoolTellsTheDiskFromTheDownload(t *testing.T) {
	s := spool{dir: t.TempDir(), guard: func() error { return nil }}
	_, _, err := s.fill(func(w io.Writer) (int64, error) {
		w.(*witness).w = failingWriter{syscall.ENOSPC}
		_, _ = io.WriteString(w, "x")
		return 0, neurotriage.Refuse(neurotriage.CorruptDICOM, "short")
	})
	if !errors.Is(err, neurotriage.ErrSurroundings) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fill gives %v", err)
	}
}

func TestSpoolCleansLeftovers(t *testing.T) {
	s := spool{dir: t.TempDir(), guard: func() error { return nil }}
	left := filepath.Join(s.dir, "object-123.zip")
	if err := os.WriteFile(left, []byte("of a killed daemon"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.clean(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover: %v", err)
	}
}

// A root that hangs is looked at once, however often somebody asks, and nobody
// waits for it for long.
func TestRootThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{name: "incoming", folder: "/mnt/dead"}
		hanging := &glance{done: make(chan struct{})}
		p.going = hanging
		for range 3 {
			start := time.Now()
			err := p.check()
			if took := time.Since(start); took != glanceTime || err == nil || !strings.Contains(err.Error(), "has not answered") {
				t.Errorf("after %s: %v", took, err)
			}
			if p.going != hanging {
				t.Fatal("another look was begun")
			}
		}
	})
}
