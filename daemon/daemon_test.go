package daemon_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/internal/kit"
)

func TestFromAnnouncementToFinding(t *testing.T) {
	h := newHouse(t)
	h.pictures = true
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	flagged, clear := c.submit(h.put(headStudy("flagged", 6, true))), c.submit(h.put(headStudy("clear", 6, false)))
	findings := c.outcome(flagged, clear)
	for i, want := range []neurotriage.Disposition{neurotriage.GliomaReview, neurotriage.NotFlagged} {
		f := findings[i]
		if f.Disposition != want || f.Status != neurotriage.StatusRead || f.Model.Runtime != "cpu" {
			t.Errorf("finding %+v, want %s", f, want)
		}
	}
	alerts := c.messages("TRIAGE", "triage.alert.")
	if len(alerts) != 1 || len(alerts["triage.alert.glioma_review."+findings[0].ID]) != 1 {
		t.Errorf("alerts %v, want one for %s", alerts, findings[0].ID)
	}
	wantPage(t, d, flagged.StudyInstanceUID)
	wantMetrics(t, d)
}

func wantPage(t *testing.T, d *daemon.Daemon, uid string) {
	t.Helper()
	for path, words := range map[string][]string{
		"/":                                      {uid, "glioma", "not a diagnosis"},
		"/study/" + uid:                          {uid, "key/1.png"},
		"/study/" + uid + "/finding.json":        {`"disposition":`},
		"/study/" + uid + "/key/1.png":           {"PNG"},
		"/v1/studies":                            {uid, `"total": 2`, `"glioma_review"`},
		"/v1/studies?disposition=not_flagged":    {`"total": 1`},
		"/v1/studies?per_page=1&page=2":          {`"pages": 2`},
		"/v1/studies/" + uid:                     {uid, `"full_finding": {`, `"key_slices"`},
		"/readyz":                                {`"ready": true`, `"root incoming"`, `"model"`, `"storage"`, `"nats"`, `"queue"`},
		"/healthz":                               {`"alive": true`},
		"/study/" + uid + "/key/1.png?whatever=": {"PNG"},
	} {
		status, body := get(t, d, path)
		if status != 200 {
			t.Errorf("%s: status %d: %.200s", path, status, body)
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				t.Errorf("%s lacks %q: %.600s", path, word, body)
			}
		}
	}
	for path, want := range map[string]int{
		"/v1/studies/9.9.9": 404, "/v1/studies/x": 400, "/v1/studies?page=0": 400, "/v1/studies?per_page=1001": 400, "/v2": 404,
	} {
		if status, body := get(t, d, path); status != want {
			t.Errorf("%s: status %d, want %d: %.200s", path, status, want, body)
		}
	}
}

func wantMetrics(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	var body string
	kit.Until(t, "both studies are settled and counted", func() bool {
		_, body = get(t, d, "/metrics")
		return strings.Contains(body, `neurotriage_stage_seconds_count{stage="read"} 2`)
	})
	for _, line := range []string{
		`neurotriage_studies_total{disposition="glioma_review"} 1`, `neurotriage_studies_total{disposition="not_flagged"} 1`,
		`neurotriage_studies_total{disposition="refused"} 0`, `neurotriage_refusals_total{reason="gave_up"} 0`,
		"neurotriage_slices_total 12", `neurotriage_stage_seconds_count{stage="read"} 2`, `neurotriage_stage_seconds_count{stage="wait"} 2`,
		"neurotriage_paused 0", `neurotriage_model_info{digest="sha256:`, "neurotriage_events_queue_depth", "neurotriage_events_heartbeat_timestamp_seconds",
		`neurotriage_build_info{version="1.2.3"} 1`, "neurotriage_glioma_review_threshold 0.2",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}

func TestStartAndStop(t *testing.T) {
	h := newHouse(t)
	d := h.start(&runner{})
	var stored daemon.Addresses
	text, err := os.ReadFile(filepath.Join(h.cfg.StateDir, "addresses.json"))
	if err != nil || json.Unmarshal(text, &stored) != nil {
		t.Fatalf("addresses.json: %v: %s", err, text)
	}
	if stored.HTTP != d.Addresses().HTTP || stored.NATS != d.Addresses().NATS || strings.HasSuffix(stored.HTTP, ":0/") {
		t.Errorf("addresses.json holds %+v, the daemon says %+v", stored, d.Addresses())
	}
	for _, word := range []string{stored.HTTP, stored.NATS, h.cfg.StateDir, "fake 2026.1", "not a diagnosis", "cpu", h.root} {
		if !strings.Contains(d.Banner(), word) {
			t.Errorf("the banner lacks %q:\n%s", word, d.Banner())
		}
	}
	if err := d.Start(t.Context()); err == nil {
		t.Error("a second start is no error")
	}
	for range 2 {
		if err := d.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(h.cfg.StateDir, "addresses.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("addresses.json after the stop: %v", err)
	}
	if err := d.Start(t.Context()); err == nil {
		t.Error("a start after the stop is no error")
	}
	h.start(&runner{}) // the state directory is free again, with all that it holds
}

func TestStopBeforeStart(t *testing.T) {
	d, err := daemon.New(newHouse(t).cfg, daemon.Deps{OpenRunner: opener(&runner{})})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

func TestTwoDaemonsInOneProcess(t *testing.T) {
	first, second := newHouse(t), newHouse(t)
	a, b := first.start(&runner{}), second.start(&runner{})
	for _, side := range []struct {
		h *house
		d *daemon.Daemon
	}{{first, a}, {second, b}} {
		c := connect(t, side.d.Addresses().NATS)
		if f := c.outcome(c.submit(side.h.put(headStudy("one", 4, true))))[0]; f.Disposition != neurotriage.GliomaReview {
			t.Errorf("finding %+v", f)
		}
	}
}

func TestOneDaemonAStateDirectory(t *testing.T) {
	h := newHouse(t)
	h.start(&runner{})
	second, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: opener(&runner{})})
	if err != nil {
		t.Fatal(err)
	}
	err = second.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "state_dir") || !strings.Contains(err.Error(), "process id") {
		t.Errorf("start gives %v", err)
	}
}

func TestFaultsOfTheStart(t *testing.T) {
	taken := newHouse(t)
	d := taken.start(&runner{})
	natsPort, httpPort := strings.TrimPrefix(d.Addresses().NATS, "nats://"), strings.Trim(strings.TrimPrefix(d.Addresses().HTTP, "http://"), "/")
	high := 0.9
	cases := []struct {
		name string
		set  func(c *config.Config)
		want string
	}{
		{"the port of nats is taken", func(c *config.Config) { c.NATS.Embedded.Listen = natsPort }, "cannot listen on " + natsPort},
		{"the port of http is taken", func(c *config.Config) { c.HTTP.Listen = httpPort }, "http.listen"},
		{"no server where nats.url says", func(c *config.Config) { c.NATS.URL = "nats://127.0.0.1:1" }, "nats.url"},
		{"a threshold above the card's", func(c *config.Config) { c.Model.Thresholds.GliomaReview = &high }, "accept_lower_recall"},
		{"a model that does not open", func(*config.Config) {}, "no such model"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			c.set(&h.cfg)
			open := opener(&runner{})
			if c.want == "no such model" {
				open = failingOpener
			}
			d, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: open})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("run gives %v, want %q", err, c.want)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("it took %s", took)
			}
			left, err := os.ReadDir(h.cfg.StateDir)
			for _, entry := range left {
				if entry.Name() == "addresses.json" {
					t.Error("a daemon that did not start left its address")
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	var fault *config.FaultError
	h := newHouse(t)
	h.cfg.Model.Thresholds.GliomaReview = &high
	wrong, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: opener(&runner{})})
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Start(t.Context()); !errors.As(err, &fault) {
		t.Errorf("start gives %v, want a fault of the configuration (exit code 2)", err)
	}
}

func TestLowerRecallStandsInEveryFinding(t *testing.T) {
	h := newHouse(t)
	high := 0.9
	h.cfg.Model.Thresholds.GliomaReview, h.cfg.Model.AcceptLowerRecall = &high, true
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	read := c.submit(h.put(headStudy("read", 4, true)))
	refused := c.submit(neurotriage.Job{
		StudyInstanceUID: "1.2.3", Location: neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: "nowhere"},
	})
	for _, f := range c.outcome(read, refused) {
		if len(f.Warnings) == 0 || !strings.Contains(strings.Join(f.Warnings, " "), "threshold 0.9") || f.Thresholds.GliomaReview != 0.9 {
			t.Errorf("finding %+v", f)
		}
	}
	if h.log.count("audit=true") != 1 {
		t.Errorf("no audit line:\n%s", h.log)
	}
}

// A stop in the middle of a study is fast, the study is handed back without an
// attempt spent, and the next daemon ends it.
func TestStopInTheMiddleOfAStudy(t *testing.T) {
	h := newHouse(t)
	slow := &runner{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	first := h.start(slow)
	c := connect(t, first.Addresses().NATS)
	job := c.submit(h.put(headStudy("slow", 4, true)))
	<-slow.begun
	began := time.Now()
	if err := first.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the stop took %s", took)
	}
	second := h.start(&runner{})
	c = connect(t, second.Addresses().NATS)
	f := c.outcome(job)[0]
	if f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
	kit.Until(t, "the study's line is written", func() bool { return h.log.count("study read") == 1 })
	if h.log.count("attempt=1 ") != 1 {
		t.Errorf("the stop cost an attempt:\n%s", h.log)
	}
}

func TestStopIsBounded(t *testing.T) {
	h := newHouse(t)
	h.cfg.Work.ShutdownTimeout = time.Second
	goOn := make(chan struct{})
	stuck := &runner{begun: make(chan struct{}, 1), fail: func() error { <-goOn; return errors.New("too late") }}
	d, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: opener(stuck)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := connect(t, d.Addresses().NATS)
	c.submit(h.put(headStudy("stuck", 4, true)))
	<-stuck.begun
	began := time.Now()
	err = d.Stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if err == nil || !strings.Contains(err.Error(), "still busy") {
		t.Errorf("stop gives %v", err)
	}
	if again := d.Stop(); !errors.Is(again, err) {
		t.Errorf("a second stop gives %v", again)
	}
	close(goOn)
}

func TestPatientStaysInside(t *testing.T) {
	h := newHouse(t)
	h.pictures = true
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	s := headStudy("marked", 4, true)
	s.PatientName, s.PatientID, s.BirthDate = "Zzyzx^Quux", "PATID4711", "19511213"
	other := headStudy("marked-refused", 4, true)
	other.PatientName, other.PatientID = "Zzyzx^Quux", "PATID4711"
	other.Series = append(other.Series, headStudy("x", 2, true).Series...)
	other.Series[1].Extra = []kit.Element{{Tag: 0x00100020, VR: "LO", Value: "PATID4712"}, {Tag: 0x00100010, VR: "PN", Value: "Zzyzx^Other"}}
	c.outcome(c.submit(h.put(s)), c.submit(h.put(other)))
	_, metrics := get(t, d, "/metrics")
	_, page := get(t, d, "/study/"+kit.UID("marked"))
	_, api := get(t, d, "/v1/studies/"+kit.UID("marked"))
	places := map[string]string{"the log": h.log.String(), "the metrics": metrics, "the page": page, "the api": api}
	for _, stream := range []string{"TRIAGE", "TRIAGE_DEADLETTER", "KV_triage_worklist"} {
		places[stream] = c.raw(stream)
	}
	inside := ""
	for name, text := range c.allMedia() {
		// What goes to the archive names the patient, and no page shows it to
		// those who may not know (docs/REPORTS.md).
		if strings.HasSuffix(name, ".dcm") || strings.HasSuffix(name, "/study.json") {
			inside += text
			continue
		}
		places[name] = text
	}
	if !strings.Contains(inside, "Zzyzx") || strings.Contains(inside, "Zzyzx^Other") {
		t.Error("the report lacks its patient, or one was made of a study of two")
	}
	for place, text := range places {
		if len(text) == 0 {
			t.Errorf("%s is empty: nothing was looked at", place)
		}
		for _, secret := range []string{"Zzyzx", "PATID471", "19511213"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q stands in %s", secret, place)
			}
		}
	}
}
