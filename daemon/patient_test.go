package daemon_test

import (
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/config"
	"neurotriage/internal/kit"
)

// TestPatientByRole names the patient to those who may see one, and goes on when
// the study has left.
func TestPatientByRole(t *testing.T) {
	h := newHouse(t)
	h.pictures = true
	h.cfg.HTTP.Access = config.HTTPAccess{
		UserHeader: "X-Remote-User", Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Viewers: []string{"vera"}, Readers: []string{"roe"}, Identity: []string{"reader"},
	}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	s := headStudy("named", 6, true)
	s.PatientName = "Doe^Jane"
	c.outcome(c.submit(h.put(s)))
	page := d.Addresses().HTTP + "study/" + kit.UID("named")
	see := func(user string) string {
		t.Helper()
		_, body := asUser(t, page, http.Header{"X-Remote-User": {user}})
		return body
	}
	// The page may hear of the finding after us; the name is kept from a viewer before and after.
	eventually(t, "a viewer sees the study", func() bool {
		body := see("vera")
		if strings.Contains(body, "Jane") {
			t.Error("a viewer sees the patient")
		}
		return strings.Contains(body, "not shown to the role viewer")
	})
	eventually(t, "a reader sees the patient", func() bool { return strings.Contains(see("roe"), "<strong>Doe, Jane</strong>") })
	if err := os.RemoveAll(filepath.Join(h.root, "named")); err != nil {
		t.Fatal(err)
	}
	if body := see("roe"); !strings.Contains(body, "<strong>Doe, Jane</strong>") {
		t.Error("the patient is gone with the study")
	}
	if log := h.log.String(); !strings.Contains(log, `act="see the patient" allowed=true user=roe`) || strings.Contains(log, "Jane") {
		t.Error("the log book lacks who saw the patient, or names them")
	}
}

func asUser(t *testing.T, url string, header http.Header) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestLoginLocksWhatPeopleDoNotOpen holds all but the health probe behind a
// session, or a program's token.
func TestLoginLocksWhatPeopleDoNotOpen(t *testing.T) {
	h := newHouse(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := kit.NewIssuer(t, "neurotriage", "")
	h.cfg.HTTP.Auth.TokenFile = token
	h.cfg.HTTP.Access.OIDC.Issuer, h.cfg.HTTP.Access.OIDC.ClientID = issuer.URL, issuer.ClientID
	h.cfg.HTTP.Access.OIDC.RedirectURL = "https://triage.example.org/login/callback"
	d := h.start(&runner{})
	right, wrong := http.Header{"Authorization": {"Bearer s3cret"}}, http.Header{"Authorization": {"Bearer guess"}}
	cases := []struct {
		path   string
		header http.Header
		want   int
	}{
		{"healthz", nil, 200},
		{"readyz", nil, 401},
		{"readyz", wrong, 401},
		{"readyz", right, 200},
		{"metrics", nil, 401},
		{"metrics", right, 200},
		{"v1/studies", nil, 401},
		{"v1/studies", right, 200},
		{"", nil, 401},
		{"", right, 200},
		{"operations", right, 403},
		{"login", nil, 200},
		{"login/callback?code=x&state=y", nil, 403},
	}
	for _, c := range cases {
		if got := ask(t, d.Addresses().HTTP+c.path, c.header); got != c.want {
			t.Errorf("/%s with %v: status %d, want %d", c.path, c.header, got, c.want)
		}
	}
	if info, err := os.Stat(filepath.Join(h.cfg.StateDir, "session.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key of sessions: %v, %v", info, err)
	}
}
