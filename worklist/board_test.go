package worklist_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/worklist"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shelf is a store in memory.
type shelf struct {
	entries  []worklist.Entry
	findings map[string]neurotriage.Finding
	media    map[string][]byte
	fault    error
	changes  chan struct{}
}

func (s *shelf) Entries(context.Context) ([]worklist.Entry, error) { return s.entries, s.fault }

func (s *shelf) Finding(_ context.Context, id string) (neurotriage.Finding, error) {
	if f, ok := s.findings[id]; ok {
		return f, nil
	}
	return neurotriage.Finding{}, fmt.Errorf("finding %s: %w", id, worklist.ErrNotFound)
}

func (s *shelf) Media(_ context.Context, finding, name string) ([]byte, error) {
	if data, ok := s.media[finding+"/"+name]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("%s of %s: %w", name, finding, worklist.ErrNotFound)
}

func (s *shelf) Announce(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changes:
			changed()
		}
	}
}

// sample holds one study of each kind.
func sample() *shelf {
	entry := func(uid string, minutes int, state worklist.State, disposition neurotriage.Disposition, p float64) worklist.Entry {
		e := worklist.Entry{
			StudyInstanceUID: uid, State: state, Disposition: disposition, Glioma: p, Threshold: 0.2,
			Scored: p > 0, Asked: now.Add(-time.Duration(minutes) * time.Minute), Predicted: neurotriage.Meningioma,
		}
		if state == worklist.Read || state == worklist.NotRead {
			e.Finished, e.FindingID = e.Asked.Add(time.Second), "id-"+uid
		}
		return e
	}
	s := &shelf{findings: map[string]neurotriage.Finding{}, media: map[string][]byte{}, changes: make(chan struct{})}
	s.entries = []worklist.Entry{
		entry("1.1", 50, worklist.Read, neurotriage.NotFlagged, 0.01),
		entry("1.2", 40, worklist.NotRead, neurotriage.Refused, 0),
		entry("1.3", 30, worklist.Read, neurotriage.GliomaReview, 0.9),
		entry("1.4", 20, worklist.Read, neurotriage.TumourSuspected, 0.1),
		entry("1.5", 10, worklist.Waiting, "", 0),
		entry("1.6", 60, worklist.NotRead, neurotriage.NotAssessable, 0.05),
		entry("1.7", 5, worklist.Read, neurotriage.GliomaReview, 0.4),
	}
	s.entries[1].Reason, s.entries[5].Reason = neurotriage.CorruptDICOM, neurotriage.NoContrast
	s.findings["id-1.3"] = neurotriage.Finding{
		ID: "id-1.3", StudyInstanceUID: "1.3", Disposition: neurotriage.GliomaReview, Warnings: []string{"slice 7 could not be read"},
		Probabilities: map[string]float64{"glioma": 0.9, "meningioma": 0.06, "normal": 0.03, "pituitary": 0.01},
		Thresholds:    neurotriage.Thresholds{GliomaReview: 0.2},
		KeySlices:     []neurotriage.KeySlice{{SOPInstanceUID: "1.3.1", Frame: 1, Probability: 0.97}},
		Series:        []neurotriage.SeriesFinding{{SeriesInstanceUID: "1.3.9", Eligible: true, Why: "T1 with contrast", Slices: 2}},
		Model:         neurotriage.ModelRef{Name: "mobilenetv3-large", Version: "1", Digest: "sha256:" + strings.Repeat("ab", 32), Runtime: "cpu"},
	}
	reading := neurotriage.Reading{Labels: []string{"glioma", "meningioma", "normal", "pituitary"}, Series: []neurotriage.SeriesReading{{
		SeriesInstanceUID: "1.3.9", Slices: []neurotriage.SliceScore{{Probabilities: []float64{0.1, 0.1, 0.7, 0.1}}, {Probabilities: []float64{0.9, 0.1, 0, 0}}},
	}}}
	s.media["id-1.3/reading.json"], _ = json.Marshal(reading)
	s.media["id-1.3/key-1.png"] = []byte("\x89PNG picture")
	return s
}

func serve(t *testing.T, s *shelf) *httptest.Server {
	t.Helper()
	board, err := worklist.New(s, s, worklist.Options{Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(board.Handler())
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, server *httptest.Server, path string) (status int, body string, header http.Header) {
	t.Helper()
	answer, err := server.Client().Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data), answer.Header
}

var studyLink = regexp.MustCompile(`class="verdict" href="/study/([0-9.]+)"`)

func shown(body string) string {
	var uids []string
	for _, match := range studyLink.FindAllStringSubmatch(body, -1) {
		uids = append(uids, match[1])
	}
	return strings.Join(uids, " ")
}

func TestListOrderAndFilter(t *testing.T) {
	cases := []struct{ name, path, want string }{
		{"most urgent first, newest of equals first", "/", "1.7 1.3 1.4 1.2 1.6 1.5 1.1"},
		{"newest first", "/?sort=newest", "1.7 1.5 1.4 1.3 1.2 1.1 1.6"},
		{"oldest first", "/?sort=oldest", "1.6 1.1 1.2 1.3 1.4 1.5 1.7"},
		{"by glioma probability, no score last", "/?sort=glioma", "1.3 1.7 1.4 1.6 1.1 1.2 1.5"},
		{"one disposition", "/?show=glioma_review", "1.7 1.3"},
		{"refused and not assessable are both not read", "/?show=not_read", "1.2 1.6"},
		{"text finds a reason", "/?q=CORRUPT", "1.2"},
		{"text that matches nothing", "/?q=nothing", ""},
		{"an unknown order falls back", "/?sort=zzz&page=-4", "1.7 1.3 1.4 1.2 1.6 1.5 1.1"},
		{"a page beyond the end is empty", "/?page=9", ""},
	}
	server := serve(t, sample())
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, body, _ := get(t, server, c.path)
			if got := shown(body); status != http.StatusOK || got != c.want {
				t.Errorf("status %d, studies %q, want %q", status, got, c.want)
			}
		})
	}
}

func TestWhatWasFlaggedKeepsItsPlace(t *testing.T) {
	s := sample()
	s.entries[0].WasFlagged = true
	_, body, _ := get(t, serve(t, s), "/")
	if got := shown(body); !strings.HasPrefix(got, "1.7 1.3 1.1 ") || !strings.Contains(body, "was flagged before") {
		t.Errorf("order %q: a study that was flagged once stands behind the flagged ones, and says so", got)
	}
}

func TestNotReadNeverLooksUnflagged(t *testing.T) {
	for _, e := range sample().entries {
		if e.State != worklist.NotRead {
			continue
		}
		s := sample()
		s.entries = []worklist.Entry{e}
		_, body, _ := get(t, serve(t, s), "/")
		if !strings.Contains(body, "NOT READ") || !strings.Contains(body, `<tr class="unread">`) || strings.Contains(body, "Not flagged</a>") {
			t.Errorf("%s does not stand as NOT READ", e.Disposition)
		}
	}
}

func TestStudyView(t *testing.T) {
	server := serve(t, sample())
	status, body, _ := get(t, server, "/study/1.3")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		"Glioma review", "90.0 %", "review from 20.0 %", "slice 7 could not be read", "T1 with contrast", `src="/study/1.3/key/1.png"`,
		`<polyline class="glioma" points="0,90.0 1,10.0"`, "mobilenetv3-large", "Research software, not a diagnosis",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the study view lacks %q", want)
		}
	}
	_, text, header := get(t, server, "/study/1.3/finding.json")
	var finding neurotriage.Finding
	if err := json.Unmarshal([]byte(text), &finding); err != nil || finding.ID != "id-1.3" || header.Get("Content-Type") != "application/json" {
		t.Errorf("finding.json: %v, %+v", err, finding)
	}
	if _, picture, header := get(t, server, "/study/1.3/key/1.png"); picture != "\x89PNG picture" || header.Get("Content-Type") != "image/png" {
		t.Errorf("key slice: %q", picture)
	}
}

func TestFaults(t *testing.T) {
	broken := sample()
	broken.fault = errors.New("no server")
	cases := []struct {
		name, path string
		store      *shelf
		status     int
	}{
		{"unknown study", "/study/9.9", sample(), http.StatusNotFound},
		{"no finding yet", "/study/1.5/finding.json", sample(), http.StatusNotFound},
		{"finding past its retention is still a page", "/study/1.4", sample(), http.StatusOK},
		{"no such picture", "/study/1.3/key/2.png", sample(), http.StatusNotFound},
		{"no picture at all", "/study/1.3/key/..%2f1.png", sample(), http.StatusNotFound},
		{"unknown page", "/nowhere", sample(), http.StatusNotFound},
		{"store away", "/", broken, http.StatusServiceUnavailable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, body, _ := get(t, serve(t, c.store), c.path)
			if status != c.status || strings.Contains(body, "no server") {
				t.Errorf("status %d, want %d; body %q", status, c.status, body)
			}
		})
	}
}

func TestHostileTextIsEscaped(t *testing.T) {
	const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	s := sample()
	s.entries[2].AccessionNumber, s.entries[2].Reason, s.entries[3].Predicted = hostile, hostile, hostile
	s.entries[1].Reason = hostile
	finding := s.findings["id-1.3"]
	finding.Warnings, finding.Series[0].Why, finding.Model.Name = []string{hostile}, hostile, hostile
	finding.Probabilities[hostile] = 0.5
	s.findings["id-1.3"] = finding
	server := serve(t, s)
	for _, path := range []string{"/", "/study/1.3", "/?q=" + "%3Cscript%3Ealert(1)%3C/script%3E"} {
		_, body, header := get(t, server, path)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s carries hostile text as markup", path)
		}
		if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
	}
}

func TestNothingFromOtherHosts(t *testing.T) {
	server := serve(t, sample())
	for _, path := range []string{"/", "/study/1.3", "/assets/style.css", "/assets/live.js"} {
		status, body, _ := get(t, server, path)
		if status != http.StatusOK || regexp.MustCompile(`(src|href|url)\W+(https?:)?//`).MatchString(body) {
			t.Errorf("%s: status %d, or it names another host", path, status)
		}
	}
}

func TestChangesReachThePage(t *testing.T) {
	s := sample()
	server := serve(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	next := func(want string) {
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", want, lines.Err())
	}
	next(": hello")
	s.changes <- struct{}{}
	next("event: change")
	s.changes <- struct{}{} // a burst becomes one event, and none is lost
	s.changes <- struct{}{}
	next("event: change")
}

func BenchmarkList(b *testing.B) {
	s := sample()
	for i := len(s.entries); i < 10_000; i++ {
		e := s.entries[i%7]
		e.StudyInstanceUID = fmt.Sprintf("1.9.%d", i)
		s.entries = append(s.entries, e)
	}
	board, err := worklist.New(s, s, worklist.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	handler := board.Handler()
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}
