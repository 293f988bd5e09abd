package annotate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
)

// TestRealOrthanc marks a study in Debian's Orthanc, whose version 1.10 has
// metadata and no labels, behind a login.
func TestRealOrthanc(t *testing.T) {
	program, err := exec.LookPath("Orthanc")
	if err != nil {
		t.Skip("no Orthanc on PATH: install the package orthanc")
	}
	base := startOrthanc(t, program)
	uid := storeStudy(t, base)
	login := func(w *annotate.Web) { w.User, w.Password = "triage", "secret" }
	to := orthancTo(t, base, login)
	of := func(p *pacs.Parcel) { p.Finding.StudyInstanceUID = uid }

	check(t, orthancTo(t, base).Deliver(t.Context(), parcel(of)), outage, "check the token")
	check(t, to.Check(t.Context()), kept, "")
	check(t, to.Deliver(t.Context(), parcel()), again, "not in Orthanc (yet)")
	for _, p := range []pacs.Parcel{parcel(of), parcel(of), parcel(of, revision), parcel(of)} {
		check(t, to.Deliver(t.Context(), p), kept, "")
	}
	var found []struct{ ID string }
	ask(t, http.MethodPost, base+"/tools/lookup", strings.NewReader(uid), &found)
	var got shown
	ask(t, http.MethodGet, base+"/studies/"+found[0].ID+"/metadata/7700", nil, &got)
	want := shown{parcel(revision).Finding.ID, neurotriage.NotFlagged, neurotriage.GliomaReview, neurotriage.Urgent}
	if got != want {
		t.Errorf("Orthanc shows %+v, want %+v", got, want)
	}
}

// startOrthanc runs one until the test ends. It cannot be told to choose a port
// itself, so another is tried when somebody was faster.
func startOrthanc(t *testing.T, program string) (base string) {
	t.Helper()
	said := ""
	for range 5 {
		if base, said = tryOrthanc(t, program); base != "" {
			return base
		}
	}
	t.Fatalf("Orthanc does not answer:\n%s", said)
	return ""
}

func tryOrthanc(t *testing.T, program string) (base, said string) {
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	settings, _ := json.Marshal(map[string]any{
		"StorageDirectory": dir, "IndexDirectory": dir, "HttpPort": port, "DicomServerEnabled": false, "Plugins": []string{},
		"RemoteAccessAllowed": false, "AuthenticationEnabled": true, "RegisteredUsers": map[string]string{"triage": "secret"},
	})
	file := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, file) //nolint:gosec // found on PATH
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended; _ = log.Close() })
	base = fmt.Sprintf("http://127.0.0.1:%d", port)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/system", nil)
		request.SetBasicAuth("triage", "secret")
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			return base, ""
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			return "", string(text)
		case <-time.After(50 * time.Millisecond):
		}
	}
	text, _ := os.ReadFile(log.Name())
	return "", string(text)
}

// storeStudy uploads a study of one image and gives its UID.
func storeStudy(t *testing.T, base string) string {
	for _, one := range (kit.Study{Name: "annotated", Series: []kit.Series{{Images: kit.Heads(1, 16, 16)}}}).Files() {
		ask(t, http.MethodPost, base+"/instances", strings.NewReader(string(one.Data)), nil)
	}
	var studies []string
	ask(t, http.MethodGet, base+"/studies", nil, &studies)
	if len(studies) != 1 {
		t.Fatalf("Orthanc has the studies %v", studies)
	}
	var study struct {
		MainDicomTags struct{ StudyInstanceUID string }
	}
	ask(t, http.MethodGet, base+"/studies/"+studies[0], nil, &study)
	return study.MainDicomTags.StudyInstanceUID
}

func ask(t *testing.T, method, url string, body io.Reader, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("triage", "secret")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, url, response.Status, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s %s: %v: %s", method, url, err, text)
		}
	}
}
