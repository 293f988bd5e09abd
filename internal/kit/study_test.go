package kit_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/internal/kit"
)

// peer finds a program of another maker, or skips the test.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("the peer %s is missing: %v", name, err)
	}
	return path
}

// What the kit writes is sound in the eyes of dicom3tools.
func TestStudyIsValid(t *testing.T) {
	dciodvfy := peer(t, "dciodvfy")
	for _, syntax := range []string{kit.ImplicitLittle, kit.ExplicitLittle, kit.ExplicitBig, kit.RLE} {
		dir := t.TempDir()
		study := kit.Study{Series: []kit.Series{{Syntax: syntax, Agent: "Gadovist", Images: kit.Heads(1, 32, 24)}}}
		if err := study.WriteDir(dir); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(dciodvfy, filepath.Join(dir, "S001", "I0001.dcm")).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "Error") {
				t.Errorf("%s: %s", syntax, line)
			}
		}
	}
}

// dcmtk reads the same pixels from every transfer syntax.
func TestSyntaxesAgreeForDCMTK(t *testing.T) {
	dcmdump, dcmdrle, dcmconv := peer(t, "dcmdump"), peer(t, "dcmdrle"), peer(t, "dcmconv")
	image := kit.Heads(1, 33, 21)[0]
	dump := func(syntax string) []byte {
		dir := t.TempDir()
		if err := (kit.Study{Series: []kit.Series{{Syntax: syntax, Images: []kit.Image{image}}}}).WriteDir(dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "S001", "I0001.dcm")
		plain := filepath.Join(dir, "plain.dcm")
		convert := []string{dcmconv, "+te", path, plain}
		if syntax == kit.RLE {
			convert = []string{dcmdrle, path, plain}
		}
		for _, command := range [][]string{convert, {dcmdump, "+W", dir, plain}} {
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", command, err, out)
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.raw"))
		if err != nil || len(files) != 1 {
			t.Fatalf("dcmdump wrote %v, %v", files, err)
		}
		return read(t, files[0])
	}
	want := dump(kit.ExplicitLittle)
	if len(want) != 33*21*2 {
		t.Fatalf("%d bytes of pixels", len(want))
	}
	for _, syntax := range []string{kit.ImplicitLittle, kit.ExplicitBig, kit.RLE, kit.Deflated} {
		if !bytes.Equal(dump(syntax), want) {
			t.Errorf("%s has other pixels", syntax)
		}
	}
}

// The same study is the same bytes.
func TestStudyIsDeterministic(t *testing.T) {
	study := kit.Study{Series: []kit.Series{{Images: kit.Heads(3, 16, 16)}, {Syntax: kit.RLE, Images: kit.Heads(3, 16, 16)}}}
	if !bytes.Equal(study.Zip(), study.Zip()) {
		t.Error("two archives of one study differ")
	}
}
