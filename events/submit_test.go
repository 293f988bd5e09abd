package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

type answer struct {
	job     neurotriage.Job
	finding neurotriage.Finding
}

// wait follows the jobs in the background.
func wait(t *testing.T, bus *events.Bus, jobs ...neurotriage.Job) (<-chan answer, <-chan error) {
	t.Helper()
	answers, ended := make(chan answer, 10), make(chan error, 1)
	go func() {
		ended <- bus.WaitFor(context.WithoutCancel(t.Context()), jobs, func(j neurotriage.Job, f neurotriage.Finding) { answers <- answer{j, f} })
	}()
	return answers, ended
}

func ends(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("still waiting after 30 s")
		return nil
	}
}

func TestSubmitRefusesWhatTheDaemonWouldRefuse(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	bad := study("1.2 .3")
	if _, err := bus.Submit(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "study_instance_uid") {
		t.Errorf("submit: %v", err)
	}
}

func TestSubmitBeforeAnyDaemonSaysSo(t *testing.T) {
	server := kit.NATS(t)
	_, err := clientBus(t, server).Submit(t.Context(), study(uid))
	if err == nil || !strings.Contains(err.Error(), "start the daemon once") {
		t.Errorf("submit: %v", err)
	}
}

func TestWaitForOutlivesRestartsOfServerAndDaemon(t *testing.T) {
	server := kit.NATS(t)
	quick := func(o *events.Options) { o.AckWait = 300 * time.Millisecond }
	daemon := daemonBus(t, server, quick)
	client := clientBus(t, server)
	one, two := submit(t, client, uid), submit(t, client, uid+".2")
	answers, ended := wait(t, client, one, two)
	job, _ := next(t, daemon)
	must(t, "one", work(t.Context(), daemon, job, reading(job.StudyInstanceUID, "a", true)))
	if a := <-answers; a.job.EventID != one.EventID || a.finding.StudyInstanceUID != uid || !a.finding.Flags.GliomaReview {
		t.Errorf("first answer %+v", a)
	}
	daemon.Close()
	restart(t, server, client)
	daemon = daemonBus(t, server, quick)
	job, _ = next(t, daemon)
	must(t, "two", work(t.Context(), daemon, job, reading(job.StudyInstanceUID, "a", false)))
	must(t, "wait", ends(t, ended))
	if a := <-answers; a.job.EventID != two.EventID || a.finding.StudyInstanceUID != uid+".2" {
		t.Errorf("second answer %+v", a)
	}
}

func TestWaitForGivesTheFindingThatTheStudyHadBefore(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	r := reading(uid, "a", true)
	must(t, "work", work(t.Context(), bus, job, r))
	again := submit(t, bus, uid) // unchanged: nothing new will be published
	answers, ended := wait(t, bus, again)
	job, _ = next(t, bus)
	select {
	case a := <-answers:
		t.Errorf("answered before the study was looked at: %+v", a)
	default:
	}
	must(t, "work", work(t.Context(), bus, job, r))
	must(t, "wait", ends(t, ended))
	if a := <-answers; a.finding.ID != r.Finding.ID {
		t.Errorf("answer %+v", a)
	}
}

func TestWaitForGivesRefusals(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	answers, ended := wait(t, bus, submit(t, bus, uid))
	job, _ := next(t, bus)
	cause := neurotriage.Refuse(neurotriage.NotDICOM, "none")
	must(t, "refuse", bus.Outlet().Refuse(t.Context(), job, refusedReading(job, cause.Reason), cause))
	must(t, "wait", ends(t, ended))
	if a := <-answers; a.finding.Reason != neurotriage.NotDICOM {
		t.Errorf("answer %+v", a)
	}
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := bus.WaitFor(ctx, []neurotriage.Job{submit(t, bus, uid)}, func(neurotriage.Job, neurotriage.Finding) {})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %v", err)
	}
}

func TestWatchShowsEachFindingOnceAndInOrderOverARestart(t *testing.T) {
	server := kit.NATS(t)
	daemon, client := daemonBus(t, server), clientBus(t, server)
	submit(t, daemon, uid)
	job, _ := next(t, daemon)
	must(t, "before the watch", work(t.Context(), daemon, job, reading(uid, "before", false)))
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan string, 10), make(chan error, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		ended <- client.Watch(ctx, func(f neurotriage.Finding) { seen <- f.ID })
	}()
	<-started
	publish := func(content string) string {
		t.Helper()
		submit(t, daemon, uid)
		job, refusal := next(t, daemon)
		if refusal != nil {
			t.Fatal(refusal)
		}
		r := reading(uid, content, true)
		must(t, "work", work(t.Context(), daemon, job, r))
		return r.Finding.ID
	}
	// The watch stands when it shows a first finding; those before were missed by right.
	var first string
	for i := 0; first == ""; i++ {
		id := publish("probe" + string(rune('a'+i)))
		select {
		case first = <-seen:
			if first != id {
				t.Errorf("saw %s, want %s", first, id)
			}
		case <-time.After(200 * time.Millisecond):
		}
	}
	want := []string{publish("one")}
	restart(t, server, daemon, client)
	want = append(want, publish("two"), publish("three"))
	for _, id := range want {
		select {
		case got := <-seen:
			if got != id {
				t.Errorf("saw %s, want %s", got, id)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s was not shown", id)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch: %v", err)
	}
}
