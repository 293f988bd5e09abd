package dicomweb_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"neurotriage/pacs/dicomweb"
)

// open makes a client of the server that notes its waits instead of waiting.
func open(t *testing.T, server *httptest.Server, options dicomweb.Options) (*dicomweb.Client, *[]time.Duration) {
	t.Helper()
	options.Root = server.URL + "/dicom-web"
	if options.Guard == nil {
		options.Guard = &dicomweb.Guard{Allow: []string{server.URL + "/"}}
	}
	client, err := dicomweb.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	waits := &[]time.Duration{}
	client.SetSleep(func(ctx context.Context, d time.Duration) error {
		*waits = append(*waits, d)
		return ctx.Err()
	})
	return client, waits
}

// TestRetries lists what the archive answers, one after the other, and what
// comes of it. The last answer repeats.
func TestRetries(t *testing.T) {
	cases := []struct {
		name    string
		answers []int
		header  http.Header
		asked   int
		status  int           // of the error; 0: none
		atLeast time.Duration // waited in all
	}{
		{"at once", []int{204}, nil, 1, 0, 0},
		{"after a moment", []int{503, 502, 204}, nil, 3, 0, 750 * time.Millisecond},
		{"too busy", []int{429, 204}, http.Header{"Retry-After": {"7"}}, 2, 0, 7 * time.Second},
		{"too busy for too long", []int{429, 204}, http.Header{"Retry-After": {"3600"}}, 1, 429, 0},
		{"until a date", []int{503, 204}, http.Header{"Retry-After": {time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat)}}, 2, 0, 2 * time.Second},
		{"a date that is over", []int{503, 204}, http.Header{"Retry-After": {"Mon, 02 Jan 2006 15:04:05 GMT"}}, 2, 0, 250 * time.Millisecond},
		{"not in time", []int{504}, nil, 4, 504, 1750 * time.Millisecond},
		{"not there", []int{404}, nil, 1, 404, 0},
		{"not allowed", []int{401}, nil, 1, 401, 0},
		{"a fault of its own", []int{500}, nil, 1, 500, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				status := c.answers[min(int(asked.Add(1)), len(c.answers))-1]
				if status != 204 {
					for name, values := range c.header {
						w.Header()[name] = values
					}
				}
				w.WriteHeader(status)
			}))
			defer server.Close()
			client, waits := open(t, server, dicomweb.Options{})
			_, err := client.Search(t.Context(), nil, "studies")
			var status *dicomweb.StatusError
			switch {
			case c.status == 0 && err != nil:
				t.Error(err)
			case c.status != 0 && (!errors.As(err, &status) || status.Status != c.status):
				t.Errorf("error %v, want status %d", err, c.status)
			}
			if int(asked.Load()) != c.asked {
				t.Errorf("asked %d times, want %d", asked.Load(), c.asked)
			}
			var waited time.Duration
			for _, one := range *waits {
				waited += one
			}
			if waited < c.atLeast || len(*waits) != c.asked-1 {
				t.Errorf("waited %v, want %d waits of at least %v together", *waits, c.asked-1, c.atLeast)
			}
		})
	}
}

func TestRetriesAreCutShort(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer server.Close()
	client, _ := open(t, server, dicomweb.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	client.SetSleep(func(context.Context, time.Duration) error {
		cancel()
		return context.Cause(ctx)
	})
	if _, err := client.Search(ctx, nil, "studies"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestNobodyListens(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client, waits := open(t, server, dicomweb.Options{})
	_, err := client.Search(t.Context(), nil, "studies")
	if err == nil || errors.Is(err, dicomweb.ErrNotAllowed) || len(*waits) != 3 {
		t.Errorf("%v after %d waits", err, len(*waits))
	}
	if client.Well(t.Context()) == nil {
		t.Error("said to be well")
	}
}

func TestLogin(t *testing.T) {
	for _, c := range []struct {
		options dicomweb.Options
		want    string
	}{
		{dicomweb.Options{}, ""},
		{dicomweb.Options{Token: "hush"}, "Bearer hush"},
		{dicomweb.Options{User: "ana", Password: "hush"}, "Basic YW5hOmh1c2g="},
	} {
		var got string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("Authorization")
			w.WriteHeader(http.StatusForbidden)
		}))
		client, _ := open(t, server, c.options)
		_, err := client.Search(t.Context(), nil, "studies")
		server.Close()
		if got != c.want {
			t.Errorf("shown %q, want %q", got, c.want)
		}
		if err == nil || !strings.Contains(err.Error(), "grant it") || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v", err)
		}
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	pair := server.TLS.Certificates[0]
	cases := []struct {
		name string
		tls  *tls.Config
		want string // part of the error; empty: none
	}{
		{"unknown authority", nil, "certificate"},
		{"no client certificate", &tls.Config{RootCAs: roots}, "401"},
		{"client certificate", &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, ""},
		{"old version only", &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}, "tls"},
	}
	for _, c := range cases {
		client, waits := open(t, server, dicomweb.Options{TLS: c.tls})
		_, err := client.Search(t.Context(), nil, "studies")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if c.name == "unknown authority" && len(*waits) > 0 {
			t.Errorf("%s: tried again %d times", c.name, len(*waits))
		}
	}
}

// TestProxies of the environment see nothing.
func TestProxies(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	defer server.Close()
	client, _ := open(t, server, dicomweb.Options{})
	if _, err := client.Search(t.Context(), nil, "studies"); err != nil {
		t.Error(err)
	}
}

func TestSearch(t *testing.T) {
	body := `[{"0020000D":{"vr":"UI","Value":["1.2"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^Jane"}]},
		"00201206":{"vr":"IS","Value":[3]},"00080005":{"vr":"CS"},"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.3"]}}]}}]`
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	client, _ := open(t, server, dicomweb.Options{})
	found, err := client.Search(t.Context(), map[string][]string{"limit": {"5"}}, "studies", "1.2", "series")
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if asked != "/dicom-web/studies/1.2/series?limit=5" {
		t.Errorf("asked for %s", asked)
	}
	number, ok := found[0].Number("00201206")
	got := []string{found[0].Text("0020000D"), found[0].Text("00100010"), found[0].Text("00080005"), found[0].Text("00080060"),
		fmt.Sprint(number, ok), found[0].Items("00081199")[0].Text("00081155")}
	if want := []string{"1.2", "Doe^Jane", "", "", "3 true", "1.2.3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, wrong := range []string{"", "<html>", `{"a":`, `[1]`, strings.Repeat(" ", 33<<20)} {
		body = wrong
		if _, err := client.Search(t.Context(), nil, "studies"); !errors.Is(err, dicomweb.ErrBroken) {
			t.Errorf("%.10q: %v, want a broken answer", wrong, err)
		}
	}
}

// TestStandstill: an archive that begins to answer and falls silent.
func TestStandstill(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", `multipart/related; type="application/dicom"; boundary=b`)
		_, _ = io.WriteString(w, "--b\r\nContent-Type: application/dicom\r\n\r\nhalf an obj")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	client, _ := open(t, server, dicomweb.Options{Still: 20 * time.Millisecond})
	var err error
	for part, broke := range client.Retrieve(t.Context(), "1.2", "") {
		if err = broke; err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			break
		}
	}
	if !errors.Is(err, dicomweb.ErrBroken) || !strings.Contains(err.Error(), "nothing moved") {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	guard := &dicomweb.Guard{Allow: []string{"https://pacs.example/"}}
	for root, want := range map[string]bool{
		"https://pacs.example/dicom-web": true, "https://pacs.example/dicom-web/": true,
		"https://evil.example/dicom-web": false, "pacs.example": false, "": false, "ftp://pacs.example/": false,
		"https://pacs.example/?x=y": false, "https://u:p@pacs.example/": false, "\x00": false,
	} {
		_, err := dicomweb.New(dicomweb.Options{Root: root, Guard: guard})
		if (err == nil) != want {
			t.Errorf("%q: %v", root, err)
		}
	}
	if _, err := dicomweb.New(dicomweb.Options{Root: "https://pacs.example"}); err == nil {
		t.Error("a client without guard was made")
	}
}

func TestPlace(t *testing.T) {
	for raw, want := range map[string][]string{
		"https://p/dicom-web":                         {"https://p/dicom-web", "", "", "true"},
		"https://p/dicom-web/":                        {"https://p/dicom-web", "", "", "true"},
		"https://p/dicom-web/studies":                 {"https://p/dicom-web", "", "", "true"},
		"https://p/dicom-web/studies/1.2":             {"https://p/dicom-web", "1.2", "", "true"},
		"https://p/dicom-web/studies/1.2/series/3.4/": {"https://p/dicom-web", "1.2", "3.4", "true"},
		"https://p/":                                  {"https://p", "", "", "true"},
		"https://p/dicom-web/studies/1.2/metadata":    {"", "", "", "false"},
		"https://p/dicom-web/studies/1.2?x=y":         {"", "", "", "false"},
		"p":                                           {"", "", "", "false"},
	} {
		root, study, series, err := dicomweb.Place(raw)
		if got := []string{root, study, series, fmt.Sprint(err == nil)}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
