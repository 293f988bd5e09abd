package report_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage/report"
)

// peer finds a program that is not ours, or skips.
func peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is missing (install the peers of .ci/run): %v", name, err)
	}
	return path
}

// ask runs a program and gives everything that it says.
func ask(t testing.TB, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // CI's cores are shared
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return string(out), err
}

// written are the objects of all cases as files.
type written struct{ file, kind, of string }

func write(t testing.TB, list []aCase) []written {
	t.Helper()
	dir := t.TempDir()
	var files []written
	for _, c := range list {
		made := objects(t, c.reading)
		if !slices.Equal(kinds(made), c.kinds) {
			t.Errorf("%s: objects %v, want %v", c.name, kinds(made), c.kinds)
		}
		for _, object := range made {
			file := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.dcm", strings.ReplaceAll(c.name, " ", "_"), len(files), object.Kind))
			if err := os.WriteFile(file, object.Bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, written{file, object.Kind, c.name})
		}
	}
	return files
}

// complaint finds the errors in what dciodvfy says.
var complaint = regexp.MustCompile(`(?m)^Error.*$`)

func TestObjectsSatisfyDciodvfy(t *testing.T) {
	program := peer(t, "dciodvfy")
	for _, w := range write(t, cases(t)) {
		said, _ := ask(t, program, w.file)
		for _, line := range complaint.FindAllString(said, -1) {
			t.Errorf("%s, %s: %s", w.of, w.kind, line)
		}
		want := map[string]string{report.KindSR: "Comprehensive3DSR", report.KindKeyImage: "SCImage", report.KindKeyObject: "KeyObjectSelectionDocument"}[w.kind]
		if !strings.Contains(said, want) {
			t.Errorf("%s, %s: it was not judged as %s:\n%s", w.of, w.kind, want, said)
		}
	}
}

func TestDocumentsSatisfyDsrdump(t *testing.T) {
	program := peer(t, "dsrdump")
	for _, w := range write(t, cases(t)) {
		if w.kind == report.KindKeyImage {
			continue
		}
		said, err := ask(t, program, "+Pf", w.file)
		known := regexp.MustCompile(`W: (The VR checker does not support|Check for template constraints not yet).*`)
		if rest := known.ReplaceAllString(said, ""); err != nil || regexp.MustCompile(`(?m)^[WEF]: `).MatchString(rest) {
			t.Errorf("%s, %s: %v\n%s", w.of, w.kind, err, rest)
		}
	}
}

// pixelmed is where Debian's libpixelmed-java puts IHE's validator.
const pixelmed = "/usr/share/java/pixelmed.jar"

// One virtual machine judges all documents: reading the rules takes it many
// seconds. It asks for more than is needed: warnings count as errors here.
func TestDocumentsSatisfyPixelMed(t *testing.T) {
	java := peer(t, "java")
	if _, err := os.Stat(pixelmed); err != nil {
		t.Skipf("libpixelmed-java is missing (install the peers of .ci/run): %v", err)
	}
	args := []string{
		"-Djava.awt.headless=true", "-Djdk.xml.xpathTotalOpLimit=0", "-Djdk.xml.xpathExprOpLimit=0", "-Djdk.xml.xpathExprGrpLimit=0",
		"-cp", pixelmed, filepath.Join("testdata", "pixelmed", "Judge.java"),
	}
	documents := 0
	for _, w := range write(t, cases(t)) {
		switch w.kind {
		case report.KindKeyImage:
			continue
		case report.KindKeyObject:
			retitle(t, w.file)
		}
		args, documents = append(args, w.file), documents+1
	}
	said, err := ask(t, java, args...)
	if done := strings.Count(said, "Root Template Validation Complete"); err != nil || done != documents {
		t.Fatalf("%d of %d documents were judged (%v):\n%s", done, documents, err, said)
	}
	file := ""
	for line := range strings.Lines(said) {
		if name, is := strings.CutPrefix(line, "File: "); is {
			file = filepath.Base(strings.TrimSpace(name))
		} else if strings.Contains(line, "Error") || strings.Contains(line, "Warning") {
			t.Errorf("%s: %s", file, strings.TrimSpace(line))
		}
	}
}

// retitle gives a key object selection a title of the same length that Debian's
// PixelMed of 2022 knows: it looks into no document whose title is newer.
func retitle(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := bytes.Replace(data, []byte("128201"), []byte("113000"), 1)
	known = bytes.Replace(known, []byte("For Physician Review"), []byte("Of Interest         "), 1)
	if bytes.Equal(known, data) {
		t.Fatalf("%s is not titled for physician review", file)
	}
	if err := os.WriteFile(file, known, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A judge that finds no fault in anything proves nothing.
func TestJudgesSeeFaults(t *testing.T) {
	made := one(t, objects(t, cases(t)[0].reading), report.KindSR)
	file := filepath.Join(t.TempDir(), "sr.dcm")
	faulty := bytes.ReplaceAll(made.Bytes, []byte("COMPLETE"), []byte("COMPLEAT"))
	faulty = bytes.ReplaceAll(faulty, []byte("HAS OBS CONTEXT "), []byte("HAS NO CONTEXT  "))
	if err := os.WriteFile(file, faulty, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, _ := ask(t, peer(t, "dciodvfy"), file); !complaint.MatchString(said) {
		t.Errorf("dciodvfy says nothing of a wrong completion flag:\n%s", said)
	}
	if said, err := ask(t, peer(t, "dsrdump"), file); err == nil && !strings.Contains(said, "E: ") {
		t.Errorf("dsrdump says nothing of a wrong relation:\n%s", said)
	}
}
