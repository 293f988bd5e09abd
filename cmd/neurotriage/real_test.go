package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage"
)

// realData gives a path below the folder of real images, or skips.
func realData(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("NEUROTRIAGE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	whole := filepath.Join(root, path)
	if _, err := os.Stat(whole); err != nil {
		t.Skipf("needs real images (NEUROTRIAGE_DATA): %v", err)
	}
	return whole
}

// checkBrain holds a finding of the whole T1 brain of a healthy volunteer
// against the contract: read, and without contrast never cleared.
func checkBrain(t *testing.T, f neurotriage.Finding) {
	t.Helper()
	if f.Status != neurotriage.StatusRead || len(f.Series) != 1 || !f.Series[0].Eligible || f.Series[0].Slices != 384 {
		t.Fatalf("finding %+v", f)
	}
	switch f.Disposition {
	case neurotriage.GliomaReview:
		if !f.Flags.GliomaReview || f.Probabilities["glioma"] < f.Thresholds.GliomaReview {
			t.Errorf("a review without a flag: %+v", f)
		}
	case neurotriage.TumourSuspected:
		if f.Predicted == neurotriage.Normal {
			t.Errorf("a tumour is suspected and normal predicted: %+v", f)
		}
	case neurotriage.NotAssessable:
		if f.Reason != neurotriage.NoContrast || f.Flags.GliomaReview {
			t.Errorf("finding %+v, want the reason no_contrast", f)
		}
	default:
		t.Errorf("disposition %s: without contrast the model may raise, never clear", f.Disposition)
	}
	sum := 0.0
	for _, p := range f.Probabilities {
		sum += p
	}
	if len(f.Probabilities) != 4 || sum < 0.999 || sum > 1.001 {
		t.Errorf("probabilities %v", f.Probabilities)
	}
	if f.Model.Runtime == "" || len(f.KeySlices) == 0 {
		t.Errorf("model %+v, %d key slices", f.Model, len(f.KeySlices))
	}
}

// needMinutes skips where every test runs under the race detector.
func needMinutes(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("reads 384 real slices, which takes long under -race")
	}
}

func TestRealBrainWithTheRealModel(t *testing.T) {
	needMinutes(t)
	needLibrary(t)
	archive := realData(t, "dicom/t1-brain/t1-brain.zip")
	b := newBench(t)
	b.open = openONNX
	out := t.TempDir()
	got := b.run("classify", archive, "--json", "--out", out).want(t, exitDone)
	findings := decode[[]neurotriage.Finding](t, got.out)
	if len(findings) != 1 {
		t.Fatalf("%d findings", len(findings))
	}
	checkBrain(t, findings[0])
	if pictures, _ := filepath.Glob(filepath.Join(out, "*", "key-*.png")); len(pictures) != len(findings[0].KeySlices) {
		t.Errorf("%d pictures of %d key slices", len(pictures), len(findings[0].KeySlices))
	}
}

func TestRealBrainFromAnnouncementToFinding(t *testing.T) {
	needMinutes(t)
	needLibrary(t)
	archive := realData(t, "dicom/t1-brain/t1-brain.zip")
	b := newBench(t)
	b.open = openONNX
	b.serve()
	sent := decode[neurotriage.Finding](t, b.run("submit", archive, "--wait=2m").want(t, exitDone).out)
	checkBrain(t, sent)
	local := decode[[]neurotriage.Finding](t, b.run("classify", archive, "--json").want(t, exitDone).out)
	if local[0].ID != sent.ID {
		t.Errorf("the daemon's finding is %s, classify's %s: one study, one id", sent.ID, local[0].ID)
	}
	for label, p := range sent.Probabilities {
		if d := p - local[0].Probabilities[label]; d > 1e-9 || d < -1e-9 {
			t.Errorf("p(%s) is %v in the daemon and %v in classify", label, p, local[0].Probabilities[label])
		}
	}
}

// The network says glioma to everything, so anything that is read by mistake
// would raise an alarm.
func TestNothingElseIsEverATumour(t *testing.T) {
	files := listFiles(t, realData(t, "dicom/not-eligible"))
	files = append(files, listFiles(t, libraryTestdata(t))...)
	count := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got := newBench(t).run("classify", file, "--json").want(t, exitDone)
			for _, f := range decode[[]neurotriage.Finding](t, got.out) {
				count++
				if f.Disposition != neurotriage.NotAssessable || f.Reason == "" || f.Probabilities != nil {
					t.Errorf("%s (%s) %v, warnings %v", f.Disposition, f.Reason, f.Probabilities, f.Warnings)
				}
				for _, series := range f.Series {
					if series.Eligible || series.Why == "" {
						t.Errorf("series %+v: not eligible, and why?", series)
					}
				}
			}
		})
	}
	if count < 20 {
		t.Errorf("%d studies in all", count)
	}
}

// libraryTestdata is the testdata of the DICOM module that we build with.
func libraryTestdata(t *testing.T) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/suyashkumar/dicom").Output()
	if err != nil {
		t.Fatalf("looking for the module's folder: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "testdata")
}

// listFiles gives the files below a folder that call themselves DICOM.
func listFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && strings.EqualFold(filepath.Ext(path), ".dcm") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), dir, err)
	}
	return files
}
