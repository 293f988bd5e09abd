package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// site is a folder tree like a hospital's: a root with one folder per study,
// and things elsewhere.
type site struct{ root, elsewhere string }

func newSite(t *testing.T) site {
	t.Helper()
	s := site{t.TempDir(), t.TempDir()}
	for name, study := range map[string]kit.Study{"a": brain("a", ""), "deep/b": brain("b", "")} {
		if err := study.WriteDir(filepath.Join(s.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, s.root, "c.zip", brain("c", "").Zip())
	write(t, s.root, "one.dcm", brain("d", "").Files()[0].Data)
	if err := brain("e", "").WriteDir(filepath.Join(s.elsewhere, "e")); err != nil {
		t.Fatal(err)
	}
	write(t, s.elsewhere, "f.zip", brain("f", "").Zip())
	flat := filepath.Join(s.root, "flat")
	if err := os.Mkdir(flat, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"g", "h"} {
		write(t, flat, name+".dcm", brain(name, "").Files()[0].Data)
	}
	if err := os.Symlink(filepath.Join(s.root, "a"), filepath.Join(s.elsewhere, "link")); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhereStudiesAreAnnounced(t *testing.T) {
	s := newSite(t)
	cases := []struct {
		name  string
		paths []string
		want  map[string]string // study -> path below the root, "" for an upload
	}{
		{"a folder below the root", []string{s.root + "/a"}, map[string]string{"a": "a/S001"}},
		{"a deeper folder", []string{s.root + "/deep"}, map[string]string{"b": "deep/b/S001"}},
		{"an archive below the root", []string{s.root + "/c.zip"}, map[string]string{"c": "c.zip"}},
		{"one file", []string{s.root + "/one.dcm"}, map[string]string{"d": "one.dcm"}},
		{"elsewhere", []string{s.elsewhere + "/e", s.elsewhere + "/f.zip"}, map[string]string{"e": "", "f": ""}},
		{"reached by a link from elsewhere", []string{s.elsewhere + "/link/"}, map[string]string{"a": "a/S001"}},
		{"two studies in one folder", []string{s.root + "/flat"}, map[string]string{"g": "flat/g.dcm", "h": "flat/h.dcm"}},
		{"a study in a folder and in an archive", []string{s.root + "/a", zipOf(t, s.root, "a")}, map[string]string{"a": ""}},
		{"a study spread over the root itself", []string{spread(t, s.root), s.root + "/i2.dcm"}, map[string]string{"i": ""}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := &planner{roots: map[string]string{"incoming": s.root}, step: func() {}}
			errands, err := p.plan(t.Context(), c.paths)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			got := map[string]string{}
			for _, e := range errands {
				got[e.uid] = e.location.Path
				if e.accession != "A1" || len(e.files) == 0 {
					t.Errorf("errand %+v", e)
				}
				if want := (neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: e.location.Path}); e.location.Path != "" && e.location != want {
					t.Errorf("location %+v", e.location)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%d studies, want %d", len(got), len(c.want))
			}
			for name, path := range c.want {
				if place, ok := got[kit.UID(name)]; !ok || place != path {
					t.Errorf("study %s is announced at %q (%t), want %q", name, place, ok, path)
				}
			}
		})
	}
}

// zipOf packs a study into an archive below the root.
func zipOf(t *testing.T, root, name string) string {
	t.Helper()
	return write(t, root, name+"-again.zip", brain(name, "").Zip())
}

// spread puts two files of one study directly into the root.
func spread(t *testing.T, root string) string {
	t.Helper()
	files := brain("i", "").Files()
	write(t, root, "i2.dcm", files[1].Data)
	return write(t, root, "i1.dcm", files[0].Data)
}

func TestPlanCountsAndKeepsDamagedFiles(t *testing.T) {
	dir := place(t, brain("a", ""))
	write(t, dir, "notes.txt", []byte("text"))
	whole := brain("a", "").Files()[0].Data
	write(t, dir, "cut.dcm", whole[:200]) // ends before it names its study
	p := &planner{step: func() {}}
	errands, err := p.plan(t.Context(), []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if len(errands) != 1 || len(errands[0].files) != 9 || p.skipped != 1 {
		t.Errorf("%d errands with %d files, %d skipped; the damaged file must travel with its study", len(errands), len(errands[0].files), p.skipped)
	}
}

func TestPlanOfDamagedFilesOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "cut.dcm", brain("a", "").Files()[0].Data[:200])
	p := &planner{step: func() {}}
	defer p.close()
	if errands, err := p.plan(t.Context(), []string{dir}); err == nil {
		t.Errorf("%d errands from a file that names no study", len(errands))
	}
}

func TestUploadHoldsTheFilesUnderNumbers(t *testing.T) {
	study := brain("a", "")
	dir := place(t, study)
	p := &planner{step: func() {}}
	errands, err := p.plan(t.Context(), []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	stream := zipped(errands[0].files)
	data, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range study.Files() {
		entry := archive.File[i]
		if want := []string{"000001.dcm", "000002.dcm", "000003.dcm", "000004.dcm", "000005.dcm", "000006.dcm", "000007.dcm", "000008.dcm"}[i]; entry.Name != want {
			t.Errorf("entry %q, want %q", entry.Name, want)
		}
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !slices.Equal(got, file.Data) {
			t.Errorf("%s differs from %s (%v)", entry.Name, file.Name, err)
		}
	}
}

func TestUploadTellsOfAFileThatCannotBeRead(t *testing.T) {
	gone := dicomio.File{Name: "gone.dcm", Open: func() (io.ReadCloser, error) { return nil, os.ErrNotExist }}
	if _, err := io.ReadAll(zipped([]dicomio.File{gone})); err == nil || !bytes.Contains([]byte(err.Error()), []byte("gone.dcm")) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestCommonFolder(t *testing.T) {
	cases := []struct {
		files []string
		want  string
	}{
		{[]string{"/a/b/1", "/a/b/2"}, "/a/b"},
		{[]string{"/a/b/1", "/a/b/c/2"}, "/a/b"},
		{[]string{"/a/b/1", "/a/bc/2"}, "/a"},
		{[]string{"/a/1", "/b/2"}, "/"},
		{[]string{"/a/2", "/a/..b/1"}, "/a"},
	}
	for _, c := range cases {
		if got, err := commonFolder(c.files); err != nil || got != c.want {
			t.Errorf("commonFolder(%v) = %q, %v, want %q", c.files, got, err, c.want)
		}
	}
}
