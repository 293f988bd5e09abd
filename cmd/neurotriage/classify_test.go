package main

import (
	"context"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/internal/kit"
)

// studies are what a person may point classify at, and what comes of it with a
// network that says glioma (g) or normal (n) to every slice.
var studies = []struct {
	name        string
	study       kit.Study
	answer      []float32
	disposition neurotriage.Disposition
	reason      neurotriage.Reason
	code        int
}{
	{"glioma with contrast", brain("g", "Gadovist"), []float32{6, 0, 0, 0}, neurotriage.GliomaReview, "", exitDone},
	{"glioma without contrast", brain("gn", ""), []float32{6, 0, 0, 0}, neurotriage.GliomaReview, "", exitDone},
	{"meningioma", brain("m", "Gadovist"), []float32{0, 6, 0, 0}, neurotriage.TumourSuspected, "", exitDone},
	{"normal with contrast", brain("n", "Gadovist"), []float32{0, 0, 6, 0}, neurotriage.NotFlagged, "", exitDone},
	{"normal without contrast", brain("nn", ""), []float32{0, 0, 6, 0}, neurotriage.NotAssessable, neurotriage.NoContrast, exitDone},
	{"another body part", knee(), []float32{6, 0, 0, 0}, neurotriage.NotAssessable, neurotriage.NothingEligible, exitDone},
	{"a syntax that is not read", coded(), []float32{6, 0, 0, 0}, neurotriage.Refused, neurotriage.UnsupportedTransferSyntax, exitFailed},
}

func knee() kit.Study {
	part := "KNEE"
	return kit.Study{Name: "knee", Series: []kit.Series{{BodyPart: &part, Description: "T1 KNEE", Images: kit.Heads(4, 48, 48)}}}
}

// coded names a transfer syntax that nobody reads.
func coded() kit.Study {
	s := brain("coded", "Gadovist")
	s.Series[0].Syntax = "1.2.840.10008.1.2.4.106" // MPEG-4 on an MR image
	return s
}

func TestClassify(t *testing.T) {
	for _, c := range studies {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.open = answering(c.answer...)
			got := b.run("classify", place(t, c.study), "--json").want(t, c.code)
			conform(t, "finding.v1.json", got.out)
			findings := decode[[]neurotriage.Finding](t, got.out)
			if len(findings) != 1 {
				t.Fatalf("%d findings", len(findings))
			}
			f := findings[0]
			if f.Disposition != c.disposition || f.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s); warnings %v", f.Disposition, f.Reason, c.disposition, c.reason, f.Warnings)
			}
			if f.Schema != neurotriage.FindingSchema || f.ID == "" || f.Model.Digest != card().Digest {
				t.Errorf("finding %+v", f)
			}
			for _, secret := range []string{"Doe", "MRN-77"} {
				if strings.Contains(got.out, secret) {
					t.Errorf("the finding holds %q", secret)
				}
			}
		})
	}
}

func TestClassifyMixedPathsSortedAndCounted(t *testing.T) {
	dir := place(t, brain("b", "Gadovist"))
	write(t, dir, "README.txt", []byte("no image"))
	archive := write(t, t.TempDir(), "studies.zip", kit.ZipFiles(slices.Concat(
		brain("a", "").Files(), knee().Files(), []kit.File{{Name: "notes.txt", Data: []byte("neither")}})))
	file := filepath.Join(place(t, coded()), "S001", "I0001.dcm")
	got := newBench(t).run("classify", dir, archive, file, "--json").want(t, exitFailed)
	var uids []string
	for _, f := range decode[[]neurotriage.Finding](t, got.out) {
		uids = append(uids, f.StudyInstanceUID)
	}
	want := []string{kit.UID("a"), kit.UID("b"), kit.UID("knee"), kit.UID("coded")}
	slices.Sort(want)
	if !slices.Equal(uids, want) {
		t.Errorf("studies %v, want %v", uids, want)
	}
	if !strings.Contains(got.err, "skipped 2 files that are not DICOM") {
		t.Errorf("stderr %q", got.err)
	}
	if !strings.Contains(got.err, "4 studies:") {
		t.Errorf("stderr %q lacks the tally", got.err)
	}
}

func TestClassifyForAPerson(t *testing.T) {
	b := newBench(t)
	b.open = answering(0, 0, 6, 0)
	got := b.run("classify", place(t, brain("a", "Gadovist")), place(t, knee()), place(t, coded())).want(t, exitFailed)
	for _, want := range []string{
		"STUDY", "not flagged", "NOT READ", "NOT READ, refused", "nothing_eligible", "unsupported_transfer_syntax",
		"body part", // why the knee is not eligible, in words
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("the table lacks %q:\n%s", want, got.out)
		}
	}
	if strings.Contains(got.out, "not_assessable") {
		t.Errorf("a study that was not read is not shown as NOT READ:\n%s", got.out)
	}
}

func TestClassifyWritesResults(t *testing.T) {
	out := filepath.Join(t.TempDir(), "results")
	dir := place(t, brain("g", "Gadovist"))
	newBench(t).run("classify", dir, place(t, coded()), "--out", out).want(t, exitFailed)
	folder := filepath.Join(out, kit.UID("g"))
	finding := decode[neurotriage.Finding](t, readFile(t, filepath.Join(folder, "finding.json")))
	reading := decode[neurotriage.Reading](t, readFile(t, filepath.Join(folder, "reading.json")))
	if finding.ID != reading.Finding.ID || len(reading.Series) != 1 || len(reading.Series[0].Slices) != 8 {
		t.Errorf("finding %s, reading %s with %d series", finding.ID, reading.Finding.ID, len(reading.Series))
	}
	pictures, err := filepath.Glob(filepath.Join(folder, "key-*.png"))
	if err != nil || len(pictures) != len(finding.KeySlices) || len(pictures) == 0 {
		t.Fatalf("%d pictures of %d key slices: %v", len(pictures), len(finding.KeySlices), err)
	}
	for _, name := range pictures {
		if _, err := png.Decode(strings.NewReader(readFile(t, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"sr.dcm", "key-object.dcm", "key-image-1.dcm", fmt.Sprintf("key-image-%d.dcm", len(pictures))} {
		if object := readFile(t, filepath.Join(folder, name)); !strings.Contains(object, kit.UID("g")) {
			t.Errorf("%s is not of the study", name)
		}
	}
	if len(finding.Reports) != len(pictures)+2 {
		t.Errorf("%d pictures, reports %v", len(pictures), finding.Reports)
	}
	if sr := readFile(t, filepath.Join(out, kit.UID("coded"), "sr.dcm")); !strings.Contains(sr, "NOT READ") {
		t.Error("the report of the refused study does not say NOT READ")
	}
	refused := decode[neurotriage.Finding](t, readFile(t, filepath.Join(out, kit.UID("coded"), "finding.json")))
	if refused.Status != neurotriage.StatusRefused {
		t.Errorf("the refused study's finding says %s", refused.Status)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}

	stale := []string{write(t, folder, "key-9.png", []byte("of another reading")), write(t, folder, "key-image-9.dcm", []byte("too"))}
	newBench(t).run("classify", dir, "--out", out).want(t, exitDone)
	for _, name := range stale {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("a picture of another reading is left beside the new one (%v)", err)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestClassifyNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", []byte("text"))
	got := newBench(t).run("classify", dir, "--json").want(t, exitNothing)
	if strings.TrimSpace(got.out) != "[]" {
		t.Errorf("stdout %q, want an empty array", got.out)
	}
}

func TestAcceptedLowerRecallStandsInTheFinding(t *testing.T) {
	dir := place(t, brain("g", "Gadovist"))
	args := []string{"classify", dir, "--json", "--set", "model.thresholds.glioma_review=0.5", "--set", "model.accept_lower_recall=true"}
	findings := decode[[]neurotriage.Finding](t, newBench(t).run(args...).want(t, exitDone).out)
	f := findings[0]
	if f.Thresholds.GliomaReview != 0.5 || !slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.Contains(w, "lower recall") }) {
		t.Errorf("threshold %v, warnings %v", f.Thresholds, f.Warnings)
	}
}

func TestInterruptedClassifyFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := newBench(t).runWith(ctx, "classify", place(t, brain("g", "")), "--json")
	if got.code != exitFailed || got.out != "" {
		t.Errorf("exit code %d and results %q after an interrupt", got.code, got.out)
	}
}

func TestClassifyShowsProgressOnATerminalOnly(t *testing.T) {
	dir := place(t, brain("g", "Gadovist"))
	b := newBench(t)
	if got := b.run("classify", dir).want(t, exitDone); strings.Contains(got.err, "reading") {
		t.Errorf("a pipe got progress: %q", got.err)
	}
	b.person = true
	if got := b.run("classify", dir).want(t, exitDone); !strings.Contains(got.err, "reading") {
		t.Errorf("a terminal got no progress: %q", got.err)
	}
}
