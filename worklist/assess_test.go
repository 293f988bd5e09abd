package worklist_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/worklist"
)

// desk is a desk in memory, and a room, and a stack.
type desk struct {
	taken    []worklist.Assessment
	letters  []worklist.Letter
	replayed []string
	asked    []worklist.SliceRef
	fault    error
}

func (d *desk) Assess(_ context.Context, a worklist.Assessment) error {
	if d.fault == nil {
		d.taken = append(d.taken, a)
	}
	return d.fault
}

func (d *desk) Assessments(_ context.Context, fn func(worklist.Assessment) error) error {
	for _, a := range d.taken {
		if err := fn(a); err != nil {
			return err
		}
	}
	return d.fault
}

func (d *desk) Parts() []worklist.Part {
	return []worklist.Part{{Name: "nats", Cause: "no connection", Cure: "start it"}, {Name: "work", OK: true}}
}
func (d *desk) Letters(context.Context) ([]worklist.Letter, error) { return d.letters, nil }
func (d *desk) Replay(_ context.Context, id string) error {
	d.replayed = append(d.replayed, id)
	return d.fault
}

func (d *desk) Slice(_ context.Context, _ worklist.Entry, s worklist.SliceRef) ([]byte, error) {
	d.asked = append(d.asked, s)
	if d.fault != nil {
		return nil, d.fault
	}
	return []byte("packed " + s.SOPInstanceUID), nil
}

// office is a board with everything, and a browser that keeps cookies.
type office struct {
	*desk
	shelf  *shelf
	server *httptest.Server
	client *http.Client
	log    *strings.Builder
	who    worklist.Visitor
	noOne  bool
}

func newOffice(t *testing.T, role worklist.Role, change ...func(*worklist.Options)) *office {
	t.Helper()
	o := &office{desk: &desk{}, shelf: sample(), log: &strings.Builder{}, who: worklist.Visitor{Name: "dr. roe", Role: role}}
	options := worklist.Options{
		Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(o.log, nil)), Desk: o.desk, Room: o.desk, Stack: o.desk,
		Visitor: func(*http.Request) (worklist.Visitor, error) {
			if o.noOne {
				return worklist.Visitor{}, worklist.ErrNoVisitor
			}
			return o.who, nil
		},
		Version: "1.2.3", Archive: "https://pacs.example/viewer?StudyInstanceUIDs={study}",
		Evaluation: func() map[string]any { return map[string]any{"studies": map[string]any{"glioma_recall": 0.93}} },
	}
	for _, fn := range change {
		fn(&options)
	}
	board, err := worklist.New(o.shelf, o.shelf, options)
	if err != nil {
		t.Fatal(err)
	}
	o.server = httptest.NewServer(board.Handler())
	t.Cleanup(o.server.Close)
	o.client = o.server.Client()
	if o.client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return o
}

var tokenField = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

// token reads a page and gives its form token.
func (o *office) token(t *testing.T, path string) string {
	t.Helper()
	_, body, _ := get(t, o.server, path)
	found := tokenField.FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("%s has no form token:\n%s", path, body)
	}
	return found[1]
}

func (o *office) post(t *testing.T, path string, header http.Header, values url.Values) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.server.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name := range header {
		request.Header.Set(name, header.Get(name))
	}
	answer, err := o.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestAVerdictReachesTheDesk(t *testing.T) {
	o := newOffice(t, worklist.Reader)
	token := o.token(t, "/study/1.3")
	status, _ := o.post(t, "/study/1.3/assess", nil, url.Values{
		"token": {token}, "finding": {"id-1.3"}, "verdict": {"corrected"}, "label": {"meningioma"}, "note": {" dural tail "}, "user": {"somebody else"},
	})
	if status != http.StatusOK || len(o.taken) != 1 {
		t.Fatalf("status %d, taken %v", status, o.taken)
	}
	a := o.taken[0]
	if a.StudyInstanceUID != "1.3" || a.FindingID != "id-1.3" || a.Verdict != "corrected" || a.Label != "meningioma" || a.Note != "dural tail" || a.User != "dr. roe" {
		t.Errorf("taken %+v: the user is whom access control names", a)
	}
	if !strings.Contains(o.log.String(), `msg=audit act="assess a finding" allowed=true user="dr. roe" role=reader study=1.3`) {
		t.Errorf("the log book lacks the act:\n%s", o.log)
	}
	o.post(t, "/study/1.3/assess", nil, url.Values{"token": {token}, "finding": {"id-1.3"}, "verdict": {"accepted"}, "label": {"meningioma"}})
	if o.taken[1].Label != "" {
		t.Errorf("an accepted finding took the label of the form's menu")
	}
}

func TestFormsThatAreTurnedAway(t *testing.T) {
	cases := []struct {
		name   string
		role   worklist.Role
		header http.Header
		values url.Values // the token is added unless "token" stands in it
		fault  error
		status int
	}{
		{"no token", worklist.Reader, nil, url.Values{"token": {""}}, nil, http.StatusForbidden},
		{"a wrong token", worklist.Reader, nil, url.Values{"token": {strings.Repeat("A", 26)}}, nil, http.StatusForbidden},
		{"another site", worklist.Reader, http.Header{"Sec-Fetch-Site": {"cross-site"}}, url.Values{}, nil, http.StatusForbidden},
		{"another origin", worklist.Reader, http.Header{"Origin": {"https://evil.example"}}, url.Values{}, nil, http.StatusForbidden},
		{"a viewer", worklist.Viewer, nil, url.Values{}, nil, http.StatusForbidden},
		{"a newer finding", worklist.Reader, nil, url.Values{}, worklist.ErrOutdated, http.StatusConflict},
		{"no verdict", worklist.Reader, nil, url.Values{}, worklist.ErrVerdict, http.StatusBadRequest},
		{"the store is away", worklist.Reader, nil, url.Values{}, errors.New("away"), http.StatusServiceUnavailable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t, c.role)
			token := o.token(t, "/")
			o.fault = c.fault
			if !c.values.Has("token") {
				c.values.Set("token", token)
			}
			if status, body := o.post(t, "/study/1.3/assess", c.header, c.values); status != c.status || len(o.taken) > 0 {
				t.Errorf("status %d %q, want %d; taken %v", status, body, c.status, o.taken)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	cases := []struct {
		path          string
		viewer, reads int // status for a viewer, for a reader; an admin may do all
	}{
		{"/", 200, 200},
		{"/study/1.3", 200, 200},
		{"/study/1.3/slice/1/1", 200, 200},
		{"/assessments.csv", 403, 200},
		{"/operations", 403, 403},
	}
	for _, c := range cases {
		for role, want := range map[worklist.Role]int{worklist.Viewer: c.viewer, worklist.Reader: c.reads, worklist.Admin: 200, worklist.Role(0): 403} {
			o := newOffice(t, role)
			if status, _, _ := get(t, o.server, c.path); status != want {
				t.Errorf("%s as %s: status %d, want %d", c.path, role, status, want)
			}
		}
		o := newOffice(t, worklist.Admin)
		o.noOne = true
		if status, body, _ := get(t, o.server, c.path); status != http.StatusUnauthorized || strings.Contains(body, "1.3") {
			t.Errorf("%s for nobody: status %d", c.path, status)
		}
	}
	o := newOffice(t, worklist.Viewer)
	_, body, _ := get(t, o.server, "/study/1.3")
	if strings.Contains(body, "/assess") || strings.Contains(body, "/operations") {
		t.Error("a viewer is offered what a viewer may not do")
	}
}

func TestLookingIsWrittenOnce(t *testing.T) {
	o := newOffice(t, worklist.Viewer)
	o.who.Name = "eve\nmsg=audit"
	for range 3 {
		get(t, o.server, "/study/1.3/slice/1/1")
	}
	if n := strings.Count(o.log.String(), `act="see pixels"`); n != 1 || strings.Contains(o.log.String(), "\nmsg=audit") {
		t.Errorf("%d lines for one look:\n%s", n, o.log)
	}
}

func TestExport(t *testing.T) {
	o := newOffice(t, worklist.Admin)
	o.taken = []worklist.Assessment{
		{
			Judgement:        worklist.Judgement{FindingID: "f", Verdict: "corrected", Label: "meningioma", User: "@roe", Time: now},
			StudyInstanceUID: "1.3", Note: "=HYPERLINK(\"x\")\nline, two", Disposition: neurotriage.GliomaReview, Predicted: "glioma",
			Glioma: 0.91, Scored: true, Threshold: 0.17, Sequence: neurotriage.T1C, Model: "sha256:ab",
		},
		{Judgement: worklist.Judgement{FindingID: "g", Verdict: "rejected", User: "x", Time: now}, StudyInstanceUID: "1.4"},
	}
	_, body, header := get(t, o.server, "/assessments.csv")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 3 || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
		t.Fatalf("%v, %q", err, rows)
	}
	want := []string{
		"2026-03-01T12:00:00Z", "1.3", "f", "corrected", "meningioma", "'@roe", "'=HYPERLINK(\"x\")\nline, two", "glioma_review", "glioma",
		"0.91", "0.17", "T1C", "sha256:ab",
	}
	if fmt.Sprint(rows[1]) != fmt.Sprint(want) || rows[2][9] != "" {
		t.Errorf("rows %q, want %q: no score is empty and not 0", rows[1:], want)
	}
}

func TestOperations(t *testing.T) {
	o := newOffice(t, worklist.Admin)
	o.letters = []worklist.Letter{{ID: "l-1", Reason: neurotriage.CorruptDICOM, Cause: "<script>", Time: now, StudyInstanceUID: "1.2"}}
	verdict := func(finding string, d neurotriage.Disposition, verdict, label string) {
		o.taken = append(o.taken, worklist.Assessment{Judgement: worklist.Judgement{FindingID: finding, Verdict: verdict, Label: label}, Disposition: d})
	}
	verdict("a", neurotriage.GliomaReview, "rejected", "")
	verdict("a", neurotriage.GliomaReview, "accepted", "") // a change of mind: the last one counts
	verdict("b", neurotriage.GliomaReview, "corrected", "meningioma")
	verdict("c", neurotriage.NotFlagged, "corrected", "glioma")
	verdict("d", neurotriage.NotFlagged, "accepted", "")
	verdict("d", neurotriage.NotFlagged, "acknowledged", "")
	_, body, _ := get(t, o.server, "/operations")
	body = regexp.MustCompile(`>\s+<`).ReplaceAllString(body, "><")
	for _, want := range []string{
		"✕ not well", "start it", "1.2.3", "&lt;script&gt;", `value="l-1"`, "corrupt_dicom", "refused: the files are damaged",
		`assessed findings</th><td class="number">4<`, `>2 (50.0 %)<`, `flagged, and a glioma</th><td class="number">1<`,
		`flagged, and no glioma</th><td class="number">1<`, `not flagged, and a glioma</th><td class="number">1<`,
		`last hour</th><td class="number">6</td><td class="number">2</td><td class="number">33.3 %</td><td class="number">2<`,
		"too few studies", "studies glioma recall", "0.93",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the operations page lacks %q", want)
		}
	}
	if status, _ := o.post(t, "/operations/replay", nil, url.Values{"token": {o.token(t, "/operations")}, "letter": {"l-1"}}); status != 200 || fmt.Sprint(o.replayed) != "[l-1]" {
		t.Errorf("status %d, replayed %v", status, o.replayed)
	}
	if status, _ := o.post(t, "/operations/replay", nil, url.Values{"letter": {"l-1"}}); status != http.StatusForbidden || len(o.replayed) != 1 {
		t.Errorf("without a token: status %d, replayed %v", status, o.replayed)
	}
}

func TestDrift(t *testing.T) {
	cases := []struct {
		name           string
		before, recent float64
		want           string
	}{
		{"the same scores", 0.05, 0.05, "no shift"},
		{"other scores", 0.05, 0.75, "shifted: look"},
	}
	for _, c := range cases {
		o := newOffice(t, worklist.Admin)
		o.shelf.entries = nil
		for i := range 120 {
			e := worklist.Entry{StudyInstanceUID: fmt.Sprint("1.", i), State: worklist.Read, Scored: true, Glioma: c.before, Finished: now.Add(-30 * 24 * time.Hour)}
			if i%2 == 0 {
				e.Glioma, e.Finished = c.recent, now.Add(-time.Hour)
			}
			o.shelf.entries = append(o.shelf.entries, e)
		}
		if _, body, _ := get(t, o.server, "/operations"); !strings.Contains(body, c.want) {
			t.Errorf("%s: the page lacks %q", c.name, c.want)
		}
	}
}

func TestTheme(t *testing.T) {
	o := newOffice(t, worklist.Viewer)
	page := func() string {
		answer, err := o.client.Get(o.server.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	if !strings.Contains(page(), `<html lang="en" class="dark">`) {
		t.Error("the page is not dark at first")
	}
	o.post(t, "/theme", nil, url.Values{"token": {tokenField.FindStringSubmatch(page())[1]}, "theme": {"light"}, "back": {"https://evil.example/"}})
	if !strings.Contains(page(), `<html lang="en" class="light">`) {
		t.Error("light does not stay")
	}
}

func TestArchiveLink(t *testing.T) {
	_, body, _ := get(t, newOffice(t, worklist.Viewer).server, "/study/1.3")
	if !strings.Contains(body, `href="https://pacs.example/viewer?StudyInstanceUIDs=1.3"`) {
		t.Error("the study does not lead to the PACS viewer")
	}
}
