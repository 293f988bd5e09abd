package dicomio_test

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// data gives a path below the folder of real files, or skips the test.
func data(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("NEUROTRIAGE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("real data are missing (set NEUROTRIAGE_DATA): %v", err)
	}
	return path
}

// lay writes files below a folder as if they had lain there for an hour: new ones
// that are damaged would be waited for.
func lay(t testing.TB, dir string, files []kit.File) {
	t.Helper()
	if err := kit.WriteFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-time.Hour)
	for _, file := range files {
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(file.Name)), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// open opens the one study below paths and closes it after the test.
func open(t testing.TB, options dicomio.Options, paths ...string) *dicomio.Study {
	t.Helper()
	study, err := dicomio.Open(t.Context(), dicomio.Paths(paths), options)
	if err != nil {
		t.Fatalf("open %s: %v", paths, err)
	}
	t.Cleanup(func() {
		if err := study.Close(); err != nil {
			t.Error(err)
		}
	})
	return study
}

// slices reads all slices; refusals of single slices stand in the second result.
func slicesOf(t testing.TB, study *dicomio.Study) (read []neurotriage.Slice, refused []*neurotriage.Refusal) {
	t.Helper()
	for slice, err := range study.Slices(t.Context()) {
		var refusal *neurotriage.Refusal
		switch {
		case errors.As(err, &refusal):
			refused = append(refused, refusal)
		case err != nil:
			t.Fatal(err)
		default:
			read = append(read, slice)
		}
	}
	return read, refused
}

// reason gives the code of a refusal, or says what the error is instead.
func reason(err error) neurotriage.Reason {
	var refusal *neurotriage.Refusal
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.Is(err, neurotriage.ErrSurroundings):
		return "surroundings"
	}
	return neurotriage.Reason("plain: " + err.Error())
}

func readFile(t testing.TB, path string) (neurotriage.Slice, error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return dicomio.ReadSlice(file, dicomio.Limits{})
}

// unzip writes the files of a trusted archive below dir.
func unzip(path, dir string) error {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	return errors.Join(os.CopyFS(dir, archive), archive.Close())
}
