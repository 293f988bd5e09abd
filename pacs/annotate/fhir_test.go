package annotate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
)

// fhirServer keeps one DiagnosticReport and checks conditions as R4 3.1.0.7
// demands.
type fhirServer struct {
	t *testing.T

	mu      sync.Mutex
	report  map[string]any // nil: none
	version int
	posts   int
	before  func() // what somebody else does between search and transaction
}

func (s *fhirServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/fhir+json")
	if r.Header.Get("Accept") != "application/fhir+json" {
		s.t.Errorf("%s accepts %q", r.Method, r.Header.Get("Accept"))
	}
	if r.Method == http.MethodGet {
		s.search(w, r)
		return
	}
	if s.before != nil {
		s.before()
		s.before = nil
	}
	s.transaction(w, r)
}

func (s *fhirServer) search(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/r4/DiagnosticReport" || r.URL.Query().Get("identifier") != "urn:x|"+studyUID {
		s.t.Errorf("searched %s", r.URL)
	}
	set := map[string]any{"resourceType": "Bundle", "type": "searchset"}
	if s.report != nil {
		set["entry"] = []any{
			map[string]any{"resource": s.report},
			map[string]any{"resource": map[string]any{"resourceType": "OperationOutcome"}},
		}
	}
	_ = json.NewEncoder(w).Encode(set)
}

func (s *fhirServer) transaction(w http.ResponseWriter, r *http.Request) {
	s.posts++
	var got struct{ ID, Match, Finding, Issued string }
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &got); err != nil || r.URL.Path != "/r4" || r.Header.Get("Content-Type") != "application/fhir+json" {
		s.t.Errorf("%s %s: %s", r.Method, r.URL, body)
	}
	switch {
	case got.ID == "" && s.report != nil: // ifNoneExist: nothing changes
	case got.ID != "" && got.Match != s.tag():
		w.WriteHeader(http.StatusPreconditionFailed)
		fmt.Fprint(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"conflict","diagnostics":"version"}]}`)
		return
	default:
		s.put(got.Finding, got.Issued)
	}
	fmt.Fprint(w, `{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created"}},{"response":{"status":"200"}}]}`)
}

func (s *fhirServer) tag() string { return `W/"` + strconv.Itoa(s.version) + `"` }

func (s *fhirServer) put(finding, issued string) {
	s.version++
	s.report = map[string]any{
		"resourceType": "DiagnosticReport", "id": "r1", "meta": map[string]any{"versionId": strconv.Itoa(s.version)}, "issued": issued,
		"identifier": []any{map[string]any{"system": "urn:neurotriage:finding", "value": finding}},
	}
}

func fhirTo(t *testing.T, base string, change ...func(*annotate.Web)) *annotate.FHIR {
	t.Helper()
	web := annotate.Web{Base: base}
	for _, c := range change {
		c(&web)
	}
	f, err := annotate.NewFHIR(annotate.FHIROptions{
		Web:   web,
		Query: func(uid string) string { return "DiagnosticReport?identifier=urn%3Ax%7C" + uid },
		Bundle: func(p pacs.Parcel, id, version string) ([]byte, error) {
			return json.Marshal(map[string]any{
				"resourceType": "Bundle", "id": id, "match": version, "finding": p.Finding.ID, "issued": p.Finding.Finished,
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFHIRSettles says what a server holds after deliveries in an order.
func TestFHIRSettles(t *testing.T) {
	first, second := parcel(), parcel(revision)
	cases := []struct {
		name     string
		parcels  []pacs.Parcel
		finding  string
		versions int
		posts    int
	}{
		{"once", []pacs.Parcel{first}, first.Finding.ID, 1, 1},
		{"twice", []pacs.Parcel{first, first}, first.Finding.ID, 1, 1},
		{"a revision", []pacs.Parcel{first, second}, second.Finding.ID, 2, 2},
		{"a revision twice", []pacs.Parcel{first, second, second}, second.Finding.ID, 2, 2},
		{"a revision alone", []pacs.Parcel{second}, second.Finding.ID, 1, 1},
		{"the former one late", []pacs.Parcel{second, first}, second.Finding.ID, 1, 1},
		{"what is over", []pacs.Parcel{parcel(superseded)}, "", 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &fhirServer{t: t}
			f := fhirTo(t, serve(t, s)+"/r4/")
			for _, p := range c.parcels {
				check(t, f.Deliver(t.Context(), p), kept, "")
			}
			text, _ := json.Marshal(s.report)
			if s.version != c.versions || s.posts != c.posts || !strings.Contains(string(text), c.finding) {
				t.Errorf("%d versions after %d posts: %s", s.version, s.posts, text)
			}
		})
	}
}

// TestFHIRBeaten has another program change the report between search and
// transaction: the server refuses, and the next attempt looks again.
func TestFHIRBeaten(t *testing.T) {
	s := &fhirServer{t: t}
	f := fhirTo(t, serve(t, s)+"/r4")
	s.put("older", "2020-01-01T00:00:00Z")
	s.before = func() { s.put("a person's", "2020-01-02T00:00:00Z") }
	check(t, f.Deliver(t.Context(), parcel()), again, "conflict version")
	check(t, f.Deliver(t.Context(), parcel()), kept, "")
	if s.version != 3 {
		t.Errorf("%d versions, want 3", s.version)
	}
}

func TestFHIRFaults(t *testing.T) {
	const found = `{"resourceType":"Bundle","type":"searchset"}`
	outcome := func(words string) string {
		return `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"` + words + `","expression":["Flag.subject"]},` +
			`{"severity":"error","code":"invalid","details":{"text":"second"}}]}`
	}
	cases := []struct {
		name         string
		searchStatus int
		search       string
		postStatus   int
		post         string
		want         string
		words        string
	}{
		{"an outcome", 200, found, 422, outcome(`Patient?identifier=x|mrn-77 and DOE were born 1970-01-31`), again, "at Flag.subject; error invalid second"},
		{"no patient in it", 200, found, 422, outcome(`MRN-77`), again, "[patient]"},
		{"not known", 200, found, 401, "", outage, "check the token"},
		{"no right", 200, found, 403, "", outage, "right"},
		{"overloaded", 200, found, 503, "", outage, "503"},
		{"too many", 429, "", 0, "", outage, "429"},
		{"broken", 200, found, 500, "<html>", again, "500"},
		{"moved", 302, "", 0, "", outage, "redirects"},
		{"no FHIR", 200, "<html>hello", 0, "", again, "is http"},
		{"something else", 200, `{"resourceType":"Patient"}`, 0, "", again, "no Bundle"},
		{"fine and nothing said", 200, found, 200, "", kept, ""},
		{"fine and not fine", 200, found, 200, outcome("no transactions here"), again, "no transactions here"},
		{"an entry fails", 200, found, 200, `{"resourceType":"Bundle","entry":[{"response":{"status":"201"}},{"response":{"status":"400 Bad","outcome":` + outcome("why") + `}}]}`, again, "entry 2"},
		{"unchanged", 200, found, 200, `{"resourceType":"Bundle","entry":[{"response":{"status":"304 Not Modified"}}]}`, kept, ""},
		{"cut off", 200, found, 200, `{"resourceType":"Bun`, again, "no JSON"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				status, body := c.searchStatus, c.search
				if r.Method == http.MethodPost {
					status, body = c.postStatus, c.post
				}
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}))
			check(t, fhirTo(t, base).Deliver(t.Context(), parcel()), c.want, c.words)
		})
	}
}

// TestWebProvesItself shows each way to log in, and that a service is known by
// its certificate.
func TestWebProvesItself(t *testing.T) {
	const found = `{"resourceType":"Bundle"}`
	cases := []struct {
		name   string
		change func(*annotate.Web)
		want   string // Authorization
	}{
		{"bearer", func(w *annotate.Web) { w.Token = "secret" }, "Bearer secret"},
		{"basic", func(w *annotate.Web) { w.User, w.Password = "u", "p" }, "Basic dTpw"},
		{"nothing", func(*annotate.Web) {}, ""},
	}
	for _, c := range cases {
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != c.want {
				t.Errorf("%s: %q", c.name, got)
			}
			_, _ = io.WriteString(w, found)
		}))
		check(t, fhirTo(t, base, c.change).Deliver(t.Context(), parcel()), kept, "")
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, found) }))
	defer secure.Close()
	check(t, fhirTo(t, secure.URL).Deliver(t.Context(), parcel()), outage, "certificate")
	known := secure.Client().Transport.(*http.Transport).TLSClientConfig
	check(t, fhirTo(t, secure.URL, func(w *annotate.Web) { w.TLS = known }).Deliver(t.Context(), parcel()), kept, "")
	check(t, fhirTo(t, "http://127.0.0.1:1").Deliver(t.Context(), parcel()), outage, "refused")
	for _, bad := range []string{"", "ftp://x", "https://u:p@x/", "https://x/?a=b", "x"} {
		if _, err := annotate.NewFHIR(annotate.FHIROptions{Web: annotate.Web{Base: bad}}); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q is an address: %v", bad, err)
		}
	}
}
