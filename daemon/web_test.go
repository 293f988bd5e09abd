package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/dicomio"
)

// libraryOf reads from the archives of the configuration only.
func libraryOf(t *testing.T, c config.DICOMweb, limits dicomio.Limits) *library {
	t.Helper()
	web, err := newWeb(c, limits)
	if err != nil {
		t.Fatal(err)
	}
	return &library{web: web, spool: spool{dir: t.TempDir(), guard: func() error { return nil }}}
}

// TestWebFaults lists what an archive answers to the retrieval, and whether it is
// well when asked afterwards.
func TestWebFaults(t *testing.T) {
	const related = `multipart/related; type="application/dicom"; boundary=b`
	part := func(text string) string { return "--b\r\nContent-Type: application/dicom\r\n\r\n" + text + "\r\n" }
	limits := dicomio.Limits{FileBytes: 100, StudyBytes: 150, Files: 3}
	cases := []struct {
		name   string
		status int
		body   string
		well   int
		reason neurotriage.Reason // of the refusal; empty: none
		fault  bool               // of the surroundings
		says   string
	}{
		{"not there", 404, "", 200, neurotriage.StudyNotFound, false, "404"},
		{"gone", 410, "", 200, neurotriage.StudyNotFound, false, "410"},
		{"empty", 200, "--b--", 200, neurotriage.StudyNotFound, false, "no object"},
		{"no content", 204, "", 200, neurotriage.StudyNotFound, false, "no object"},
		{"login refused for all", 401, "", 401, "", true, "check the token"},
		{"no right to anything", 403, "", 403, "", true, "grant it in the archive"},
		{"no right to this study", 403, "", 200, "", false, "grant it in the archive"},
		{"down", 503, "", 503, "", true, "503"},
		{"a fault at this study", 500, "", 200, "", false, "500"},
		{"a fault at everything", 500, "", 500, "", true, "500"},
		{"a fault, and no search", 500, "", 404, "", false, "500"},
		{"cut off", 200, part("one") + "--b\r\n\r\ntw", 200, "", false, "broke off"},
		{"cut off by an outage", 200, part("one") + "--b\r\n\r\ntw", 502, "", true, "broke off"},
		{"redirected elsewhere", 302, "", 200, neurotriage.URLNotAllowed, false, "redirects elsewhere"},
		{"an object too large", 200, part(strings.Repeat("x", 101)) + "--b--", 200, neurotriage.TooLarge, false, "an object of more than 100 bytes"},
		{"a study too large", 200, part(strings.Repeat("x", 90)) + part(strings.Repeat("x", 61)) + "--b--", 200, neurotriage.TooLarge, false, "more than 150 bytes"},
		{"as large as allowed, and not DICOM", 200, part(strings.Repeat("x", 90)) + part(strings.Repeat("x", 60)) + "--b--", 200, neurotriage.NotDICOM, false, ""},
		{"too many objects", 200, part("1") + part("2") + part("3") + part("4") + "--b--", 200, neurotriage.TooLarge, false, "more than 3 objects"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("limit") {
					w.WriteHeader(c.well)
					return
				}
				w.Header().Set("Content-Type", related)
				w.Header().Set("Location", "http://169.254.169.254/")
				w.Header().Set("Retry-After", "3600") // the client gives up at once
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			l := libraryOf(t, config.DICOMweb{Allow: []string{server.URL + "/dicom-web/"}}, limits)
			_, err := l.Open(t.Context(), neurotriage.Job{StudyInstanceUID: fakeStudy, Location: neurotriage.Location{
				Kind: neurotriage.DICOMweb, URL: server.URL + "/dicom-web/studies/" + fakeStudy,
			}})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, want %q", err, c.says)
			}
			if r := refusal(err); (r == nil) != (c.reason == "") || r != nil && r.Reason != c.reason {
				t.Errorf("%v, want reason %q", err, c.reason)
			}
			f, isFault := errors.AsType[*fault](err)
			if errors.Is(err, neurotriage.ErrSurroundings) != c.fault || isFault != c.fault || isFault && f.over() == nil {
				t.Errorf("%v, want a fault of the surroundings that is not over: %v", err, c.fault)
			}
			if left, _ := os.ReadDir(l.spool.dir); len(left) > 0 {
				t.Errorf("the spool holds %v", left)
			}
		})
	}
}

func TestWebLocations(t *testing.T) {
	asks := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asks += r.URL.Path + " " + r.Header.Get("Authorization") + ";"
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.DICOMweb{
		Allow:    []string{server.URL + "/open/"},
		Archives: map[string]config.Archive{"pacs": {URL: server.URL + "/closed", TokenFile: token}},
	}
	cases := []struct {
		url    string
		series []string
		reason neurotriage.Reason
		asks   string
	}{
		{"/open/", nil, neurotriage.StudyNotFound, "/open/studies/1.2.3 ;"},
		{"/open/studies/1.2.3", nil, neurotriage.StudyNotFound, "/open/studies/1.2.3 ;"},
		{"/open/studies/1.2.3/series/4", nil, neurotriage.StudyNotFound, "/open/studies/1.2.3/series/4 ;"},
		{"/open/studies/1.2.3", []string{"5", "6"}, neurotriage.StudyNotFound, "/open/studies/1.2.3/series/5 ;"},
		{"/closed/studies/1.2.3", nil, neurotriage.StudyNotFound, "/closed/studies/1.2.3 Bearer hush;"},
		{"/open/studies/1.2.4", nil, neurotriage.MalformedEvent, ""},
		{"/open/studies/1.2.3/metadata", nil, neurotriage.URLNotAllowed, ""},
		{"/open/studies/1.2.3?x=y", nil, neurotriage.URLNotAllowed, ""},
		{"/other/studies/1.2.3", nil, neurotriage.URLNotAllowed, ""},
		{"/closedly/studies/1.2.3", nil, neurotriage.URLNotAllowed, ""},
		{"\x00", nil, neurotriage.URLNotAllowed, ""},
	}
	for _, tc := range cases {
		asks = ""
		l := libraryOf(t, c, dicomio.DefaultLimits())
		_, err := l.Open(t.Context(), neurotriage.Job{
			StudyInstanceUID: fakeStudy, SeriesInstanceUIDs: tc.series,
			Location: neurotriage.Location{Kind: neurotriage.DICOMweb, URL: server.URL + tc.url},
		})
		if r := refusal(err); r == nil || r.Reason != tc.reason || asks != tc.asks {
			t.Errorf("%s: %v after %q, want %s after %q", tc.url, err, asks, tc.reason, tc.asks)
		}
	}
}

// TestWebDisk: a disk that is full in the middle is nobody's fault, and a stop
// neither.
func TestWebDisk(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/dicom")
		_, _ = io.WriteString(w, "an object")
	}))
	defer server.Close()
	job := neurotriage.Job{StudyInstanceUID: fakeStudy, Location: neurotriage.Location{Kind: neurotriage.DICOMweb, URL: server.URL + "/"}}
	l := libraryOf(t, config.DICOMweb{Allow: []string{server.URL + "/"}}, dicomio.DefaultLimits())
	asked := 0
	l.spool.guard = func() error {
		if asked++; asked > 1 {
			return fmt.Errorf("%w: no room", neurotriage.ErrSurroundings)
		}
		return nil
	}
	if _, err := l.Open(t.Context(), job); !errors.Is(err, neurotriage.ErrSurroundings) || refusal(err) != nil {
		t.Errorf("a full disk: %v", err)
	}
	l.spool.guard = func() error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Open(ctx, job); !errors.Is(err, context.Canceled) || refusal(err) != nil || errors.Is(err, neurotriage.ErrSurroundings) {
		t.Errorf("a stop: %v", err)
	}
}
