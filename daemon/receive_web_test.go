package daemon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/internal/kit"
)

// stowed sends files by STOW-RS.
func stowed(t testing.TB, d *daemon.Daemon, below string, files []kit.File) (status int, answer string) {
	t.Helper()
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, file := range files {
		part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write(file.Data)
	}
	_ = parts.Close()
	return post(t, d, "dicom-web/studies"+below, `multipart/related; type="application/dicom"; boundary=`+parts.Boundary(), body.Bytes(), "")
}

func post(t testing.TB, d *daemon.Daemon, path, kind string, body []byte, token string) (status int, answer string) {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Addresses().HTTP+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	rq.Header.Set("Content-Type", kind)
	if token != "" {
		rq.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestReceiveBySTOW(t *testing.T) {
	h := receiving(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	files := headStudy("web", 6, true).Files()
	if status, text := stowed(t, d, "/1.2.3", files[:1]); status != http.StatusConflict {
		t.Errorf("an object of another study: %d %s", status, text)
	}
	if status, text := stowed(t, d, "", files); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	if f := c.finding(kit.UID("web"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
}

// Requests of STOW-RS are not bound by what the page's are.
func TestReceiveMuchBySTOW(t *testing.T) {
	h := waiting(t, patientQuiet)
	d := h.start(&runner{})
	files := headStudy("much", 20, false).Files()
	if size := len(files) * len(files[0].Data); size < 128<<10 {
		t.Fatalf("%d bytes are not much", size)
	}
	if status, text := stowed(t, d, "", files); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
}

func TestAnnounceByPOST(t *testing.T) {
	h := waiting(t, patientQuiet)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.cfg.HTTP.Auth.TokenFile = token
	h.cfg.HTTP.Access = config.HTTPAccess{
		UserHeader: "X-User", Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Viewers: []string{"*"}, Identity: h.cfg.HTTP.Access.Identity,
	}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	lying := h.put(headStudy("lying", 6, true))
	send(t, d, "MRI1", headStudy("sent", 6, true).Files()...)
	uid := kit.UID("lying")
	for _, bad := range []struct {
		name, kind, token, body string
		status                  int
		says                    string
	}{
		{"no token", "application/json", "", `{}`, http.StatusUnauthorized, "authentication"},
		{"another token", "application/json", "open", `{}`, http.StatusUnauthorized, "authentication"},
		{"a form", "text/plain", "sesame", `{}`, http.StatusUnsupportedMediaType, "application/json"},
		{"no JSON", "application/json", "sesame", `study`, http.StatusBadRequest, "reading the announcement"},
		{"more than one", "application/json", "sesame", `{"study_instance_uid":"1.2"}{}`, http.StatusBadRequest, "follows"},
		{"no study", "application/json", "sesame", `{}`, http.StatusBadRequest, "study_instance_uid: uid is empty"},
		{"a misspelt field", "application/json", "sesame", `{"study_uid":"1.2"}`, http.StatusBadRequest, "study_uid"},
		{"a location without path", "application/json", "sesame", `{"study_instance_uid":"1.2","location":{"kind":"directory","root":"incoming"}}`, http.StatusBadRequest, "location.path"},
		{"a priority that is none", "application/json", "sesame", `{"study_instance_uid":"1.2","priority":"soon"}`, http.StatusBadRequest, "priority"},
		{"a study that is not here", "application/json", "sesame", `{"study_instance_uid":"1.2"}`, http.StatusNotFound, "was not sent here"},
		{"too much", "application/json", "sesame", `{"study_instance_uid":"` + strings.Repeat("1", 100<<10) + `"}`, http.StatusRequestEntityTooLarge, ""},
	} {
		if status, text := post(t, d, "v1/studies", bad.kind, []byte(bad.body), bad.token); status != bad.status || !strings.Contains(text, bad.says) {
			t.Errorf("%s: %d %s", bad.name, status, text)
		}
	}
	for name, body := range map[string]map[string]any{
		"where it lies":       {"study_instance_uid": uid, "location": lying.Location, "priority": "stat", "accession_number": "A1"},
		"which was sent here": {"study_instance_uid": kit.UID("sent")},
	} {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		status, answer := post(t, d, "v1/studies", "application/json; charset=utf-8", text, "sesame")
		var accepted struct {
			EventID string               `json:"event_id"`
			Place   neurotriage.Location `json:"location"`
		}
		if err := json.Unmarshal([]byte(answer), &accepted); status != http.StatusAccepted || err != nil || accepted.EventID == "" || accepted.Place.Root == "" {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		if f := c.finding(fmt.Sprint(body["study_instance_uid"]), ""); f.Disposition != neurotriage.GliomaReview {
			t.Errorf("%s: finding %+v", name, f)
		}
	}
	entry, _, err := c.bus.Entry(t.Context(), uid)
	if err != nil || entry.Priority != neurotriage.Stat || entry.AccessionNumber != "A1" {
		t.Errorf("entry %+v, %v", entry, err)
	}
}
