package daemon_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/alert"
	"neurotriage/config"
	"neurotriage/events"
)

// hook is a receiver of webhooks that can be down.
type hook struct {
	mu     sync.Mutex
	down   bool
	mute   bool // takes messages and does not answer
	tried  int
	alerts []alert.Alert
	ids    []string // of the messages
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.tried++
	if h.mute {
		defer func() { <-r.Context().Done() }()
	}
	defer h.mu.Unlock()
	if h.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var body struct{ Alerts []alert.Alert }
	text, _ := io.ReadAll(r.Body)
	if json.Unmarshal(text, &body) != nil || r.Header.Get("webhook-signature") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.alerts, h.ids = append(h.alerts, body.Alerts...), append(h.ids, r.Header.Get("webhook-id"))
}

// about gives the alerts about a finding so far, and how often somebody tried.
func (h *hook) about(finding string) (found []alert.Alert, tried int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.alerts {
		if a.FindingID == finding {
			found = append(found, a)
		}
	}
	return found, h.tried
}

func (h *hook) put(down, mute bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down, h.mute = down, mute
}

// open makes the hook a destination.
func (h *hook) open(t *testing.T) config.AlertDestination {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.AlertDestination{Kind: "webhook", URL: server.URL, SecretFile: secret, QuietBreaks: []string{"glioma_review"}}
}

// patiently is kit.Until for what may have to wait for a back-off that a slow
// machine has let grow.
func patiently(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after two minutes still not so: %s", what)
		}
	}
}

// TestAlertsArrive: a flagged study rings at once where it is told of, not where
// only changes are, and names nobody.
func TestAlertsArrive(t *testing.T) {
	h := newHouse(t)
	told, changes := &hook{}, &hook{}
	only := changes.open(t)
	only.Alerts = []string{"changed"}
	h.cfg.Alert.Link = "https://triage.example/studies/{study}"
	h.cfg.Alert.Destinations = map[string]config.AlertDestination{"told": told.open(t), "changes": only}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	job := h.put(headStudy("rings", 6, true))
	job.AccessionNumber, job.Priority = "ACC-1", neurotriage.Urgent
	f := c.outcome(c.submit(job))[0]
	patiently(t, "the alert arrives", func() bool { got, _ := told.about(f.ID); return len(got) > 0 })
	got, _ := told.about(f.ID)
	one := got[0]
	if len(got) != 1 || one.Kind != alert.Review || one.StudyInstanceUID != f.StudyInstanceUID || one.Priority != neurotriage.Urgent ||
		one.Probability == nil || one.Link != "https://triage.example/studies/"+f.StudyInstanceUID || one.Key != f.ID {
		t.Errorf("alerts %+v", got)
	}
	if one.AccessionNumber != "" || one.Patient != nil {
		t.Errorf("the alert names %q %+v", one.AccessionNumber, one.Patient)
	}
	if got, tried := changes.about(f.ID); len(got)+tried > 0 {
		t.Errorf("who is told of changes only got %+v", got)
	}
}

// TestAlertsNameThePatient where the configuration lets them.
func TestAlertsNameThePatient(t *testing.T) {
	h := newHouse(t)
	h.pictures = true // the headers are stored with them
	told := &hook{}
	h.cfg.Alert.Patient = true
	h.cfg.Alert.Destinations = map[string]config.AlertDestination{"told": told.open(t)}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	job := h.put(headStudy("named", 6, true))
	job.AccessionNumber = "ACC-1"
	f := c.outcome(c.submit(job))[0]
	patiently(t, "the alert arrives", func() bool { got, _ := told.about(f.ID); return len(got) > 0 })
	got, _ := told.about(f.ID)
	if got[0].AccessionNumber != "ACC-1" || got[0].Patient == nil || got[0].Patient.Name != "Kit^Patient" {
		t.Errorf("the alert names %q %+v", got[0].AccessionNumber, got[0].Patient)
	}
}

// TestAlertsOutliveTheDaemon: an alert whose receiver is down waits through a
// restart and arrives once.
func TestAlertsOutliveTheDaemon(t *testing.T) {
	h := newHouse(t)
	told := &hook{down: true}
	h.cfg.Alert.Destinations = map[string]config.AlertDestination{"told": told.open(t)}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	f := c.outcome(c.submit(h.put(headStudy("waits", 6, true))))[0]
	patiently(t, "somebody tried", func() bool { _, tried := told.about(""); return tried > 0 })
	c.bus.Close()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	told.put(false, false)
	h.start(&runner{})
	patiently(t, "the alert arrives", func() bool { got, _ := told.about(f.ID); return len(got) > 0 })
	if got, _ := told.about(f.ID); len(got) != 1 || got[0].Key != f.ID {
		t.Errorf("alerts %+v", got)
	}
}

// TestAlertsRepeatWithTheirKey: the daemon ends when the receiver has taken an
// alert and has not said so. It is sent again, and can be known for a repeat.
func TestAlertsRepeatWithTheirKey(t *testing.T) {
	h := newHouse(t)
	told := &hook{mute: true}
	h.cfg.Alert.Destinations = map[string]config.AlertDestination{"told": told.open(t)}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	f := c.outcome(c.submit(h.put(headStudy("twice", 6, true))))[0]
	patiently(t, "the alert arrives", func() bool { got, _ := told.about(f.ID); return len(got) > 0 })
	c.bus.Close()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	told.put(false, false)
	h.start(&runner{})
	patiently(t, "the alert arrives again", func() bool { got, _ := told.about(f.ID); return len(got) > 1 })
	got, _ := told.about(f.ID)
	if got[0].Key != got[1].Key || told.ids[0] != told.ids[1] {
		t.Errorf("alerts %+v in messages %v", got, told.ids)
	}
}

// TestAlertsEndWithAPerson: reminders of a study end once somebody has
// acknowledged it, and go on for one that nobody has, as its escalation does.
func TestAlertsEndWithAPerson(t *testing.T) {
	h := newHouse(t)
	told, boss := &hook{}, &hook{}
	reminded, escalated := told.open(t), boss.open(t)
	reminded.Repeat, escalated.After = time.Second, 2*time.Second
	h.cfg.Alert.Destinations = map[string]config.AlertDestination{"told": reminded, "boss": escalated}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	seen := c.outcome(c.submit(h.put(headStudy("seen", 6, true))))[0]
	patiently(t, "the worklist shows it", func() bool {
		_, err := c.bus.Assess(t.Context(), events.Assessment{
			FindingID: seen.ID, StudyInstanceUID: seen.StudyInstanceUID, Verdict: events.Acknowledged, User: "roe",
		})
		return err == nil
	})
	before, _ := told.about(seen.ID)
	unseen := c.outcome(c.submit(h.put(headStudy("unseen", 6, true))))[0]
	patiently(t, "reminders and an escalation of the study that nobody saw", func() bool {
		first, _ := told.about(unseen.ID)
		second, _ := boss.about(unseen.ID)
		return len(first) > 3 && len(second) == 1
	})
	keys := map[string]bool{}
	reminders, _ := told.about(unseen.ID)
	for _, a := range reminders {
		if keys[a.Key] || !strings.HasPrefix(a.Key, unseen.ID) {
			t.Errorf("key %s again", a.Key)
		}
		keys[a.Key] = true
	}
	// One may have been on its way.
	if after, _ := told.about(seen.ID); len(after) > len(before)+1 {
		t.Errorf("%d alerts of the study before it was acknowledged, %d after", len(before), len(after))
	}
}

// TestAlertsNeedTheirFiles stops the start with the key that is wrong.
func TestAlertsNeedTheirFiles(t *testing.T) {
	for want, c := range map[string]config.AlertDestination{
		"alert.destinations.x.secret_file": {Kind: "webhook", URL: "https://x.example/", SecretFile: "/does/not/exist"},
		"quiet_hours":                      {Kind: "mail", Address: "x:25", Security: "none", From: "a@b.example", To: []string{"c@d.example"}, QuietHours: []string{"00:00-24:00"}},
		"receivers":                        {Kind: "mail", Address: "x:25", Security: "none", From: "a@b.example", To: []string{"nobody"}},
	} {
		h := newHouse(t)
		h.cfg.Alert.Destinations = map[string]config.AlertDestination{"x": c}
		if err := h.fails(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
