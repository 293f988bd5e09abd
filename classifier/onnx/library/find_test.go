package library

import (
	"encoding/hex"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTableIsWhole(t *testing.T) {
	platforms := map[string]bool{}
	for _, b := range Builds() {
		platforms[b.OS+"/"+b.Arch] = true
		for _, f := range b.Files {
			sum, err := hex.DecodeString(f.SHA256)
			if err != nil || len(sum) != 32 || f.Bytes <= 0 {
				t.Errorf("%s: %+v", b.Name(), f)
			}
			if f.Client == PIP && (!strings.Contains(f.Package, "==") || len(f.Platforms) == 0) || f.Client == NPM && !strings.Contains(f.Package, "@") {
				t.Errorf("%s: %s is not pinned, or for no platform", b.Name(), f.Package)
			}
		}
		if !strings.HasPrefix(path.Base(b.Library().Member), "libonnxruntime.") {
			t.Errorf("%s: %s stands last", b.Name(), b.Library().Member)
		}
	}
	for _, want := range []string{"linux/amd64", "linux/arm64", "darwin/arm64"} {
		if !platforms[want] {
			t.Errorf("no build for %s", want)
		}
	}
}

func TestBuildsSuitTheMachine(t *testing.T) {
	for name, test := range map[string]struct {
		devices []string
		cpuOnly bool
		os      string
		want    string
	}{
		"no device":             {nil, false, "linux", "cpu webgpu"},
		"graphics":              {[]string{"dev/dri/renderD128"}, false, "linux", "webgpu cpu"},
		"NVIDIA":                {[]string{"dev/nvidiactl"}, false, "linux", "cuda webgpu cpu"},
		"NVIDIA by its driver":  {[]string{"proc/driver/nvidia/version"}, false, "linux", "cuda webgpu cpu"},
		"NVIDIA, and a refusal": {[]string{"dev/nvidiactl"}, true, "linux", "cpu webgpu"},
		"a Mac":                 {nil, false, "darwin", "webgpu cpu"},
		"a Mac, and a refusal":  {nil, true, "darwin", "cpu webgpu"},
		"another system":        {nil, false, "plan9", ""},
	} {
		root := t.TempDir()
		for _, device := range test.devices {
			put(t, filepath.Join(root, device), "")
		}
		machine := Machine{OS: test.os, Arch: "amd64", Root: root, CPUOnly: test.cpuOnly}
		if test.os == "darwin" {
			machine.Arch = "arm64"
		}
		var got []string
		for _, b := range machine.Suited() {
			got = append(got, string(b.Kind))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

func put(t *testing.T, name, data string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(data), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestFindOrder(t *testing.T) {
	system, cache := t.TempDir(), t.TempDir()
	linux := Machine{OS: "linux", Arch: "amd64", Root: t.TempDir()}
	_, err := find(linux, cache, system)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "make run") || !strings.Contains(err.Error(), cache) {
		t.Errorf("err = %v: it names no cure or no place", err)
	}
	put(t, filepath.Join(system, "libonnxruntime.so.1.27.0"), "x")
	if got, err := find(linux, cache, system); err != nil || filepath.Dir(got) != system {
		t.Errorf("%q, %v: the system's is the last resort", got, err)
	}
	build := linux.Suited()[0]
	put(t, place(cache, build, build.Library()), "not what the table says")
	if got, err := find(linux, cache, system); err != nil || filepath.Dir(got) != system {
		t.Errorf("%q, %v: a damaged one is passed over", got, err)
	}
	if _, err := find(linux, cache, t.TempDir()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("err = %v: it does not say that one is damaged", err)
	}
}

func TestExplicitPath(t *testing.T) {
	explicit := filepath.Join(t.TempDir(), "mine.so")
	if _, err := Find(explicit); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), explicit) {
		t.Errorf("err = %v", err)
	}
	put(t, explicit, "")
	if got, err := Find(explicit); err != nil || got != explicit {
		t.Errorf("%q, %v", got, err)
	}
}

// All files of a build that comes in many must be there before it is used.
func TestHalfABuildIsNotUsed(t *testing.T) {
	cache := t.TempDir()
	build := small(PIP, "libonnxruntime.so")
	build.Files = slices.Insert(build.Files, 0, File{Client: PIP, Member: "libcudart.so.13", Bytes: 3})
	put(t, place(cache, build, build.Library()), string(content))
	if _, err := cached(cache, build); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its companion: %v", err)
	}
	put(t, place(cache, build, build.Files[0]), "four")
	if _, err := cached(cache, build); err == nil || !strings.Contains(err.Error(), "has 4 bytes, 3 are right") {
		t.Errorf("with a cut companion: %v", err)
	}
	put(t, place(cache, build, build.Files[0]), "3by")
	if _, err := cached(cache, build); err != nil {
		t.Error(err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("NEUROTRIAGE_CACHE", "/somewhere")
	if got, err := CacheDir(); err != nil || got != "/somewhere" {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("NEUROTRIAGE_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/home/x/.cache")
	t.Setenv("HOME", "/home/x")
	if got, err := CacheDir(); err != nil || !strings.HasSuffix(got, "neurotriage") {
		t.Errorf("%q, %v", got, err)
	}
}
