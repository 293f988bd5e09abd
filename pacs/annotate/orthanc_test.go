package annotate_test

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
)

// orthanc is as much of the REST API as the destination uses, with labels and
// with revisions checked, as a version of today can be set up.
type orthanc struct {
	t       *testing.T
	version string

	mu       sync.Mutex
	empty    bool // the study is not there
	labels   []string
	metadata []byte
	revision string
	calls    int
}

const orthancID = "27f7126f-4f66fb14-03f4081b-f9341db2-53925988"

func (o *orthanc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	label, isLabel := strings.CutPrefix(r.URL.Path, "/studies/"+orthancID+"/labels/")
	switch body, _ := io.ReadAll(r.Body); {
	case r.URL.Path == "/tools/lookup":
		found := []any{map[string]string{"ID": orthancID, "Path": "/studies/" + orthancID, "Type": "Study"}}
		if o.empty || string(body) != studyUID {
			found = []any{}
		}
		_ = json.NewEncoder(w).Encode(found)
	case r.URL.Path == "/system":
		_ = json.NewEncoder(w).Encode(map[string]any{"Version": o.version, "ApiVersion": 17})
	case strings.HasSuffix(r.URL.Path, "/labels") && o.version >= "1.12":
		_ = json.NewEncoder(w).Encode(append([]string{}, o.labels...))
	case isLabel && o.version >= "1.12":
		o.labels = slices.DeleteFunc(o.labels, func(l string) bool { return l == label })
		if r.Method == http.MethodPut {
			o.labels = append(o.labels, label)
		}
	case strings.HasSuffix(r.URL.Path, "/metadata/7700"):
		o.meta(w, r, body)
	default:
		o.t.Errorf("%s %s", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}
}

func (o *orthanc) meta(w http.ResponseWriter, r *http.Request, body []byte) {
	switch {
	case r.Method == http.MethodGet && o.metadata == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", o.revision)
		_, _ = w.Write(o.metadata)
	case o.metadata != nil && r.Header.Get("If-Match") != o.revision:
		w.WriteHeader(http.StatusConflict)
	default:
		o.metadata, o.revision = body, `"`+string(rune('0'+len(o.revision)))+strings.Repeat("+", len(o.revision))+`"`
	}
}

func orthancTo(t *testing.T, base string, change ...func(*annotate.Web)) *annotate.Orthanc {
	t.Helper()
	web := annotate.Web{Base: base}
	for _, c := range change {
		c(&web)
	}
	o, err := annotate.NewOrthanc(annotate.OrthancOptions{Web: web})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// shown is the metadata of the study.
type shown struct {
	FindingID   string `json:"finding_id"`
	Disposition neurotriage.Disposition
	Raised      neurotriage.Disposition
	Priority    neurotriage.Priority
}

// suspected is a still later finding.
func suspected(p *pacs.Parcel) {
	p.Finding.ID, p.Finding.Disposition = "d7", neurotriage.TumourSuspected
	p.Finding.Flags, p.Finding.Finished = neurotriage.Flags{}, p.Finding.Finished.Add(2*time.Hour)
}

func unread(p *pacs.Parcel) {
	p.Finding.ID, p.Finding.Disposition = "e8", neurotriage.NotAssessable
	p.Finding.Flags, p.Finding.Finished = neurotriage.Flags{}, p.Finding.Finished.Add(-time.Hour)
	p.Job.Priority = neurotriage.Stat
}

func TestOrthancSettles(t *testing.T) {
	flagged, cleared, late, before := parcel(), parcel(revision), parcel(suspected), parcel(unread)
	cases := []struct {
		name    string
		version string
		parcels []pacs.Parcel
		labels  string
		shows   shown
	}{
		{"flagged", "1.12.5", []pacs.Parcel{flagged}, "triage-glioma-review",
			shown{flagged.Finding.ID, neurotriage.GliomaReview, neurotriage.GliomaReview, neurotriage.Urgent}},
		{"a version without labels", "1.10.1", []pacs.Parcel{flagged}, "",
			shown{flagged.Finding.ID, neurotriage.GliomaReview, neurotriage.GliomaReview, neurotriage.Urgent}},
		{"twice", "1.12.5", []pacs.Parcel{flagged, flagged}, "triage-glioma-review",
			shown{flagged.Finding.ID, neurotriage.GliomaReview, neurotriage.GliomaReview, neurotriage.Urgent}},
		{"a revision takes no flag down", "1.12.5", []pacs.Parcel{flagged, cleared}, "triage-glioma-review",
			shown{cleared.Finding.ID, neurotriage.NotFlagged, neurotriage.GliomaReview, neurotriage.Urgent}},
		{"raised", "1.12.5", []pacs.Parcel{before, flagged}, "triage-glioma-review",
			shown{flagged.Finding.ID, neurotriage.GliomaReview, neurotriage.GliomaReview, neurotriage.Stat}},
		{"read at last", "1.12.5", []pacs.Parcel{before, cleared}, "triage-not-flagged",
			shown{cleared.Finding.ID, neurotriage.NotFlagged, neurotriage.NotFlagged, neurotriage.Stat}},
		{"the former one late", "1.12.5", []pacs.Parcel{late, flagged}, "triage-tumour-suspected",
			shown{late.Finding.ID, neurotriage.TumourSuspected, neurotriage.TumourSuspected, neurotriage.Routine}},
		{"a label that a person gave stays", "mainline", []pacs.Parcel{flagged}, "teaching triage-glioma-review",
			shown{flagged.Finding.ID, neurotriage.GliomaReview, neurotriage.GliomaReview, neurotriage.Urgent}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := &orthanc{t: t, version: c.version}
			if c.version == "mainline" {
				o.labels = []string{"teaching"}
			}
			to := orthancTo(t, serve(t, o))
			for _, p := range c.parcels {
				check(t, to.Deliver(t.Context(), p), kept, "")
			}
			var got shown
			if err := json.Unmarshal(o.metadata, &got); err != nil || got != c.shows {
				t.Errorf("%+v, want %+v: %v", got, c.shows, err)
			}
			if all := strings.Join(o.labels, " "); all != c.labels {
				t.Errorf("labels %q, want %q", all, c.labels)
			}
		})
	}
}

func TestOrthancFaults(t *testing.T) {
	fake := &orthanc{t: t, version: "1.12.5", empty: true}
	to := orthancTo(t, serve(t, fake))
	check(t, to.Deliver(t.Context(), parcel()), again, "not in Orthanc (yet)")
	fake.empty, fake.metadata = false, []byte("somebody's own words")
	check(t, to.Deliver(t.Context(), parcel()), rejected, "another number")
	before := fake.calls
	check(t, to.Deliver(t.Context(), parcel(superseded)), kept, "")
	if fake.calls != before {
		t.Error("what is over was asked for")
	}
	cases := []struct {
		status int
		body   string
		want   string
		words  string
	}{
		{401, "", outage, "check the token, or user and password"}, {503, "", outage, "503"},
		{500, `{"Message":"Cannot write","Details":"disk"}`, again, "Cannot write disk"}, {200, "<html>", again, "not Orthanc's"},
		{200, `[{"ID":"../../system","Type":"Study"}]`, again, "not in Orthanc"},
	}
	for _, c := range cases {
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		check(t, orthancTo(t, base).Deliver(t.Context(), parcel()), c.want, c.words)
	}
}

// TestOrthancOnlyRaises sends findings at random, each later than the one before:
// neither what asks for a look nor the priority ever comes down.
func TestOrthancOnlyRaises(t *testing.T) {
	urgency := map[neurotriage.Disposition]int{neurotriage.TumourSuspected: 1, neurotriage.GliomaReview: 2}
	rank := map[neurotriage.Priority]int{neurotriage.Routine: 1, neurotriage.Urgent: 2, neurotriage.ASAP: 3, neurotriage.Stat: 4}
	source := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		o := &orthanc{t: t, version: "1.12.5"}
		to := orthancTo(t, serve(t, o))
		var last shown
		for n := range 10 {
			p := parcel(func(p *pacs.Parcel) {
				p.Finding.ID, p.Finding.Finished = string(rune('a'+n)), p.Finding.Finished.Add(time.Duration(n)*time.Minute)
				p.Finding.Disposition = []neurotriage.Disposition{
					neurotriage.GliomaReview, neurotriage.TumourSuspected, neurotriage.NotFlagged, neurotriage.Refused, neurotriage.NotAssessable,
				}[source.IntN(5)]
				p.Finding.Flags.GliomaReview = p.Finding.Disposition == neurotriage.GliomaReview
				p.Job.Priority = []neurotriage.Priority{"", neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat}[source.IntN(5)]
			})
			check(t, to.Deliver(t.Context(), p), kept, "")
			var now shown
			if err := json.Unmarshal(o.metadata, &now); err != nil {
				t.Fatal(err)
			}
			if urgency[now.Raised] < urgency[last.Raised] || rank[now.Priority] < rank[last.Priority] || rank[now.Priority] < rank[p.Job.Priority] {
				t.Fatalf("%+v after %+v, announced as %q", now, last, p.Job.Priority)
			}
			last = now
		}
	}
}
