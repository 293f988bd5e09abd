package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// Variables that turn the test's program into a daemon that kills itself.
const (
	childState = "NEUROTRIAGE_TEST_CHILD_STATE" // its state directory
	childRoot  = "NEUROTRIAGE_TEST_CHILD_ROOT"
	childKill  = "NEUROTRIAGE_TEST_CHILD_KILL" // an instant, or empty
	childStow  = "NEUROTRIAGE_TEST_CHILD_STOW" // address of a destination, or empty

	childAttempts = 3 // work.max_attempts
)

// instants are where the daemon is killed: while slices are scored, before and
// at several moments while media, finding, alert and worklist entry are stored,
// and after the alert.
var instants = []string{
	"run 1", "run 3", "run 6", "media 0", "media 3", "media 6", "media 10", "media 15", "media 20", "media 30", "media 45", "alert", "settled",
}

// child is a daemon in a process of its own, as main would run it.
func child() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := config.Default()
	cfg.StateDir, cfg.HTTP.Listen, cfg.NATS.Embedded.Listen = os.Getenv(childState), "127.0.0.1:0", "127.0.0.1:0"
	cfg.PACS.Receive.Listen, cfg.PACS.Receive.MinFree = "127.0.0.1:0", 0
	// The end of its line completes a study, never the clock.
	cfg.PACS.Receive.Sources = map[string]config.Source{"mri1": {AETitles: []string{"MRI1"}, Quiet: patientQuiet, Series: []string{"*"}}}
	cfg.Roots, cfg.Work.MaxAttempts = map[string]string{"incoming": os.Getenv(childRoot)}, childAttempts
	if address := os.Getenv(childStow); address != "" {
		cfg.PACS.Destinations = map[string]config.Destination{"shelf": stow(address)}
	}
	killer := newKiller(os.Getenv(childKill))
	d, err := daemon.New(cfg, daemon.Deps{
		OpenRunner: opener(&killingRunner{killer: killer}), Logger: slog.New(slog.NewTextHandler(killer.watch(os.Stderr), nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	d.Tune(func(o *events.Options) {
		quick(o)
		media := o.Media
		if os.Getenv(childStow) != "" {
			media = smallReports
		}
		o.Media = func(r neurotriage.Reading) ([]events.Media, error) {
			made, err := media(r)
			killer.reach("media", 0)
			return made, err
		}
	})
	if err := d.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killer ends the process with SIGKILL at one instant: "run N" is the Nth run
// of the network, "media N" is N milliseconds after the media were made.
type killer struct {
	at     string
	number int
}

func newKiller(instant string) *killer {
	at, number, _ := strings.Cut(instant, " ")
	n, _ := strconv.Atoi(number)
	return &killer{at, n}
}

func (k *killer) reach(at string, number int) {
	switch {
	case at != k.at:
	case at == "media":
		time.AfterFunc(time.Duration(k.number)*time.Millisecond, kill)
		if k.number == 0 {
			kill()
		}
	case number == k.number:
		kill()
	}
}

func kill() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// watch kills when the log tells that an alert is out, or that a study is settled.
func (k *killer) watch(w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		if strings.Contains(string(p), "msg=alert") {
			k.reach("alert", 0)
		}
		if strings.Contains(string(p), "study read") {
			k.reach("settled", 0)
		}
		return n, err
	})
}

type killingRunner struct {
	runner
	killer *killer
	runs   atomic.Int64
}

func (r *killingRunner) Run(ctx context.Context, tensors []float32, n int) (classifier.Output, error) {
	r.killer.reach("run", int(r.runs.Add(1)))
	return r.runner.Run(ctx, tensors, n)
}

// process is a child from the outside.
type process struct {
	cmd     *exec.Cmd
	address daemon.Addresses
	log     *lockedBuffer
}

func startChild(t *testing.T, h *house, instant string) *process {
	t.Helper()
	file := filepath.Join(h.cfg.StateDir, "addresses.json")
	_ = os.Remove(file) // of the child that was killed
	p := &process{cmd: exec.Command(os.Args[0]), log: h.log}
	p.cmd.Env = append(os.Environ(), childState+"="+h.cfg.StateDir, childRoot+"="+h.root, childKill+"="+instant, childStow+"="+h.stow)
	p.cmd.Stderr = h.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	kit.Until(t, "the child is ready", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &p.address) == nil
	})
	return p
}

// submit announces a study to the child and leaves before the child dies.
func (p *process) submit(t *testing.T, job neurotriage.Job) neurotriage.Job {
	t.Helper()
	bus, err := events.Connect(t.Context(), events.Options{URL: p.address.NATS, Instance: "client"})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	job, err = bus.Submit(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// end waits for the child's end and says whether it was killed.
func (p *process) end(t *testing.T) (killed bool) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if err != nil {
		t.Errorf("the child ended with %v:\n%s", err, p.log)
	}
	return false
}

// kill -9 at any instant of the work, then a restart: exactly one finding, one
// alert, one worklist entry, and nothing left in the queue.
func TestKilledAtAnyInstant(t *testing.T) {
	for _, instant := range instants {
		t.Run(instant, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			job := h.put(headStudy("killed", 6, true))
			first := startChild(t, h, instant)
			job = first.submit(t, job)
			if !first.end(t) {
				t.Fatalf("the child was not killed:\n%s", h.log)
			}
			second := startChild(t, h, "")
			c := connect(t, second.address.NATS)
			f := c.outcome(job)[0]
			kit.Until(t, "the queue is empty", func() bool {
				stream, err := c.js.Stream(t.Context(), "IMAGING")
				return err == nil && stream.CachedInfo().State.Msgs == 0
			})
			wantExactlyOne(t, c, f)
			if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if second.end(t) {
				t.Error("the second child was killed")
			}
		})
	}
}

// A study that kills every daemon that touches it is given up, and the next
// daemon lives.
func TestPoisonousStudy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := startChild(t, h, "run 1")
	job := first.submit(t, h.put(headStudy("poison", 6, true)))
	for range 3*childAttempts - 1 { // crashes have three times the patience of told faults
		if !first.end(t) {
			t.Fatalf("the child was not killed:\n%s", h.log)
		}
		first = startChild(t, h, "run 1")
	}
	if !first.end(t) {
		t.Fatalf("the child was not killed:\n%s", h.log)
	}
	survivor := startChild(t, h, "run 1")
	c := connect(t, survivor.address.NATS)
	if f := c.outcome(job)[0]; f.Reason != neurotriage.GaveUp || f.Status != neurotriage.StatusRefused {
		t.Errorf("finding %+v", f)
	}
	if letters := c.letters("gave_up", job.StudyInstanceUID); len(letters) != 1 {
		t.Errorf("dead letters %s", letters)
	}
	if err := survivor.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if survivor.end(t) {
		t.Error("the last child was killed too")
	}
}

// wantExactlyOne checks all that one flagged study may leave behind.
func wantExactlyOne(t *testing.T, c *client, f neurotriage.Finding) {
	t.Helper()
	if findings := c.findingsOf(f.StudyInstanceUID); len(findings) != 1 || findings[0].ID != f.ID || !f.Flags.GliomaReview || f.Replaces != "" {
		t.Errorf("findings %+v, want %s alone", findings, f.ID)
	}
	alerts := c.messages("TRIAGE", "triage.alert.")
	if len(alerts) != 1 || len(alerts["triage.alert.glioma_review."+f.ID]) != 1 {
		t.Errorf("%d subjects with alerts, want one of the review", len(alerts))
	}
	entry, found, err := c.bus.Entry(t.Context(), f.StudyInstanceUID)
	if err != nil || !found || entry.State != events.Read || entry.Finding == nil || entry.Finding.ID != f.ID || !entry.WasFlagged {
		t.Errorf("worklist entry %+v (found %v, err %v)", entry, found, err)
	}
	if dead := c.messages("TRIAGE_DEADLETTER", ""); len(dead) != 0 {
		t.Errorf("dead letters %v", dead)
	}
}
