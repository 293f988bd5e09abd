package library

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// content stands for a library's bytes.
var content = []byte("\x7fELF, or so it says")

// small is a build whose file is content, so that no test needs a network.
func small(client Client, member string) Build {
	sum := sha256.Sum256(content)
	return Build{OS: "linux", Arch: "amd64", Kind: Plain, Proven: true, Files: []File{{
		Client: client, Package: "onnxruntime", Platforms: []string{"any"}, Member: member,
		SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)),
	}}}
}

// registry is a client that needs none.
type registry struct {
	t       *testing.T
	have    []string
	files   map[string][]byte // in every archive
	fail    error
	calls   [][]string
	archive string // name of what a download brings
}

func (r *registry) clients() Clients {
	return Clients{
		Have: func(program string) bool { return slices.Contains(r.have, program) },
		Run: func(_ context.Context, dir string, argv ...string) error {
			r.calls = append(r.calls, argv)
			if argv[len(argv)-1] == "--version" {
				if argv[0] == "python3" && !slices.Contains(r.have, "pip module") {
					return errors.New("No module named pip")
				}
				return nil
			}
			if r.fail != nil {
				return r.fail
			}
			name := r.archive
			if name == "" {
				name = map[bool]string{true: "x.tgz", false: "x.whl"}[argv[0] == "npm"]
			}
			return os.WriteFile(filepath.Join(dir, name), pack(r.t, name, r.files), 0o600)
		},
	}
}

func (r *registry) downloads() int {
	n := 0
	for _, argv := range r.calls {
		if argv[len(argv)-1] != "--version" {
			n++
		}
	}
	return n
}

func pack(t *testing.T, name string, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if strings.HasSuffix(name, ".whl") {
		z := zip.NewWriter(&out)
		for member, data := range files {
			w, err := z.Create(member)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	g := gzip.NewWriter(&out)
	w := tar.NewWriter(g)
	for member, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: member, Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFetchThroughEachClient(t *testing.T) {
	for name, test := range map[string]struct {
		client Client
		have   []string
		want   []string // the words of the call that fetched
	}{
		"pip3":          {PIP, []string{"pip3"}, []string{"pip3", "download", "--no-deps", "--platform=any", "onnxruntime"}},
		"pip":           {PIP, []string{"pip"}, []string{"pip", "download"}},
		"pip as module": {PIP, []string{"python3", "pip module"}, []string{"python3", "-m", "pip", "download"}},
		"npm":           {NPM, []string{"npm"}, []string{"npm", "pack", "onnxruntime", "--pack-destination"}},
	} {
		t.Run(name, func(t *testing.T) {
			build := small(test.client, "a/b/libonnxruntime.so.1")
			r := &registry{t: t, have: test.have, files: map[string][]byte{"a/b/libonnxruntime.so.1": content, "a/other": []byte("x")}}
			var log bytes.Buffer
			cache := t.TempDir()
			f := Fetcher{Cache: cache, Clients: r.clients(), Log: &log}
			path, err := f.build(t.Context(), build)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%q, %v", got, err)
			}
			last := r.calls[len(r.calls)-1]
			for _, word := range test.want {
				if !slices.Contains(last, word) {
					t.Errorf("%q lacks %q", last, word)
				}
			}
			if !strings.Contains(log.String(), "asking "+string(test.client)+" for onnxruntime") || !strings.Contains(log.String(), "is right") {
				t.Errorf("it says %q", log.String())
			}
			entries, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(entries) != 1 {
				t.Errorf("%v lies beside the library (%v)", entries, err)
			}
			if found, err := cached(cache, build); err != nil || found != path {
				t.Errorf("found %q, %v", found, err)
			}
		})
	}
}

func TestCacheIsUsedOfflineAndMended(t *testing.T) {
	build := small(PIP, "lib.so")
	r := &registry{t: t, have: []string{"pip"}, files: map[string][]byte{"lib.so": content}}
	f := Fetcher{Cache: t.TempDir(), Clients: r.clients(), Log: io.Discard}
	path, err := f.build(t.Context(), build)
	if err != nil {
		t.Fatal(err)
	}
	r.fail = errors.New("no route to host")
	if _, err := f.build(t.Context(), build); err != nil || r.downloads() != 1 {
		t.Errorf("offline: %v after %d downloads", err, r.downloads())
	}
	if err := os.WriteFile(path, []byte("\x7fELF, or so it sayz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cached(f.Cache, build); err == nil || !strings.Contains(err.Error(), "is damaged or not what was asked for") {
		t.Errorf("a damaged library was found: %v", err)
	}
	if _, err := f.build(t.Context(), build); err == nil || !strings.Contains(err.Error(), "no route to host") {
		t.Errorf("damaged and offline: %v", err)
	}
	r.fail = nil
	var log bytes.Buffer
	f.Log = &log
	if _, err := f.build(t.Context(), build); err != nil || !strings.Contains(log.String(), "fetching it again") {
		t.Errorf("damaged: %v, %q", err, log.String())
	}
	if _, err := cached(f.Cache, build); err != nil {
		t.Errorf("not mended: %v", err)
	}
}

func TestFetchRefusesWhatItDidNotAskFor(t *testing.T) {
	for name, test := range map[string]struct {
		member  string
		data    []byte
		archive string
		want    string
	}{
		"other content":  {"lib.so", bytes.ToUpper(content), "", "SHA-256"},
		"longer":         {"lib.so", append(slices.Clone(content), 'x'), "", "bytes or more"},
		"shorter":        {"lib.so", content[1:], "", "bytes or more"},
		"not in it":      {"lob.so", content, "", "lib.so is not in it"},
		"another format": {"lib.so", content, "x.zip", "it brought 0 archives"},
	} {
		for _, client := range []Client{PIP, NPM} {
			r := &registry{t: t, have: []string{"pip", "npm"}, files: map[string][]byte{test.member: test.data}, archive: test.archive}
			build, cache := small(client, "lib.so"), t.TempDir()
			_, err := Fetcher{Cache: cache, Clients: r.clients(), Log: io.Discard}.build(t.Context(), build)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s by %s: %v does not say %q", name, client, err, test.want)
			}
			if _, err := cached(cache, build); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s by %s: something is in the cache: %v", name, client, err)
			}
		}
	}
}

func TestFetchFallsBackAndSaysTheCure(t *testing.T) {
	linux := Machine{OS: "linux", Arch: "amd64", Root: t.TempDir()}
	var log bytes.Buffer
	r := &registry{t: t, have: []string{"npm"}, fail: errors.New("E503")}
	f := Fetcher{Machine: linux, Cache: t.TempDir(), Clients: r.clients(), Log: &log}
	if _, err := f.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "E503") || !strings.Contains(err.Error(), "pip: client is not installed") {
		t.Errorf("err = %v", err)
	}
	if r.downloads() != 1 || r.calls[0][0] != "npm" {
		t.Errorf("calls %q: npm is asked when pip is missing", r.calls)
	}
	f.Clients = (&registry{t: t}).clients()
	if _, err := f.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "neither npm nor pip is here: install one") {
		t.Errorf("err = %v", err)
	}
	f.Machine.Arch = "riscv64"
	if _, err := f.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "no build for linux/riscv64") {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.Machine, f.Clients = linux, r.clients()
	if _, err := f.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func TestARealProgramsWordsAreKept(t *testing.T) {
	err := runProgram(t.Context(), t.TempDir(), "sh", "-c", "echo certificate has expired >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "certificate has expired") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("err = %v", err)
	}
	if (Clients{}).have("no-such-program-here") || !(Clients{}).have("sh") {
		t.Error("programs are not looked up")
	}
}
