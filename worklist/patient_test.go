package worklist_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/worklist"
)

// wards knows who patients are.
type wards struct {
	patient neurotriage.Patient
	fault   error
	asked   int
}

func (w *wards) Patient(ctx context.Context, _ worklist.Entry) (neurotriage.Patient, error) {
	w.asked++
	if errors.Is(w.fault, context.DeadlineExceeded) {
		<-ctx.Done() // a slow share
		return neurotriage.Patient{}, ctx.Err()
	}
	return w.patient, w.fault
}

// diary keeps acts.
type diary struct{ acts []worklist.Act }

func (d *diary) Audit(_ context.Context, act worklist.Act) { d.acts = append(d.acts, act) }

func (d *diary) names() string {
	var list []string
	for _, act := range d.acts {
		name := act.Name
		if !act.Allowed {
			name = "NOT " + name
		}
		list = append(list, name)
	}
	return strings.Join(list, "; ")
}

func readersOnly(who worklist.Visitor) bool { return who.Role >= worklist.Reader && !who.Anonymous }

var doe = neurotriage.Patient{Name: "DOE^JANE^Q^DR.", ID: "MRN-77", BirthDate: "19700302", Sex: "F"}

func TestWhoSeesThePatient(t *testing.T) {
	hostile := neurotriage.Patient{Name: `<script>alert(1)</script>^"'><img src=x>`, ID: `<b id=owned>`, BirthDate: `<i>`, Sex: `"><u>`}
	cases := []struct {
		name    string
		who     worklist.Visitor
		allowed func(worklist.Visitor) bool
		wards   *wards
		want    []string
		seen    bool
	}{
		{"a reader", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{patient: doe},
			[]string{"<strong>DOE, JANE Q DR.</strong>", "MRN-77", "born 1970-03-02 (55 years)", "female"}, true},
		{"a viewer", worklist.Visitor{Name: "vera", Role: worklist.Viewer}, readersOnly, &wards{patient: doe}, []string{"not shown to the role viewer"}, false},
		{"anybody", worklist.Visitor{Name: "anonymous", Role: worklist.Admin, Anonymous: true}, readersOnly, &wards{patient: doe}, []string{"not shown to"}, false},
		{"nobody may", worklist.Visitor{Name: "roe", Role: worklist.Admin}, nil, &wards{patient: doe}, nil, false},
		{"the study has left", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{fault: fmt.Errorf("gone: %w", worklist.ErrNotFound)}, []string{"has left the place"}, false},
		{"a slow share", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{fault: context.DeadlineExceeded}, []string{"still being looked up"}, false},
		{"a fault", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{fault: errors.New("inner words")}, []string{"cannot be read just now"}, false},
		{"no name at all", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{}, []string{"the study names nobody"}, true},
		{"ideographs", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{patient: neurotriage.Patient{Name: "Yamada^Tarou=山田^太郎="}}, []string{"Yamada, Tarou · 山田, 太郎"}, true},
		{"hostile", worklist.Visitor{Name: "roe", Role: worklist.Reader}, readersOnly, &wards{patient: hostile}, []string{"&lt;script&gt;alert(1)&lt;/script&gt;, &#34;&#39;&gt;&lt;img src · x&gt;"}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := &diary{}
			o := newOffice(t, c.who.Role, func(options *worklist.Options) {
				options.Patients, options.Identity, options.Auditor = c.wards, c.allowed, d
			})
			o.who = c.who
			_, body, _ := get(t, o.server, "/study/1.3")
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, secret := range []string{"JANE", "MRN-77"} {
				if !c.seen && strings.Contains(body, secret) {
					t.Errorf("the page says %q", secret)
				}
			}
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") || strings.Contains(body, "id=owned>") {
				t.Error("hostile text is markup")
			}
			if got := strings.Contains(d.names(), "see the patient"); got != c.seen || strings.Contains(o.log.String(), "JANE") {
				t.Errorf("the log book says %q, want the patient in it: %v", d.names(), c.seen)
			}
			if _, list, _ := get(t, o.server, "/"); strings.Contains(list, "JANE") {
				t.Error("the list names the patient")
			}
		})
	}
}

func TestReportsNameThePatient(t *testing.T) {
	d := &diary{}
	o := newOffice(t, worklist.Reader, func(options *worklist.Options) { options.Identity, options.Auditor = readersOnly, d })
	finding := o.shelf.findings["id-1.3"]
	finding.Reports = []neurotriage.ReportRef{{Kind: "sr", SOPInstanceUID: "2.25.7"}, {Kind: "key_image", SOPInstanceUID: "2.25.8"}, {Kind: "sr", SOPInstanceUID: `"><b>`}}
	o.shelf.findings["id-1.3"] = finding
	o.shelf.media["id-1.3/sr.dcm"], o.shelf.media["id-1.3/2.25.8.dcm"] = []byte("the report"), []byte("the image")
	_, body, _ := get(t, o.server, "/study/1.3")
	if !strings.Contains(body, `href="/study/1.3/report/2.25.7.dcm">structured report (DICOM SR)</a>`) || strings.Contains(body, `"><b>`) {
		t.Errorf("the page links no report: %s", body)
	}
	cases := []struct {
		role   worklist.Role
		path   string
		status int
		body   string
	}{
		{worklist.Reader, "2.25.7.dcm", http.StatusOK, "the report"},
		{worklist.Reader, "2.25.8.dcm", http.StatusOK, "the image"},
		{worklist.Reader, "2.25.9.dcm", http.StatusNotFound, "Not found"},
		{worklist.Reader, "2.25.7", http.StatusNotFound, "Not found"},
		{worklist.Viewer, "2.25.7.dcm", http.StatusForbidden, "names the patient"},
	}
	for _, c := range cases {
		o.who.Role = c.role
		status, body, header := get(t, o.server, "/study/1.3/report/"+c.path)
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%v asks for %s: %d %q", c.role, c.path, status, body)
		}
		if status == http.StatusOK && header.Get("Content-Type") != "application/dicom" {
			t.Errorf("%s comes as %q", c.path, header.Get("Content-Type"))
		}
	}
	if got := strings.Count(d.names(), "fetched a report, with the patient"); got != 2 {
		t.Errorf("%d fetched reports in the log book, want 2: %s", got, d.names())
	}
}

func TestDeliveriesAreShown(t *testing.T) {
	at := func(states ...worklist.DeliveryState) (list []worklist.Delivery) {
		for i, state := range states {
			list = append(list, worklist.Delivery{Destination: fmt.Sprintf("pacs<%d>", i), State: state, Attempts: 3, Note: "no <answer>", Updated: now})
		}
		return list
	}
	cases := []struct {
		name string
		list []worklist.Delivery
		want string
		bad  bool
	}{
		{"nowhere to go", nil, "read<", false},
		{"all there", at(worklist.Delivered, worklist.Delivered), "read, delivered<", false},
		{"on its way", at(worklist.Pending), "read, on its way<", false},
		{"one there", at(worklist.Delivered, worklist.Pending), "read, delivered to 1 of 2<", false},
		{"lost", at(worklist.Failed), "read, NOT DELIVERED<", true},
		{"one lost", at(worklist.Delivered, worklist.Failed), "read, NOT DELIVERED to 1 of 2<", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := sample()
			s.entries = s.entries[2:3]
			s.entries[0].Deliveries = c.list
			server := serve(t, s)
			_, list, _ := get(t, server, "/")
			if !strings.Contains(list, c.want) || strings.Contains(list, `<td class="stage bad">`) != c.bad {
				t.Errorf("the list lacks %q, or its colour", c.want)
			}
			_, study, _ := get(t, server, "/study/1.3")
			if len(c.list) > 0 && (!strings.Contains(study, "To pacs&lt;0&gt;") || !strings.Contains(study, "3 attempts: no &lt;answer&gt;")) {
				t.Errorf("the study lacks its deliveries: %s", study)
			}
		})
	}
}

// TestEveryActIsAudited walks through all that a visitor can do.
func TestEveryActIsAudited(t *testing.T) {
	d := &diary{}
	o := newOffice(t, worklist.Admin, func(options *worklist.Options) { options.Auditor = d })
	token := o.token(t, "/")
	for _, path := range []string{"/study/1.3", "/study/1.3/finding.json", "/study/1.3/viewer.json", "/study/1.3/key/1.png", "/study/1.3/slice/1/1", "/assessments.csv", "/operations"} {
		get(t, o.server, path)
	}
	o.post(t, "/study/1.3/assess", nil, map[string][]string{"token": {token}, "verdict": {"corrected"}, "label": {"normal"}, "finding": {"id-1.3"}})
	o.post(t, "/operations/replay", nil, map[string][]string{"token": {token}, "letter": {"l1"}})
	o.post(t, "/theme", nil, map[string][]string{"token": {token}, "theme": {"light"}})
	const want = "see the worklist; see a study; see a finding; open the viewer; see pixels; export assessments; see operations; " +
		"assess a finding; assessed a finding; see a study; replay a dead letter; replayed a dead letter; see operations; choose a theme; see the worklist"
	if got := d.names(); got != want {
		t.Errorf("acts\n%s\nwant\n%s", got, want)
	}
	for _, act := range d.acts {
		if act.Visitor.Name != "dr. roe" || act.Visitor.Role != worklist.Admin || !act.Time.Equal(now) || act.From == "" || act.Path == "" {
			t.Errorf("an act without who, when or where: %+v", act)
		}
		if act.Name == "assessed a finding" && (act.Detail != "corrected normal, finding id-1.3" || act.StudyInstanceUID != "1.3") {
			t.Errorf("the assessment is written as %+v", act)
		}
	}
	d.acts = nil
	for range 3 { // a page that renews itself is one look, and the one before counts
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.server.URL+"/study/1.4", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Neurotriage-Renewal", "yes")
		answer, err := o.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	if got := d.names(); got != "see a study" {
		t.Errorf("three renewals are written as %q", got)
	}
	d.acts = nil
	o.who.Role = worklist.Viewer
	get(t, o.server, "/operations")
	o.noOne = true
	get(t, o.server, "/")
	if got := d.names(); got != "NOT see operations; NOT see the worklist" {
		t.Errorf("refused acts %q", got)
	}
	if last := d.acts[1]; last.Visitor.Name != "" || last.Visitor.Role != 0 {
		t.Errorf("nobody is %+v", last.Visitor)
	}
}

func TestModelOfTheFindingIsMeasured(t *testing.T) {
	s := sample()
	ours := s.findings["id-1.3"].Model
	card := map[string]any{"studies": map[string]any{"glioma_flagged": map[string]any{"mean": 0.939, "low": 0.848, "high": 1.0}}, "ece": 0.05}
	for digest, want := range map[string]string{ours.Digest: "93.9 % (84.8 % to 100.0 %)", "sha256:other": "not at hand"} {
		o := newOffice(t, worklist.Viewer, func(options *worklist.Options) {
			options.Model = func() neurotriage.ModelRef { return neurotriage.ModelRef{Digest: digest} }
			options.Evaluation = func() map[string]any { return card }
		})
		if _, body, _ := get(t, o.server, "/study/1.3"); !strings.Contains(body, want) {
			t.Errorf("with the model %s the page lacks %q", digest, want)
		}
	}
}
