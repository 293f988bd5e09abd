package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/internal/kit"
)

// album makes a folder with n pictures of heads per class.
func album(t *testing.T, counts map[string]int) string {
	t.Helper()
	dir := t.TempDir()
	for class, n := range counts {
		folder := filepath.Join(dir, class)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			write(t, folder, string(rune('a'+i))+".png", headPNG(t))
		}
	}
	return dir
}

func headPNG(t *testing.T) []byte {
	t.Helper()
	head := kit.Head(64, 64, 0.5)
	picture := image.NewGray(image.Rect(0, 0, 64, 64))
	for i, value := range head.Stored {
		picture.Pix[i] = uint8(value / 4)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// figures is what a script reads of the report.
type figures struct {
	Glioma     map[string]float64 `json:"glioma"`
	Normal     map[string]float64 `json:"normal"`
	Accuracy   float64            `json:"accuracy"`
	Macro      map[string]float64 `json:"macro avg"`
	Weighted   map[string]float64 `json:"weighted avg"`
	Labels     []string           `json:"labels"`
	Confusion  [][]int            `json:"confusion_matrix"`
	ECE        float64            `json:"ece"`
	Skipped    int                `json:"skipped"`
	Unreadable []map[string]string
	Review     struct {
		Threshold    float64
		Recall       float64
		FlaggedShare float64 `json:"flagged_share"`
	}
	Abstentions struct {
		Unscored    map[string]int
		OutOfDomain int `json:"out_of_domain"`
	}
	Model map[string]string
}

func TestEvaluate(t *testing.T) {
	dir := album(t, map[string]int{"glioma": 3, "meningioma": 1, "normal": 2, "pituitary": 2})
	write(t, filepath.Join(dir, "normal"), "list.csv", []byte("not,a,picture"))
	var blank bytes.Buffer
	if err := png.Encode(&blank, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "normal"), "blank.png", blank.Bytes())
	dcm := kit.Study{Name: "one", Series: []kit.Series{{Images: kit.Heads(1, 64, 64)}}}.Files()[0]
	write(t, filepath.Join(dir, "glioma"), "slice.dcm", dcm.Data)

	plot := filepath.Join(t.TempDir(), "report.png")
	got := newBench(t).run("evaluate", dir, "--json", "--plot", plot).want(t, exitDone) // glioma to everything
	var report figures
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	near("accuracy", report.Accuracy, 4.0/9)
	near("recall of glioma", report.Glioma["recall"], 1)
	near("precision of glioma", report.Glioma["precision"], 4.0/9)
	near("recall of normal", report.Normal["recall"], 0)
	near("support of normal", report.Normal["support"], 2)
	near("macro recall", report.Macro["recall"], 0.25)
	near("review recall", report.Review.Recall, 1)
	near("flagged share", report.Review.FlaggedShare, 1)
	near("review threshold", report.Review.Threshold, card().Thresholds.GliomaReviewSlice)
	p := math.Exp(6) / (math.Exp(6) + 3)
	near("calibration error", report.ECE, p-4.0/9)
	if report.Skipped != 1 || len(report.Abstentions.Unscored) != 1 || report.Model["digest"] != card().Digest {
		t.Errorf("skipped %d, abstentions %v, model %v", report.Skipped, report.Abstentions, report.Model)
	}
	if _, err := png.Decode(strings.NewReader(readFile(t, plot))); err != nil {
		t.Errorf("the plot: %v", err)
	}
}

func TestEvaluateForAPerson(t *testing.T) {
	dir := album(t, map[string]int{"glioma": 2, "normal": 2})
	got := newBench(t).run("evaluate", dir).want(t, exitDone)
	for _, want := range []string{"PRECISION", "macro avg", "FOLDER \\ ANSWER", "glioma review", "calibration error", card().Digest} {
		if !strings.Contains(got.out, want) {
			t.Errorf("the report lacks %q:\n%s", want, got.out)
		}
	}
	if !strings.Contains(got.err, "no files of class meningioma, pituitary") {
		t.Errorf("stderr %q does not tell of the missing classes", got.err)
	}
}

func TestEvaluateFailsOnUnreadableFilesAfterReporting(t *testing.T) {
	dir := album(t, map[string]int{"glioma": 2, "normal": 2})
	write(t, filepath.Join(dir, "glioma"), "cut.png", headPNG(t)[:60])
	got := newBench(t).run("evaluate", dir, "--json").want(t, exitFailed)
	var report figures
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Unreadable) != 1 || !strings.HasSuffix(report.Unreadable[0]["file"], "cut.png") || !strings.Contains(got.err, "cut.png") {
		t.Errorf("unreadable %v, stderr %q", report.Unreadable, got.err)
	}
}

func TestEvaluateNothingToScore(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "glioma")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, folder, "list.csv", []byte("not,a,picture"))
	got := newBench(t).run("evaluate", dir, "--json").want(t, exitNothing)
	if got.out != "" {
		t.Errorf("results %q of nothing", got.out)
	}
}
