package events_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestMalformedEventsAreRefusedAndTheNextOneComes(t *testing.T) {
	cases := []struct{ name, text, cause, uid string }{
		{"not json", "hello", "is not JSON", ""},
		{"empty", "", "is not JSON", ""},
		{"a megabyte of noise", strings.Repeat("\x00\xff<", 349000), "has 1047000 bytes", ""},
		{"plain json", directory(uid), "no CloudEvent (no specversion)", uid},
		{"no id", cloudEvent("", "2026-01-01T00:00:00Z", directory(uid)), "id: MUST be", uid},
		{"no study", cloudEvent("1", "2026-01-01T00:00:00Z", `{}`), "study_instance_uid: uid is empty", ""},
		{"no location", cloudEvent("1", "2026-01-01T00:00:00Z", `{"study_instance_uid":"1.2.3"}`), "location.kind: missing", "1.2.3"},
		{"uid with a blank", cloudEvent("1", "2026-01-01T00:00:00Z", directory("1.2 .3")), "may hold digits and single dots", ""},
		{"number for a uid", cloudEvent("1", "2026-01-01T00:00:00Z", `{"study_instance_uid":12}`), "study_instance_uid", ""},
		{"number for a priority", cloudEvent("2", "2026-01-01T00:00:00Z", `{"priority":1,"study_instance_uid":"1.2.3"}`), "priority", "1.2.3"},
	}
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	for i, c := range cases {
		announce(t, js, c.text)
		job, refusal := next(t, bus)
		if refusal == nil || refusal.Reason != neurotriage.MalformedEvent || !strings.Contains(refusal.Error(), c.cause) ||
			job.StudyInstanceUID != c.uid || job.EventID == "" || len(refusal.Error()) > 4096 {
			t.Errorf("%s: job %+v, refusal %v", c.name, job, refusal)
			continue
		}
		must(t, c.name, bus.Outlet().Refuse(t.Context(), job, refusedReading(job, refusal.Reason), refusal))
		must(t, c.name, bus.Inbox().Terminate(t.Context(), job, refusal.Error()))
		subjects, raw := stored(t, js, "TRIAGE_DEADLETTER")
		if len(subjects) != i+1 || subjects[i] != "triage.deadletter.malformed_event" {
			t.Fatalf("%s: dead letters %v", c.name, subjects)
		}
		letter := data[events.DeadLetter](t, raw[i])
		if letter.OriginalBytes != len(c.text) || letter.Truncated != (len(c.text) > 1<<20*3/4) || !strings.Contains(letter.Cause, c.cause) {
			t.Errorf("%s: letter %+v", c.name, letter)
		}
	}
	findings, _ := stored(t, js, "TRIAGE")
	if n := count(findings, "triage.finding.refused."); n != 4 {
		t.Errorf("%d refused findings: %v", n, findings)
	}
	submit(t, bus, uid)
	if _, refusal := next(t, bus); refusal != nil {
		t.Errorf("after all this: %v", refusal)
	}
}

func TestAnEventOnAMistakenSubjectIsRefused(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	_, err := js.Publish(t.Context(), "imaging.study.avail", []byte(cloudEvent("1", "2026-01-01T00:00:00Z", directory(uid))))
	must(t, "publish", err)
	if _, refusal := next(t, bus); refusal == nil || !strings.Contains(refusal.Error(), "subject imaging.study.avail") {
		t.Errorf("refusal %v", refusal)
	}
}

func TestOnlyCountingAttemptsLeadToGaveUp(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server, func(o *events.Options) { o.MaxAttempts = 3 })
	submit(t, bus, uid)
	for range 10 { // faults of the surroundings
		job, refusal := next(t, bus)
		if refusal != nil || job.Delivery != 1 {
			t.Fatalf("delivery %d, %v", job.Delivery, refusal)
		}
		must(t, "hand back", bus.Inbox().HandBack(t.Context(), job, 0, "root unreachable", false))
		if e := entry(t, bus, uid); e.State != events.Waiting || e.Note != "root unreachable" || e.Attempts != nil {
			t.Fatalf("entry %+v", e)
		}
	}
	// The daemon refuses a told fault at max attempts; here nobody does.
	for attempt := 1; attempt <= 3*3; attempt++ {
		job, refusal := next(t, bus)
		if refusal != nil || job.Delivery != attempt {
			t.Fatalf("delivery %d, want %d, %v", job.Delivery, attempt, refusal)
		}
		must(t, "hand back", bus.Inbox().HandBack(t.Context(), job, 0, "decoder fell over", true))
	}
	job, refusal := next(t, bus)
	if refusal == nil || refusal.Reason != neurotriage.GaveUp || job.StudyInstanceUID != uid {
		t.Fatalf("%+v, %v", job, refusal)
	}
	// Even if the process dies between the deliveries and the settling.
	must(t, "refuse", bus.Outlet().Refuse(t.Context(), job, refusedReading(job, neurotriage.GaveUp), refusal))
	must(t, "hand back", bus.Inbox().HandBack(t.Context(), job, 0, "", false))
	job, refusal = next(t, bus)
	if refusal == nil || refusal.Reason != neurotriage.GaveUp {
		t.Fatalf("a given-up study begins anew: %+v, %v", job, refusal)
	}
	must(t, "terminate", bus.Inbox().Terminate(t.Context(), job, refusal.Error()))
}

func TestACrashCounts(t *testing.T) {
	server := kit.NATS(t)
	quick := func(o *events.Options) { o.AckWait, o.MaxAttempts = 100*time.Millisecond, 2 }
	submit(t, daemonBus(t, server, quick), uid)
	for attempt := 1; attempt <= 3*2; attempt++ {
		bus := daemonBus(t, server, quick)
		if job, refusal := next(t, bus); refusal != nil || job.Delivery != attempt {
			t.Fatalf("delivery %d, want %d, %v", job.Delivery, attempt, refusal)
		}
		bus.Close()
	}
	if _, refusal := next(t, daemonBus(t, server, quick)); refusal == nil || refusal.Reason != neurotriage.GaveUp {
		t.Errorf("refusal %v", refusal)
	}
}

func TestAHeldJobIsNotDeliveredToOthers(t *testing.T) {
	server := kit.NATS(t)
	quick := func(o *events.Options) { o.AckWait = 150 * time.Millisecond }
	bus, other := daemonBus(t, server, quick), daemonBus(t, server, quick)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // several times AckWait
	defer cancel()
	if again, err := other.Inbox().Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v", again, err)
	}
	must(t, "ack", bus.Inbox().Ack(t.Context(), job))
}

func TestAHandBackWaitsForItsDelay(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	begin := time.Now()
	must(t, "hand back", bus.Inbox().HandBack(t.Context(), job, 300*time.Millisecond, "later", true))
	next(t, bus)
	if took := time.Since(begin); took < 250*time.Millisecond || took > 10*time.Second {
		t.Errorf("came again after %v", took)
	}
}

func TestAJobIsSettledOnce(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	must(t, "ack", bus.Inbox().Ack(t.Context(), job))
	if err := bus.Inbox().Ack(t.Context(), job); err == nil {
		t.Error("settled twice")
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	bus := daemonBus(t, kit.NATS(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shutting down")
	time.AfterFunc(20*time.Millisecond, func() { cancel(reason) })
	if _, err := bus.Inbox().Next(ctx); !errors.Is(err, reason) {
		t.Errorf("next: %v", err)
	}
}

func TestWorkersShareTheQueue(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	const studies, workers = 40, 8
	for i := range studies {
		submit(t, bus, fmt.Sprintf("%s.%d", uid, i))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range studies / workers {
				job, err := bus.Inbox().Next(t.Context())
				if err != nil {
					t.Errorf("next: %v", err)
					return
				}
				if err := work(t.Context(), bus, job, reading(job.StudyInstanceUID, "a", false)); err != nil {
					t.Errorf("work: %v", err)
				}
				mu.Lock()
				seen[job.StudyInstanceUID]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(seen) != studies {
		t.Errorf("%d of %d studies: %v", len(seen), studies, seen)
	}
}

func TestARestartOfTheServerLosesNothingAndIsLoggedOnce(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	var log lockedBuffer
	bus := daemonBus(t, server, func(o *events.Options) {
		o.Logger, o.CallTimeout = slog.New(slog.NewTextHandler(&log, nil)), 300*time.Millisecond
	})
	submit(t, bus, uid)
	submit(t, bus, uid+".2")
	held, _ := next(t, bus)
	server.Stop()
	kit.Until(t, "the loss is noticed", func() bool { return !bus.Health().Connected })
	if err := bus.Health().Err(); !errors.Is(err, neurotriage.ErrSurroundings) {
		t.Errorf("health: %v", err)
	}
	r := reading(uid, "a", true)
	if err := bus.Outlet().Deliver(t.Context(), held, r); !errors.Is(err, neurotriage.ErrSurroundings) {
		t.Errorf("deliver while down: %v", err)
	}
	if _, err := bus.Inbox().Next(t.Context()); !errors.Is(err, neurotriage.ErrSurroundings) {
		t.Errorf("next while down: %v", err)
	}
	server.Start(t)
	kit.Until(t, "the connection is back", func() bool { return bus.Health().Connected })
	must(t, "work", work(t.Context(), bus, held, r)) // the job that was held through it
	second, refusal := next(t, bus)
	if refusal != nil || second.StudyInstanceUID != uid+".2" || second.Delivery != 1 {
		t.Fatalf("%+v, %v", second, refusal)
	}
	must(t, "work", work(t.Context(), bus, second, reading(uid+".2", "a", false)))
	subjects, _ := stored(t, js, "TRIAGE")
	if count(subjects, "triage.finding.") != 2 || count(subjects, "triage.alert.") != 1 {
		t.Errorf("stored %v", subjects)
	}
	for _, line := range []string{"the connection to nats is lost", "the connection to nats is back"} {
		if n := strings.Count(log.String(), line); n != 1 {
			t.Errorf("%q stands %d times in the log:\n%s", line, n, log.String())
		}
	}
}

// A consumer that was removed behind the daemon's back is made again.
func TestALostConsumerIsMadeAgain(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	got := make(chan neurotriage.Job)
	go func() {
		defer close(got)
		for t.Context().Err() == nil {
			job, err := bus.Inbox().Next(t.Context())
			if err == nil {
				got <- job
				return
			}
			if !errors.Is(err, neurotriage.ErrSurroundings) {
				t.Errorf("next: %v", err)
				return
			}
		}
	}()
	kit.Until(t, "a pull stands", func() bool {
		consumer, err := js.Consumer(t.Context(), "IMAGING", "neurotriage")
		return err == nil && consumer.CachedInfo().NumWaiting > 0
	})
	must(t, "delete", js.DeleteConsumer(t.Context(), "IMAGING", "neurotriage"))
	submit(t, bus, uid)
	select {
	case job := <-got:
		if job.StudyInstanceUID != uid {
			t.Errorf("got %+v", job)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing came")
	}
}

// A server that lost its store gets its streams again from a running daemon.
func TestALostStoreIsMadeAgain(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	must(t, "work", work(t.Context(), bus, job, reading(uid, "a", true)))
	server.Stop()
	kit.Until(t, "the loss of the connection is seen", func() bool { return !bus.Health().Connected })
	server.Wipe(t)
	server.Start(t)
	kit.Until(t, "the streams are back", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, _ = bus.Inbox().Next(ctx)
		for _, stream := range []string{"IMAGING", "TRIAGE", "TRIAGE_DEADLETTER", "KV_triage_worklist", "OBJ_triage_media"} {
			if _, err := js.Stream(t.Context(), stream); err != nil { // ctx is mostly used up
				return false
			}
		}
		_, err := js.Consumer(t.Context(), "IMAGING", "neurotriage") // the last that is made
		return err == nil
	})
	kit.Until(t, "a study is taken", func() bool {
		_, err := bus.Submit(t.Context(), study(uid))
		return err == nil
	})
	job, refusal := next(t, bus)
	if refusal != nil {
		t.Fatal(refusal)
	}
	r := reading(uid, "a", true)
	must(t, "work", work(t.Context(), bus, job, r))
	wantOneOfEach(t, js, bus, r.Finding.ID)
}

func TestAFullQueueRefusesNewAnnouncements(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server, func(o *events.Options) { o.Retention.QueueBytes = 2000 })
	var err error
	sent := 0
	for ; err == nil && sent < 100; sent++ {
		_, err = bus.Submit(t.Context(), study(uid))
	}
	var api *jetstream.APIError
	if !errors.Is(err, neurotriage.ErrSurroundings) || !errors.As(err, &api) {
		t.Fatalf("after %d: %v", sent, err)
	}
	if job, refusal := next(t, bus); refusal != nil || job.StudyInstanceUID != uid {
		t.Errorf("the oldest is gone: %+v, %v", job, refusal)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
