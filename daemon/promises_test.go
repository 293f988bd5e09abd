package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"neurotriage"
	"neurotriage/daemon"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// outage is how long NATS and the root stay away: two seconds, or what the
// variable says (20s for the long run).
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("NEUROTRIAGE_TEST_OUTAGE")
	if text == "" {
		return 2 * time.Second
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return long
}

// outside is a NATS server that the daemons do not own.
func outside(t *testing.T) *kit.NATSServer {
	return kit.NATS(t, func(o *server.Options) { o.SyncAlways = true })
}

func TestTwoDaemonsOneFinding(t *testing.T) {
	nats := outside(t)
	first, second := newHouse(t), newHouse(t)
	first.cfg.NATS.URL, second.cfg.NATS.URL = nats.URL, nats.URL
	second.cfg.Roots, second.root = first.cfg.Roots, first.root
	slow := &runner{delay: 10 * time.Millisecond}
	first.start(slow)
	second.start(slow)
	c := connect(t, nats.URL)
	job := first.put(headStudy("twice", 6, true))
	same := []neurotriage.Job{c.submit(job), c.submit(job), c.submit(job), c.submit(job)} // four events, four workers
	findings := c.outcome(same...)
	again := c.outcome(c.submit(job))[0] // the server's duplicate window plays no part: the event is another
	for _, f := range append(findings, again) {
		if f.ID != findings[0].ID {
			t.Errorf("findings %s and %s", f.ID, findings[0].ID)
		}
	}
	wantExactlyOne(t, c, again)
	if read := first.log.count("study read") + second.log.count("study read"); read < 1 {
		t.Error("nobody read the study")
	}
}

func TestStudyThatGainsASlice(t *testing.T) {
	cases := []struct {
		name          string
		before, after bool // lesion
	}{
		{"the flag stays", true, true}, {"the flag is set", false, true}, {"the flag is taken back", true, false},
	}
	h := newHouse(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			name := fmt.Sprintf("grows-%d", i)
			former := c.outcome(c.submit(h.put(headStudy(name, 6, tc.before))))[0]
			if err := os.RemoveAll(filepath.Join(h.root, name)); err != nil {
				t.Fatal(err)
			}
			grown := c.outcome(c.submit(h.put(headStudy(name, 7, tc.after))))[0]
			if grown.ID == former.ID || grown.Replaces != former.ID {
				t.Errorf("finding %s replaces %q, want %s", grown.ID, grown.Replaces, former.ID)
			}
			if n := len(c.findingsOf(grown.StudyInstanceUID)); n != 2 {
				t.Errorf("%d findings, want 2", n)
			}
			changed := len(c.messages("TRIAGE", "triage.alert.changed."+grown.ID))
			if want := number(tc.before != tc.after); changed != want {
				t.Errorf("%d alerts of a changed flag, want %d", changed, want)
			}
			entry, _, err := c.bus.Entry(t.Context(), grown.StudyInstanceUID)
			if err != nil || entry.Finding == nil || entry.Finding.ID != grown.ID || !entry.WasFlagged {
				t.Errorf("worklist %+v, %v: the newer finding counts, and a flag is never forgotten", entry, err)
			}
		})
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestNATSGoesAwayInTheMiddle(t *testing.T) {
	nats := outside(t)
	h := newHouse(t)
	h.cfg.NATS.URL = nats.URL
	held := &runner{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	d := h.start(held)
	c := connect(t, nats.URL)
	var jobs []neurotriage.Job
	for i := range 6 {
		jobs = append(jobs, c.submit(h.put(headStudy(fmt.Sprintf("outage-%d", i), 6, true))))
	}
	<-held.begun
	nats.Stop()
	close(held.hold) // readings are done and cannot be delivered
	kit.Until(t, "the daemon is not ready", func() bool { status, _ := get(t, d, "/readyz"); return status == 503 })
	time.Sleep(outage(t)) // the length of the outage is the test's subject
	if status, _ := get(t, d, "/healthz"); status != 200 {
		t.Errorf("/healthz says %d while only NATS is away", status)
	}
	nats.Start(t)
	wantAllRead(t, h, d, connect(t, nats.URL), jobs)
	for _, line := range []string{"the connection to nats is lost", "the connection to nats is back"} {
		if n := h.log.count(line); n != 1 {
			t.Errorf("%d lines with %q, want 1:\n%s", n, line, h.log)
		}
	}
}

func TestRootGoesAway(t *testing.T) {
	for _, how := range []string{"renamed", "emptied"} {
		t.Run(how, func(t *testing.T) {
			h := newHouse(t)
			held := &runner{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
			d := h.start(held)
			c := connect(t, d.Addresses().NATS)
			var jobs []neurotriage.Job
			for i := range 6 {
				jobs = append(jobs, c.submit(h.put(headStudy(fmt.Sprintf("unmount-%d", i), 6, true))))
			}
			<-held.begun
			if err := os.Rename(h.root, h.root+".away"); err != nil {
				t.Fatal(err)
			}
			if how == "emptied" { // a mount point under a share that is gone
				if err := os.Mkdir(h.root, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			close(held.hold)
			kit.Until(t, "the work is paused", func() bool {
				status, body := get(t, d, "/readyz")
				return status == 503 && strings.Contains(body, `paused for`) && strings.Contains(body, `"cure"`)
			})
			time.Sleep(outage(t)) // the length of the outage is the test's subject
			_ = os.Remove(h.root)
			if err := os.Rename(h.root+".away", h.root); err != nil {
				t.Fatal(err)
			}
			wantAllRead(t, h, d, c, jobs)
			for _, line := range []string{"work paused", "well again"} {
				if n := h.log.count(line); n != 1 {
					t.Errorf("%d lines with %q, want 1:\n%s", n, line, h.log)
				}
			}
		})
	}
}

// wantAllRead checks that an outage lost, refused and counted nothing.
func wantAllRead(t *testing.T, h *house, d *daemon.Daemon, c *client, jobs []neurotriage.Job) {
	t.Helper()
	for _, f := range c.outcome(jobs...) {
		if f.Disposition != neurotriage.GliomaReview {
			t.Errorf("finding %+v", f)
		}
		if n := len(c.findingsOf(f.StudyInstanceUID)); n != 1 {
			t.Errorf("%d findings of study %s", n, f.StudyInstanceUID)
		}
	}
	if dead := c.messages("TRIAGE_DEADLETTER", ""); len(dead) != 0 {
		t.Errorf("dead letters %v", dead)
	}
	kit.Until(t, "the daemon is ready again", func() bool { status, _ := get(t, d, "/readyz"); return status == 200 })
	if h.log.count("study refused") != 0 || h.log.count("counts=true") != 0 {
		t.Errorf("the outage was held against a study:\n%s", h.log)
	}
}

// A full disk of the state directory pauses the work and is over by itself.
func TestDiskFull(t *testing.T) {
	h := newHouse(t)
	free := make(chan uint64, 1)
	free <- 1 << 40
	left := func() uint64 { n := <-free; free <- n; return n }
	d := h.start(&runner{}, func(d *daemon.Daemon) { d.SetFree(left) })
	c := connect(t, d.Addresses().NATS)
	c.outcome(c.submit(h.put(headStudy("before", 6, true))))
	<-free
	free <- 1 << 20
	first := c.submit(h.put(headStudy("during-1", 6, true))) // a worker waits for it already and may take it
	second := c.submit(h.put(headStudy("during-2", 6, true)))
	third := c.submit(h.put(headStudy("during-3", 6, true)))
	kit.Until(t, "the work is paused", func() bool { _, body := get(t, d, "/readyz"); return strings.Contains(body, "paused for") })
	if _, body := get(t, d, "/readyz"); !strings.Contains(body, "has 1 MB left") {
		t.Errorf("/readyz does not tell about the disk: %s", body)
	}
	<-free
	free <- 1 << 40
	wantAllRead(t, h, d, c, []neurotriage.Job{first, second, third})
}

// A root that this daemon lacks is left to one that has it.
func TestRootOfAnotherDaemon(t *testing.T) {
	nats := outside(t)
	first, second := newHouse(t), newHouse(t)
	first.cfg.NATS.URL, second.cfg.NATS.URL = nats.URL, nats.URL
	first.cfg.Roots = map[string]string{"elsewhere": t.TempDir()}
	first.start(&runner{})
	c := connect(t, nats.URL)
	job := c.submit(second.put(headStudy("far", 6, true)))
	kit.Until(t, "the first daemon hands it back", func() bool {
		entry, found, err := c.bus.Entry(t.Context(), job.StudyInstanceUID)
		return err == nil && found && entry.State == events.Waiting && strings.Contains(entry.Note, "elsewhere")
	})
	second.start(&runner{})
	if f := c.outcome(job)[0]; f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
}

// A study that is announced before it is copied is read once it is there.
func TestStudyThatArrivesLate(t *testing.T) {
	h := newHouse(t)
	h.cfg.Work.NotFoundGrace = time.Minute
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	late := headStudy("late", 6, true)
	job := c.submit(neurotriage.Job{
		StudyInstanceUID: kit.UID("late"), Location: neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: "late"},
	})
	kit.Until(t, "it is handed back", func() bool {
		entry, found, err := c.bus.Entry(t.Context(), job.StudyInstanceUID)
		return err == nil && found && entry.State == events.Waiting && entry.Note != ""
	})
	h.put(late)
	if f := c.outcome(job)[0]; f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
}

// A network that fails again and again: the attempts grow apart, and the study
// ends refused with the cause in its dead letter.
func TestGivesUp(t *testing.T) {
	h := newHouse(t)
	h.cfg.Work.MaxAttempts = 2
	d := h.start(&runner{fail: func() error { return fmt.Errorf("the network says no") }})
	c := connect(t, d.Addresses().NATS)
	f := c.outcome(c.submit(h.put(headStudy("hopeless", 6, true))))[0]
	if f.Reason != neurotriage.GaveUp {
		t.Errorf("finding %+v", f)
	}
	letters := c.letters("gave_up", f.StudyInstanceUID)
	if len(letters) != 1 || !strings.Contains(string(letters[0]), "the network says no") {
		t.Errorf("dead letters %s", letters)
	}
}
