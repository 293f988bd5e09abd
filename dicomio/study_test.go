package dicomio_test

import (
	"os"
	"path/filepath"
	"testing"

	"neurotriage/dicomio"
)

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

func TestSmoke(t *testing.T) {
	s, err := dicomio.Open(t.Context(), dicomio.Paths([]string{data(t, "dicom", "t1-brain", "t1-brain.zip")}), dicomio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	st := s.Study()
	series := st.Series[0]
	series.Slices = nil
	t.Logf("%+v %+v", st.Warnings, series)
	n := 0
	for sl, err := range s.Slices(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 190 {
			t.Log(sl.Rows, sl.Columns, sl.Spacing, sl.Turn, sl.Position)
		}
		n++
	}
	t.Log(n)
}

func TestSmokeAll(t *testing.T) {
	studies, skipped, err := dicomio.Scan(t.Context(), dicomio.Paths([]string{data(t, "dicom"), "/root/go/pkg/mod/github.com/suyashkumar/dicom@v1.1.0/testdata"}), dicomio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(skipped)
	for _, s := range studies {
		st := s.Study()
		t.Logf("%s %v refusal=%v", st.UID, st.Warnings, s.Refusal())
		for _, r := range st.Series {
			t.Logf("    %s %s %s n=%d el=%v complete=%v %s | %v", r.Modality, r.Description, r.Sequence, len(r.Slices), r.Eligible, r.Complete, r.Why, r.Warnings)
		}
		s.Close()
	}
}
