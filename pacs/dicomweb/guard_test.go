package dicomweb_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage/pacs/dicomweb"
)

func TestGuardChecksURLs(t *testing.T) {
	guard := dicomweb.Guard{Allow: []string{"https://pacs.example/dicom-web/", "http://127.0.0.1:8042/wado/"}}
	for raw, want := range map[string]bool{
		"https://pacs.example/dicom-web/studies/1.2":          true,
		"https://pacs.example/dicom-web":                      true,
		"https://pacs.example:443/dicom-web/studies":          true,
		"HTTPS://PACS.example/dicom-web/studies/1.2":          true,
		"http://127.0.0.1:8042/wado/studies/1":                true,
		"http://pacs.example/dicom-web/studies/1.2":           false, // another scheme
		"https://pacs.example/dicom-webs/studies/1.2":         false,
		"https://pacs.example:8443/dicom-web/studies/1":       false,
		"https://pacs.example.evil.example/dicom-web/studies": false,
		"https://pacs.example@evil.example/dicom-web/studies": false,
		"https://user:pass@pacs.example/dicom-web/studies":    false,
		"https://pacs.example/dicom-web/../admin":             false,
		"https://pacs.example/dicom-web/%2e%2e/admin":         false,
		"https://pacs.example/dicom-web/%252e%252e/admin":     false,
		"https://pacs.example/dicom-web/..%2fadmin":           false,
		"https://pacs.example/dicom-web/..%5cadmin":           false,
		`https://pacs.example/dicom-web/..\admin`:             false,
		"https://pacs.example/dicom-web/studies#x":            false,
		"http://127.0.0.1:80/wado/studies/1":                  false,
		"http://127.1:8042/wado/studies/1":                    false,
		"//pacs.example/dicom-web/x":                          false,
		"/dicom-web/x":                                        false,
		"":                                                    false,
		"file:///etc/passwd":                                  false,
		"https:pacs.example/dicom-web/":                       false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := guard.Check(u); (got == nil) != want || got != nil && !errors.Is(got, dicomweb.ErrNotAllowed) {
			t.Errorf("%q: %v, want allowed: %v", raw, got, want)
		}
	}
}

// resolver plays the DNS; each name gives its next answer at each question, and
// its last one from then on.
type resolver struct {
	mu      sync.Mutex
	answers map[string][]string
}

func (r *resolver) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.answers[host]
	if len(list) == 0 {
		return nil, errors.New("no such host")
	}
	if len(list) > 1 {
		r.answers[host] = list[1:]
	}
	var found []netip.Addr
	for one := range strings.SplitSeq(list[0], ",") {
		found = append(found, netip.MustParseAddr(one))
	}
	return found, nil
}

// TestGuardJudgesAddresses tells addresses apart without connecting: those that
// are kept back fail with ErrNotAllowed, the others in another way.
func TestGuardJudgesAddresses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	cases := []struct {
		address  string
		networks string
		allowed  bool
	}{
		{"127.0.0.1", "", false},
		{"127.0.0.1", "127.0.0.0/8", true},
		{"::ffff:127.0.0.1", "", false},
		{"::ffff:127.0.0.1", "127.0.0.0/8", true},
		{"127.0.0.1", "10.0.0.0/8", false},
		{"10.1.2.3", "", false}, {"172.16.0.1", "", false}, {"192.168.1.1", "", false},
		{"169.254.169.254", "", false}, {"100.64.0.1", "", false}, {"0.0.0.0", "", false}, {"192.0.0.1", "", false},
		{"198.18.0.1", "", false}, {"224.0.0.1", "", false}, {"255.255.255.255", "", false}, {"240.0.0.1", "", false},
		{"::1", "", false}, {"::", "", false}, {"fe80::1", "", false}, {"fc00::1", "", false}, {"fec0::1", "", false}, {"ff02::1", "", false},
		{"64:ff9b::a00:1", "", false}, {"2002:7f00:1::", "", false}, {"::127.0.0.1", "", false}, {"2001:0:7f00:1::", "", false},
	}
	for _, c := range cases {
		dns := &resolver{answers: map[string][]string{"pacs.example": {c.address}}}
		guard := &dicomweb.Guard{Allow: []string{"http://pacs.example" + port + "/"}, Lookup: dns.lookup}
		if c.networks != "" {
			guard.Networks = []netip.Prefix{netip.MustParsePrefix(c.networks)}
		}
		client, err := dicomweb.New(dicomweb.Options{Root: "http://pacs.example" + port, Guard: guard, Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Search(t.Context(), nil, "studies")
		client.Close()
		if err == nil || errors.Is(err, dicomweb.ErrNotAllowed) == c.allowed {
			t.Errorf("%s with networks %q: %v, want allowed: %v", c.address, c.networks, err, c.allowed)
		}
	}
}

// TestGuardAgainstRebinding: a name that leads to an allowed address when asked
// first and to a private one when asked again gets nowhere the second time.
func TestGuardAgainstRebinding(t *testing.T) {
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served++
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	dns := &resolver{answers: map[string][]string{"pacs.example": {"127.0.0.1", "127.0.0.2"}}}
	client, err := dicomweb.New(dicomweb.Options{Root: "http://pacs.example" + port, Attempts: 1, Guard: &dicomweb.Guard{
		Allow: []string{"http://pacs.example" + port + "/"}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Lookup: dns.lookup,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Search(t.Context(), nil, "studies"); err != nil {
		t.Fatalf("at the allowed address: %v", err)
	}
	if _, err := client.Search(t.Context(), nil, "studies"); !errors.Is(err, dicomweb.ErrNotAllowed) {
		t.Errorf("at the other address: %v", err)
	}
	if served != 1 {
		t.Errorf("the server was asked %d times", served)
	}
}

// TestGuardInside: a host of the house may have a private address, and nothing
// beyond; a host that a message may name may not. Nobody answers at the private
// address, so the call is cut short.
func TestGuardInside(t *testing.T) {
	for _, c := range []struct {
		address string
		inside  []string
		allowed bool
	}{
		{"10.255.255.1", nil, false},
		{"10.255.255.1", []string{"other.example"}, false},
		{"10.255.255.1", []string{"PACS.example"}, true},
		{"127.0.0.1", []string{"pacs.example"}, false},
		{"169.254.169.254", []string{"pacs.example"}, false},
		{"::1", []string{"pacs.example"}, false},
	} {
		dns := &resolver{answers: map[string][]string{"pacs.example": {c.address}}}
		guard := &dicomweb.Guard{Allow: []string{"http://pacs.example/"}, Inside: c.inside, Lookup: dns.lookup}
		client, err := dicomweb.New(dicomweb.Options{Root: "http://pacs.example", Guard: guard, Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = client.Search(ctx, nil, "studies")
		cancel()
		client.Close()
		if err == nil || errors.Is(err, dicomweb.ErrNotAllowed) == c.allowed {
			t.Errorf("%s with %v: %v, want allowed: %v", c.address, c.inside, err, c.allowed)
		}
	}
}

// TestGuardAgainstMixedAnswers: of several addresses only the allowed are dialled.
func TestGuardAgainstMixedAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	dns := &resolver{answers: map[string][]string{"pacs.example": {"10.0.0.1,169.254.169.254,127.0.0.1"}}}
	client, err := dicomweb.New(dicomweb.Options{Root: "http://pacs.example" + port, Attempts: 1, Guard: &dicomweb.Guard{
		Allow: []string{"http://pacs.example" + port + "/"}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Lookup: dns.lookup,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Search(t.Context(), nil, "studies"); err != nil {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server was asked for %s with authorization %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer secret.Close()
	friendly := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were shown to another origin")
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer friendly.Close()
	target := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/dicom-web/there" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	client, err := dicomweb.New(dicomweb.Options{Root: server.URL + "/dicom-web", Token: "hush", Guard: &dicomweb.Guard{
		Allow: []string{server.URL + "/dicom-web/", friendly.URL + "/"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetSleep(func(context.Context, time.Duration) error { return nil })
	cases := []struct {
		name, target string
		allowed      bool
	}{
		{"within the archive", "/dicom-web/there", true},
		{"to another allowed archive", friendly.URL + "/x", true},
		{"out of the allowed path", server.URL + "/admin", false},
		{"to another server", secret.URL + "/dicom-web/there", false},
		{"to a private address", "http://169.254.169.254/latest/meta-data", false},
		{"to a file", "file:///etc/passwd", false},
		{"in circles", "/dicom-web/studies", false},
	}
	for _, c := range cases {
		target = c.target
		_, err := client.Search(t.Context(), nil, "studies")
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	target = "/dicom-web/there"
	if err := client.Store(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("a store that is redirected: %v", err)
	}
}
