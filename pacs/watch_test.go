package pacs_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
	"neurotriage/pacs"
)

// watched is a folder with a watch on it, whose time is a bubble's.
type watched struct {
	t      *testing.T
	folder string
	opts   pacs.WatchOptions
	office *office
	watch  *pacs.Watch
}

func newWatched(t *testing.T, quiet time.Duration) *watched {
	t.Helper()
	o := newOffice()
	w := &watched{t: t, folder: t.TempDir(), office: o}
	w.opts = pacs.WatchOptions{
		Name: "drop", Root: "incoming", Folder: w.folder, Quiet: quiet, State: t.TempDir(), Limits: dicomio.DefaultLimits(), Office: o,
	}
	w.restart()
	return w
}

func (w *watched) restart() {
	w.t.Helper()
	if w.watch != nil {
		_ = w.watch.Close()
	}
	var err error
	if w.watch, err = pacs.OpenWatch(w.opts); err != nil {
		w.t.Fatal(err)
	}
}

// put writes files; those that exist get another time.
func (w *watched) put(dir string, files ...kit.File) {
	w.t.Helper()
	if err := kit.WriteFiles(filepath.Join(w.folder, dir), files); err != nil {
		w.t.Fatal(err)
	}
}

// look looks twice: once to see, and once when all has lain still long enough.
func (w *watched) look() {
	w.t.Helper()
	for range 2 {
		if err := w.watch.Look(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(w.opts.Quiet)
	}
	if err := w.watch.Look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// paths are the places that were announced so far.
func (w *watched) paths() []string {
	var paths []string
	for _, job := range w.office.announced() {
		paths = append(paths, job.Location.Root+":"+job.Location.Path)
	}
	return paths
}

func (w *watched) want(what string, paths ...string) {
	w.t.Helper()
	if got := w.paths(); !slices.Equal(got, paths) {
		w.t.Errorf("%s: announced %q, want %q", what, got, paths)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, time.Minute)
		defer func() { _ = w.watch.Close() }()
		files := study("watched", 3).Files()
		w.look()
		w.want("an empty folder")

		w.put("a", files[:2]...)
		if err := w.watch.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.want("files that have just come")
		time.Sleep(59 * time.Second)
		w.put("a", files[2])
		_ = w.watch.Look(t.Context())
		time.Sleep(59 * time.Second)
		_ = w.watch.Look(t.Context())
		w.want("the last came a minute ago, almost")
		time.Sleep(time.Second)
		_ = w.watch.Look(t.Context())
		w.want("they lay still", "incoming:a/S001")
		w.look()
		w.want("nothing new", "incoming:a/S001")
		w.restart()
		w.look()
		w.want("nothing new after a restart", "incoming:a/S001")

		own := study("watched", 1).Files()[0]
		own.Name = "report.dcm"
		own.Data = kit.EncodeFile(kit.ExplicitLittle, own.With(kit.Element{Tag: 0x00080070, VR: "LO", Value: neurotriage.Manufacturer}))
		w.put("a", own, kit.File{Name: "notes.txt", Data: []byte("no DICOM")}, kit.File{Name: ".part", Data: files[0].Data})
		w.look()
		w.want("our report, a text, a hidden file", "incoming:a/S001")

		if err := os.Remove(filepath.Join(w.folder, "a", files[0].Name)); err != nil {
			t.Fatal(err)
		}
		w.look()
		w.want("a file went away", "incoming:a/S001")
		late := files[0]
		late.Name = "late/" + late.Name
		w.put("a", late)
		w.look()
		w.want("a late image", "incoming:a/S001", "incoming:a")
	})
}

func TestWatchPlaces(t *testing.T) {
	one, two := study("one", 2).Files(), study("two", 1).Files()
	named := func(file kit.File, name string) kit.File { file.Name = name; return file }
	cases := []struct {
		name  string
		files []kit.File
		want  []string // in any order
	}{
		{"loose in the root", []kit.File{named(one[0], "1.dcm"), named(one[1], "2.dcm")}, []string{"incoming:."}},
		{"a folder each", []kit.File{named(one[0], "x/1"), named(one[1], "x/2"), named(two[0], "y/1")}, []string{"incoming:x", "incoming:y"}},
		{"series in folders", []kit.File{named(one[0], "x/s1/1"), named(one[1], "x/s2/1")}, []string{"incoming:x"}},
		{"names that begin alike", []kit.File{named(one[0], "x/s/1"), named(one[1], "x/s2/1")}, []string{"incoming:x"}},
		{"two studies in a folder", []kit.File{named(one[0], "x/1"), named(two[0], "x/2")}, []string{"incoming:x", "incoming:x"}},
		{"an archive", []kit.File{{Name: "in/one.zip", Data: kit.ZipFiles(one)}}, []string{"incoming:in/one.zip"}},
		{"an archive with two studies", []kit.File{{Name: "all.zip", Data: kit.ZipFiles([]kit.File{named(one[0], "1"), named(two[0], "2")})}},
			[]string{"incoming:all.zip", "incoming:all.zip"}},
		{"an archive that is none", []kit.File{{Name: "no.zip", Data: []byte("PK\x03\x04 and nothing more")}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatched(t, time.Second)
				defer func() { _ = w.watch.Close() }()
				w.put("", c.files...)
				w.look()
				w.look()
				got := w.paths()
				slices.Sort(got)
				if !slices.Equal(got, c.want) {
					t.Errorf("announced %q, want %q", got, c.want)
				}
			})
		})
	}
}

// A share that goes away and comes back is no news, and a folder that is not
// there is told.
func TestWatchWhileTheShareIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, time.Second)
		defer func() { _ = w.watch.Close() }()
		w.put("a", study("share", 1).Files()...)
		w.look()
		away := w.folder + "-away"
		if err := os.Rename(w.folder, away); err != nil {
			t.Fatal(err)
		}
		if err := w.watch.Look(t.Context()); err == nil {
			t.Error("a folder that is not there was looked through")
		}
		if err := os.Mkdir(w.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		w.look()
		_ = os.Remove(w.folder)
		if err := os.Rename(away, w.folder); err != nil {
			t.Fatal(err)
		}
		w.look()
		w.want("after it came back", "incoming:a/S001")
	})
}

// What cannot be announced is announced later.
func TestWatchTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, time.Second)
		defer func() { _ = w.watch.Close() }()
		w.put("a", study("later", 1).Files()...)
		w.office.err = os.ErrDeadlineExceeded
		_ = w.watch.Look(t.Context())
		time.Sleep(time.Second)
		if err := w.watch.Look(t.Context()); err == nil {
			t.Error("the outage was not told")
		}
		w.office.err = nil
		w.look()
		w.want("after the outage", "incoming:a/S001")
	})
}
