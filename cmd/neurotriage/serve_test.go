package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/daemon"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// served is a daemon that runs in the background of a test.
type served struct {
	*bench
	out, err *locked
	at       daemon.Addresses
	end      context.CancelFunc
	done     chan int
}

// serve starts a daemon on free ports and waits until it is ready.
func (b *bench) serve(args ...string) *served {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{bench: b, out: &locked{}, err: &locked{}, end: cancel, done: make(chan int, 1)}
	line := append([]string{"serve", "--set", "pacs.receive.listen=127.0.0.1:0", "--set", "pacs.receive.min_free=0", "--set", "http.listen=127.0.0.1:0", "--set", "nats.embedded.listen=127.0.0.1:0"}, args...)
	go func() { s.done <- b.start(ctx, s.out, s.err, line) }()
	b.t.Cleanup(func() { cancel(); <-s.done })
	kit.Until(b.t, "the daemon is ready", func() bool {
		select {
		case code := <-s.done:
			b.t.Fatalf("the daemon ended with %d: %s", code, s.err)
		default:
		}
		text, err := os.ReadFile(filepath.Join(b.state, "neurotriage", "addresses.json"))
		return err == nil && json.Unmarshal(text, &s.at) == nil && strings.Contains(s.err.String(), "is ready")
	})
	return s
}

// stop ends the daemon and gives its exit code.
func (s *served) stop() int {
	s.t.Helper()
	s.end()
	select {
	case code := <-s.done:
		s.done <- code // for the clean-up
		return code
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the daemon does not end: %s", s.err)
		return -1
	}
}

func TestServeSubmitWatchAndStop(t *testing.T) {
	b := newBench(t)
	root := t.TempDir()
	if err := brain("below", "Gadovist").WriteDir(filepath.Join(root, "s1")); err != nil {
		t.Fatal(err)
	}
	s := b.serve("--set", "roots=incoming="+root)

	watching, endWatch := context.WithCancel(t.Context())
	var seen locked
	watched := make(chan int, 1)
	go func() { watched <- b.start(watching, &seen, &locked{}, []string{"watch", "--json"}) }()
	// The watch tells nobody when it has begun, so studies come until one is seen.
	for i := 0; seen.String() == ""; i++ {
		b.run("submit", place(t, brain("probe"+string(rune('a'+i)), "Gadovist")), "--wait=20s").want(t, exitDone)
	}

	t.Run("upload, finding as JSON", func(t *testing.T) {
		got := b.run("submit", place(t, brain("sent", "Gadovist")), "--wait=20s").want(t, exitDone)
		conform(t, "finding.v1.json", got.out)
		f := decode[neurotriage.Finding](t, got.out)
		if f.StudyInstanceUID != kit.UID("sent") || f.Disposition != neurotriage.GliomaReview {
			t.Errorf("finding %+v", f)
		}
	})
	t.Run("below a root, event names the place", func(t *testing.T) {
		got := b.run("submit", filepath.Join(root, "s1"), "--set", "roots=incoming="+root, "--priority", "stat").want(t, exitDone)
		job := decode[neurotriage.Job](t, got.out)
		want := neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: "s1/S001"}
		if job.Location != want || job.Priority != neurotriage.Stat || job.EventID == "" {
			t.Errorf("job %+v", job)
		}
		kit.Until(t, "the watch shows the study", func() bool { return strings.Contains(seen.String(), kit.UID("below")) })
	})
	t.Run("announced again, the same finding", func(t *testing.T) {
		dir := place(t, brain("sent", "Gadovist"))
		first := decode[neurotriage.Finding](t, b.run("submit", dir, "--wait=20s").want(t, exitDone).out)
		again := decode[neurotriage.Finding](t, b.run("submit", dir, "--wait=20s").want(t, exitDone).out)
		if first.ID != again.ID || !first.Finished.Equal(again.Finished) {
			t.Errorf("findings %s and %s", first.ID, again.ID)
		}
	})
	t.Run("refused, exit code 1", func(t *testing.T) {
		got := b.run("submit", place(t, coded()), "--wait=20s").want(t, exitFailed)
		if f := decode[neurotriage.Finding](t, got.out); f.Reason != neurotriage.UnsupportedTransferSyntax {
			t.Errorf("finding %+v", f)
		}
	})
	t.Run("several studies, one line each", func(t *testing.T) {
		got := b.run("submit", place(t, brain("x", "")), place(t, knee()), "--wait=20s").want(t, exitDone)
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		if len(lines) != 2 {
			t.Errorf("%d lines: %s", len(lines), got.out)
		}
		for _, line := range lines {
			decode[neurotriage.Finding](t, line)
		}
	})
	t.Run("for a person", func(t *testing.T) {
		person := *b
		person.person = true
		got := person.run("submit", place(t, brain("p", "Gadovist")), "--wait=20s").want(t, exitDone)
		if !strings.Contains(got.out, "GLIOMA REVIEW") || strings.Contains(got.out, "{") {
			t.Errorf("stdout %q", got.out)
		}
	})
	t.Run("doctor", func(t *testing.T) {
		got := b.run("doctor", "--json")
		report := decode[checkup](t, got.out)
		if d := find(t, report, "nats"); d.Level != fine {
			t.Errorf("nats: %+v", d)
		}
		if d := find(t, report, "daemon"); d.Level != fine {
			t.Errorf("daemon: %+v", d)
		}
		if d := find(t, report, "  work"); d.Level != fine {
			t.Errorf("work: %+v", d)
		}
		if d := find(t, report, "dead letters"); d.Level != amiss || !strings.Contains(d.Cure, "deadletter list") {
			t.Errorf("dead letters: %+v", d)
		}
	})
	endWatch()
	if code := <-watched; code != exitDone {
		t.Errorf("an interrupted watch ends with %d", code)
	}
	if code := s.stop(); code != exitDone {
		t.Errorf("a stopped daemon ends with %d: %s", code, s.err)
	}
	if s.out.String() != "" {
		t.Errorf("the daemon wrote to standard output: %q", s.out)
	}
	if _, err := os.Stat(filepath.Join(b.state, "neurotriage", "addresses.json")); !os.IsNotExist(err) {
		t.Errorf("addresses are left behind: %v", err)
	}
}

func find(t *testing.T, report checkup, name string) diagnosis {
	t.Helper()
	for _, d := range report.Checks {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no check %q in %+v", name, report.Checks)
	return diagnosis{}
}

func TestDeadLetters(t *testing.T) {
	b := newBench(t)
	root := t.TempDir()
	write(t, root, "keep", nil) // an empty root looks like an unmounted share
	s := b.serve("--set", "roots=incoming="+root, "--set", "work.not_found_grace=0s")
	broken := filepath.Join(root, "broken")
	if err := coded().WriteDir(broken); err != nil {
		t.Fatal(err)
	}
	roots := []string{"--set", "roots=incoming=" + root}
	b.run(append([]string{"submit", broken, "--wait=20s"}, roots...)...).want(t, exitFailed)

	listed := b.run("deadletter", "list", "--json").want(t, exitDone).out
	conform(t, "deadletter.v1.json", listed)
	letters := decode[[]events.DeadLetter](t, listed)
	if len(letters) != 1 || letters[0].Reason != neurotriage.UnsupportedTransferSyntax || letters[0].StudyInstanceUID != kit.UID("coded") {
		t.Fatalf("letters %+v", letters)
	}
	id := letters[0].ID
	if got := b.run("deadletter", "list").want(t, exitDone); !strings.Contains(got.out, id) || !strings.Contains(got.out, "REASON") {
		t.Errorf("the list: %q", got.out)
	}
	if letter := decode[events.DeadLetter](t, b.run("deadletter", "show", id).want(t, exitDone).out); letter.ID != id || letter.Original == nil {
		t.Errorf("letter %+v", letter)
	}
	if got := b.run("deadletter", "show", "no-such-id").want(t, exitFailed); !strings.Contains(got.err, "deadletter list") {
		t.Errorf("stderr %q", got.err)
	}

	// Somebody mends the study: the same UID, in a syntax that is read.
	mended := coded()
	mended.Series[0].Syntax = kit.ExplicitLittle
	if err := mended.WriteDir(broken); err != nil {
		t.Fatal(err)
	}
	job := decode[neurotriage.Job](t, b.run("deadletter", "replay", id).want(t, exitDone).out)
	if job.ReplayOf != letters[0].EventID || job.EventID == letters[0].EventID {
		t.Errorf("job %+v replays event %s", job, letters[0].EventID)
	}
	kit.Until(t, "the replayed study is read", func() bool {
		return strings.Contains(get(t, s.at.HTTP+"v1/studies/"+kit.UID("coded")), `"disposition": "glioma_review"`)
	})
	// Nothing is left to replay: the letter is not the last word any more.
	got := b.run("deadletter", "replay", "--all").want(t, exitDone)
	if got.out != "" || !strings.Contains(got.err, "nothing to replay") {
		t.Errorf("replay --all: %q, %q", got.out, got.err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url) //nolint:gosec // our own daemon
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReplayAll(t *testing.T) {
	b := newBench(t)
	b.serve()
	for _, study := range []kit.Study{coded(), renamed(coded(), "coded2")} {
		b.run("submit", place(t, study), "--wait=20s").want(t, exitFailed)
	}
	if got := b.run("deadletter", "replay", "--all", "--reason", "gave_up").want(t, exitDone); got.out != "" {
		t.Errorf("another reason was replayed: %q", got.out)
	}
	got := b.run("deadletter", "replay", "--all").want(t, exitDone)
	if lines := strings.Split(strings.TrimSpace(got.out), "\n"); len(lines) != 2 {
		t.Errorf("replayed %q, want two studies", got.out)
	}
}

func renamed(study kit.Study, name string) kit.Study {
	study.Name = name
	return study
}

func TestSubmitWaitRunsOut(t *testing.T) {
	b := newBench(t)
	b.serve() // knows no root
	dir := place(t, brain("a", ""))
	// The daemon has to look for another one that knows the root, so nothing comes.
	got := b.run("submit", dir, "--set", "roots=elsewhere="+filepath.Dir(dir), "--wait=300ms").want(t, exitFailed)
	if !strings.Contains(got.err, "the wait ran out after 300ms") || !strings.Contains(got.err, "1 study outstanding") {
		t.Errorf("stderr %q", got.err)
	}
}

// stuck is a network that answers nothing until its context ends.
type stuck struct {
	fixed
	busy chan struct{} // closed when the first slice has come
	once *sync.Once
}

func (s stuck) Run(ctx context.Context, _ []float32, _ int) (classifier.Output, error) {
	s.once.Do(func() { close(s.busy) })
	<-ctx.Done()
	return classifier.Output{}, context.Cause(ctx)
}

func TestSubmitOutlivesARestart(t *testing.T) {
	b := newBench(t)
	slow := stuck{busy: make(chan struct{}), once: new(sync.Once)}
	b.open = func(context.Context, daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
		return slow, card(), nil
	}
	first := b.serve()
	out, complaints := &locked{}, &locked{}
	done := make(chan int, 1)
	go func() {
		done <- b.start(t.Context(), out, complaints, []string{"submit", place(t, brain("late", "Gadovist")), "--wait=20s"})
	}()
	select {
	case <-slow.busy: // the first daemon is in the middle of the study
	case <-time.After(20 * time.Second):
		t.Fatal("the study is not being read")
	}
	if code := first.stop(); code != exitDone {
		t.Fatalf("the first daemon ended with %d: %s", code, first.err)
	}
	b.open = answering(6, 0, 0, 0)
	second := b.serve("--set", "nats.embedded.listen="+strings.TrimPrefix(first.at.NATS, "nats://"))
	select {
	case code := <-done:
		if code != exitDone || decode[neurotriage.Finding](t, out.String()).StudyInstanceUID != kit.UID("late") {
			t.Errorf("exit code %d, stdout %q\n%s\n%s\n%s", code, out, complaints, first.err, second.err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the wait did not end")
	}
}

func TestHangupReloads(t *testing.T) {
	called := make(chan struct{}, 10)
	stop := reloadOnHangup(func() { called <- struct{}{} })
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-called:
	case <-time.After(10 * time.Second):
		t.Error("SIGHUP reloads nothing")
	}
	stop()
	if len(called) > 0 {
		t.Error("one signal reloads more than once")
	}
}

func TestReloadStandsInTheLog(t *testing.T) {
	b := newBench(t)
	file := write(t, b.state, "config.yaml", []byte("log:\n  level: info\n"))
	s := b.serve("--config", file)
	write(t, b.state, "config.yaml", []byte("log:\n  level: debug\n"))
	kit.Until(t, "the change stands in the log", func() bool {
		return strings.Contains(s.err.String(), "configuration changed") && strings.Contains(s.err.String(), "log.level")
	})
}

func TestTakenPortIsAnErrorWithItsCure(t *testing.T) {
	first := newBench(t).serve()
	second := newBench(t)
	got := second.run("serve", "--set", "pacs.receive.listen=127.0.0.1:0", "--set", "pacs.receive.min_free=0", "--set", "http.listen=127.0.0.1:0", "--set",
		"nats.embedded.listen="+strings.TrimPrefix(first.at.NATS, "nats://")).want(t, exitFailed)
	if !strings.Contains(got.err, "choose another") {
		t.Errorf("stderr %q", got.err)
	}
}

func TestSecondDaemonOnOneStateDirectory(t *testing.T) {
	b := newBench(t)
	b.serve()
	got := b.run("serve", "--set", "pacs.receive.listen=127.0.0.1:0", "--set", "pacs.receive.min_free=0", "--set", "http.listen=127.0.0.1:0", "--set", "nats.embedded.listen=127.0.0.1:0").want(t, exitFailed)
	if !strings.Contains(got.err, "state") {
		t.Errorf("stderr %q", got.err)
	}
	if got := b.run("deadletter", "list").want(t, exitDone); !strings.Contains(got.err, "no dead letters") {
		t.Errorf("the first daemon's address file is gone: %q", got.err)
	}
}
