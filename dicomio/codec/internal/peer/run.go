package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// packages says which Debian package brings a program.
var packages = map[string]string{
	"dcmcjpeg": "dcmtk", "dcmdjpeg": "dcmtk", "dcmcjpls": "dcmtk", "dcmdjpls": "dcmtk",
	"gdcmconv":     "libgdcm-tools",
	"opj_compress": "libopenjp2-tools", "opj_decompress": "libopenjp2-tools",
	"ojph_compress": "openjph-tools", "ojph_expand": "openjph-tools",
}

// Need skips the test when a program is missing, and in short mode, which is
// for checks that hundreds of processes would drown.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("short mode leaves comparisons with other programs out")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (Debian package %s)", name, packages[name])
		}
	}
}

// Run runs a program and gives the processor time that it took. The test fails
// with what the program printed if it fails.
func Run(t testing.TB, program string, arguments ...string) time.Duration {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, output)
	}
	return command.ProcessState.UserTime() + command.ProcessState.SystemTime()
}

// Convert writes the picture as a file, runs "program arguments… in out" on it,
// and gives the pixel data and the path of what came out.
func (p Picture) Convert(t testing.TB, program string, arguments ...string) (pixels []byte, path string) {
	t.Helper()
	path = ConvertFile(t, p.File(), program, arguments...)
	return MustPixels(t, path), path
}

// ConvertFile writes a file, runs "program arguments… in out" on it, and gives the
// path of what came out.
func ConvertFile(t testing.TB, file []byte, program string, arguments ...string) string {
	t.Helper()
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.dcm"), filepath.Join(folder, "out.dcm")
	Write(t, in, file)
	Run(t, program, append(arguments, in, out)...)
	return out
}

// Back lets a program turn a compressed file into native pixel data.
func Back(t testing.TB, path, program string, arguments ...string) []byte {
	t.Helper()
	out := path + ".native.dcm"
	Run(t, program, append(arguments, path, out)...)
	return MustPixels(t, out)
}

// MustPixels is Pixels for tests.
func MustPixels(t testing.TB, path string) []byte {
	t.Helper()
	pixels, err := Pixels(path)
	if err != nil {
		t.Fatal(err)
	}
	return pixels
}

// Write writes a file.
func Write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
