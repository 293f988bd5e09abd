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

	"neurotriage"
	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
	"neurotriage/pacs/dicomweb"
)

type element struct {
	VR    string `json:"vr"`
	Value []any  `json:"Value"`
}

// worklist is an origin server of UPS-RS as strict as PS3.18 11 and PS3.4 CC.
type worklist struct {
	t        *testing.T
	noCancel bool // has no cancelrequest

	mu    sync.Mutex
	items map[string]map[string]element
}

func (s *worklist) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/dicom-web/workitems"), "/")
	var sent map[string]element
	if r.Method != http.MethodGet {
		var sets []map[string]element
		body, _ := io.ReadAll(r.Body)
		if json.Unmarshal(body, &sets) != nil { // the creation's payload is one data set, 11.4.1
			s.fatal(json.Unmarshal(body, &sent))
		} else {
			sent = sets[0]
		}
		if r.Header.Get("Content-Type") != "application/dicom+json" {
			s.t.Errorf("%s sends %q", r.URL, r.Header.Get("Content-Type"))
		}
	}
	if len(parts) == 1 {
		s.create(w, r.URL.RawQuery, sent)
		return
	}
	item, there := s.items[parts[1]]
	switch state := text(item, "00741000"); {
	case !there:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode([]any{item})
	case parts[2] == "cancelrequest" && s.noCancel:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case parts[2] == "cancelrequest" && state == "SCHEDULED":
		item["00741000"] = element{"CS", []any{"CANCELED"}}
		w.WriteHeader(http.StatusAccepted)
	case parts[2] == "state" && allowed(item, sent):
		item["00741000"], item["00081195"] = sent["00741000"], sent["00081195"]
	default:
		w.WriteHeader(http.StatusConflict)
	}
}

// allowed is the state machine of PS3.4 CC.1.1.
func allowed(item, sent map[string]element) bool {
	switch text(item, "00741000") + ">" + text(sent, "00741000") {
	case "SCHEDULED>IN PROGRESS":
		return text(sent, "00081195") != ""
	case "IN PROGRESS>CANCELED", "IN PROGRESS>COMPLETED":
		return text(sent, "00081195") == text(item, "00081195")
	}
	return false
}

func text(item map[string]element, tag string) string {
	if values := item[tag].Value; len(values) > 0 {
		s, _ := values[0].(string)
		return s
	}
	return ""
}

func (s *worklist) fatal(err error) {
	if err != nil {
		s.t.Error(err)
	}
}

// mustHave are the attributes of types 1 and 2 in N-CREATE (table CC.2.5-3).
var mustHave = map[string]bool{ // true: with a value
	"00081195": false, "00741000": true, "00741200": true, "00741202": true, "00741204": true, "00404005": true, "00404041": true,
	"00741210": false, "00404025": false, "00404026": false, "00404027": false, "00404018": false, "00404021": false,
	"00741002": false, "00741216": false, "00100010": false, "00100020": false, "00100030": false, "00100040": false,
	"00101002": false, "00380010": false, "00380014": false, "00081080": false, "00081084": false, "0040A370": false,
}

func (s *worklist) create(w http.ResponseWriter, uid string, item map[string]element) {
	if _, there := s.items[uid]; there {
		w.WriteHeader(http.StatusConflict)
		return
	}
	for tag, filled := range mustHave {
		if e, there := item[tag]; !there || filled && len(e.Value) == 0 {
			s.t.Errorf("(%s) is missing or empty", tag)
		}
	}
	if text(item, "00741000") != "SCHEDULED" || text(item, "00081195") != "" || neurotriage.CheckUID(uid) != nil {
		s.t.Errorf("%s begins as %q with transaction %q", uid, text(item, "00741000"), text(item, "00081195"))
	}
	s.items[uid] = item
	w.WriteHeader(http.StatusCreated)
}

func upsTo(t *testing.T, base string) *annotate.UPS {
	t.Helper()
	client, err := dicomweb.New(dicomweb.Options{Root: base, Guard: &dicomweb.Guard{Allow: []string{base + "/"}, AnyAddress: true}, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	return annotate.NewUPS(annotate.UPSOptions{Client: client, WorklistLabel: "BRAIN", RetrieveURL: base})
}

func TestUPSWorkitem(t *testing.T) {
	s := &worklist{t: t, items: map[string]map[string]element{}}
	check(t, upsTo(t, serve(t, s)+"/dicom-web").Deliver(t.Context(), parcel()), kept, "")
	item := s.items[annotate.WorkitemUID(parcel().Finding.ID)]
	for tag, want := range map[string]string{
		"00741200": "HIGH", "00741202": "BRAIN", "00404041": "READY", "00741204": "Review: possible glioma", "00100020": "MRN-77",
	} {
		if got := text(item, tag); got != want {
			t.Errorf("(%s) is %q, want %q", tag, got, want)
		}
	}
	whole, _ := json.Marshal(item)
	for _, part := range []string{
		`"Alphabetic":"Doe^Jane"`, `"0020000D":{"Value":["` + studyUID + `"]`, `"00080050":{"Value":["A1"]`,
		`/dicom-web/studies/` + studyUID + `/series/1.2.3"`,
	} {
		if !strings.Contains(string(whole), part) {
			t.Errorf("no %s in %s", part, whole)
		}
	}
	if got := strings.Count(string(whole), `"1.2.3.1"`); got != 1 {
		t.Errorf("an instance of two frames stands there %d times", got)
	}
}

// TestUPSSettles says which workitems there are after deliveries in an order,
// and in which states.
func TestUPSSettles(t *testing.T) {
	first, second := parcel(), parcel(revision)
	claim := func(s *worklist) {
		s.items[annotate.WorkitemUID(first.Finding.ID)]["00741000"] = element{"CS", []any{"IN PROGRESS"}}
	}
	cases := []struct {
		name     string
		parcels  []pacs.Parcel
		between  func(*worklist)
		noCancel bool
		want     string
	}{
		{"once", []pacs.Parcel{first}, nil, false, "SCHEDULED HIGH"},
		{"twice", []pacs.Parcel{first, first}, nil, false, "SCHEDULED HIGH"},
		{"a revision keeps the priority", []pacs.Parcel{first, second}, nil, false, "CANCELED HIGH, SCHEDULED HIGH"},
		{"a revision twice", []pacs.Parcel{first, second, second}, nil, false, "CANCELED HIGH, SCHEDULED HIGH"},
		{"without requests to cancel", []pacs.Parcel{first, second}, nil, true, "CANCELED HIGH, SCHEDULED HIGH"},
		{"somebody reads already", []pacs.Parcel{first, second}, claim, false, "IN PROGRESS HIGH, SCHEDULED HIGH"},
		{"the former one is not known", []pacs.Parcel{second}, nil, false, "SCHEDULED LOW"},
		{"what is over", []pacs.Parcel{parcel(superseded)}, nil, false, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &worklist{t: t, items: map[string]map[string]element{}, noCancel: c.noCancel}
			u := upsTo(t, serve(t, s)+"/dicom-web")
			for i, p := range c.parcels {
				if i == 1 && c.between != nil {
					c.between(s)
				}
				check(t, u.Deliver(t.Context(), p), kept, "")
			}
			var got []string
			for _, item := range s.items {
				got = append(got, text(item, "00741000")+" "+text(item, "00741200"))
			}
			slices.Sort(got)
			if all := strings.Join(got, ", "); all != c.want {
				t.Errorf("%s, want %s", all, c.want)
			}
		})
	}
}

func TestUPSFaults(t *testing.T) {
	cases := []struct {
		status int
		want   string
		words  string
	}{
		{400, again, "400"}, {401, outage, "check the token"}, {409, kept, ""}, {503, outage, "503"}, {200, kept, ""},
	}
	for _, c := range cases {
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Warning", "299 server: MRN-77 is unknown")
			w.WriteHeader(c.status)
		}))
		check(t, upsTo(t, base).Deliver(t.Context(), parcel()), c.want, c.words)
	}
}

// TestUPSPriorityIsOnlyRaised draws announcements, findings and former workitems
// at random.
func TestUPSPriorityIsOnlyRaised(t *testing.T) {
	rank := map[string]int{"": 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3}
	given := map[neurotriage.Priority]int{"": 0, neurotriage.Routine: 1, neurotriage.Urgent: 3, neurotriage.ASAP: 3, neurotriage.Stat: 3}
	source := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		p := parcel(func(p *pacs.Parcel) {
			p.Job.Priority = []neurotriage.Priority{"", neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat}[source.IntN(5)]
			p.Finding.Flags.GliomaReview = source.IntN(2) == 0
			p.Finding.Disposition = []neurotriage.Disposition{
				neurotriage.GliomaReview, neurotriage.TumourSuspected, neurotriage.NotFlagged, neurotriage.Refused,
			}[source.IntN(4)]
		})
		former := []string{"", "LOW", "MEDIUM", "HIGH", "ODD"}[source.IntN(5)]
		got := rank[annotate.UPSPriority(p, former)]
		if got < given[p.Job.Priority] || got < rank[former] || p.Finding.Flags.GliomaReview && got < 3 || got == 0 {
			t.Fatalf("given %q, formerly %q, flagged %v: %q", p.Job.Priority, former, p.Finding.Flags.GliomaReview, annotate.UPSPriority(p, former))
		}
	}
}
