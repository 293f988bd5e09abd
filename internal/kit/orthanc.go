package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// orthancPlugins is where Debian puts them; DICOMweb is a package of its own.
const orthancPlugins = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

// Orthanc is one running for a test, with its DICOMweb plugin.
type Orthanc struct {
	URL   string // of its own interface; DICOMweb is at /dicom-web
	DICOM string // host:port that it takes C-STORE at, called ORTHANC
}

// StartOrthanc runs Debian's Orthanc until the test ends, or skips it where there
// is none. change may change its settings, nil leaves them.
func StartOrthanc(t testing.TB, change func(settings map[string]any)) *Orthanc {
	t.Helper()
	program, err := exec.LookPath("Orthanc")
	if err != nil {
		t.Skip("no Orthanc on PATH: install the packages orthanc and orthanc-dicomweb")
	}
	if _, err := os.Stat(orthancPlugins); err != nil {
		t.Skip("no DICOMweb plugin of Orthanc: install the package orthanc-dicomweb")
	}
	said := ""
	for range 5 { // it cannot choose ports itself, so somebody else may be faster
		var o *Orthanc
		if o, said = tryOrthanc(t, program, change); o != nil {
			return o
		}
	}
	t.Fatalf("Orthanc does not answer:\n%s", said)
	return nil
}

func tryOrthanc(t testing.TB, program string, change func(map[string]any)) (o *Orthanc, said string) {
	dir := t.TempDir()
	web, dicom := freePort(t), freePort(t)
	settings := map[string]any{
		"StorageDirectory": dir, "IndexDirectory": dir, "HttpPort": web, "DicomPort": dicom, "DicomAet": "ORTHANC",
		"RemoteAccessAllowed": false, "AuthenticationEnabled": false, "DicomAlwaysAllowStore": true, "DicomAlwaysAllowEcho": true,
		"Plugins": []string{orthancPlugins}, "DicomWeb": map[string]any{"Enable": true}, "StableAge": 1, "OverwriteInstances": false,
	}
	if change != nil {
		change(settings)
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	file, log := filepath.Join(dir, "orthanc.json"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, file) //nolint:gosec // found on PATH
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended; _ = output.Close() })
	o = &Orthanc{URL: fmt.Sprintf("http://127.0.0.1:%d", web), DICOM: fmt.Sprintf("127.0.0.1:%d", dicom)}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if response, err := http.Get(o.URL + "/system"); err == nil { //nolint:noctx // bounded by the deadline
			_ = response.Body.Close()
			return o, ""
		}
		select {
		case <-ended:
			return nil, lastWords(log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, lastWords(log)
}

func lastWords(log string) string {
	text, _ := os.ReadFile(log) //nolint:gosec // a file of the test's
	return string(text)
}

func freePort(t testing.TB) int {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is TCP
}

// Upload stores files.
func (o *Orthanc) Upload(t testing.TB, files []File) {
	t.Helper()
	for _, file := range files {
		o.Ask(t, http.MethodPost, "/instances", file.Data, nil)
	}
}

// Ask makes a call to Orthanc's own interface, sending body (bytes as they are,
// all else as JSON) and reading the answer into a value, unless it is nil.
func (o *Orthanc) Ask(t testing.TB, method, path string, body, into any) {
	t.Helper()
	data, raw := body.([]byte)
	if !raw && body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequest(method, o.URL+path, bytes.NewReader(data)) //nolint:noctx // a test's peer
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s, %v", method, path, response.Status, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}
