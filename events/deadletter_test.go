package events_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func refuse(t *testing.T, bus *events.Bus, reason neurotriage.Reason) neurotriage.Job {
	t.Helper()
	job, refusal := next(t, bus)
	if refusal == nil {
		refusal = neurotriage.Refuse(reason, "because")
	}
	must(t, "refuse", bus.Outlet().Refuse(t.Context(), job, refusedReading(job, refusal.Reason), refusal))
	must(t, "terminate", bus.Inbox().Terminate(t.Context(), job, refusal.Error()))
	return job
}

func TestADeadLetterHoldsAllAndCanBeReplayed(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job := refuse(t, bus, neurotriage.StudyNotFound)
	letters, err := bus.DeadLetters(t.Context())
	if err != nil || len(letters) != 1 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	letter, err := bus.DeadLetter(t.Context(), letters[0].ID)
	must(t, "show", err)
	if letter.Reason != neurotriage.StudyNotFound || letter.Cause != "because" || letter.StudyInstanceUID != uid || letter.EventID != job.EventID ||
		letter.Attempts != 1 || letter.FindingID != refusedFinding(job, neurotriage.StudyNotFound).ID || !contains(string(letter.Original), job.EventID) {
		t.Errorf("letter %+v", letter)
	}
	replayed, err := bus.Replay(t.Context(), letter)
	must(t, "replay", err)
	got, refusal := next(t, bus)
	if refusal != nil || got.EventID != replayed.EventID || got.EventID == job.EventID || got.ReplayOf != job.EventID ||
		got.Location != job.Location || got.Priority != job.Priority || !got.Asked.After(job.Asked) || got.Delivery != 1 {
		t.Errorf("%+v, %v", got, refusal)
	}
	must(t, "work", work(t.Context(), bus, got, reading(uid, "a", false)))
	if e := entry(t, bus, uid); e.State != events.Read || e.Finding.Replaces != letter.FindingID {
		t.Errorf("entry %+v, finding %+v", e, e.Finding)
	}
	if _, err := bus.DeadLetter(t.Context(), "nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestAMalformedEventIsNotReplayed(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	for _, text := range []string{"noise", directory(uid), cloudEvent("1", "2026-01-01T00:00:00Z", "{}"), strings.Repeat("<", 600<<10)} {
		announce(t, js, text)
		refuse(t, bus, "")
	}
	letters, err := bus.DeadLetters(t.Context())
	if err != nil || len(letters) != 4 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	for _, letter := range letters {
		if _, err := bus.Replay(t.Context(), letter); err == nil || !contains(err.Error(), "would be refused again") {
			t.Errorf("%s: %v", letter.Cause, err)
		}
	}
}

// A sender that gives all its events one id loses none of its dead letters.
func TestEachEventHasItsOwnDeadLetterEvenUnderOneID(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	for _, study := range []string{"1.1", "1.2"} {
		announce(t, js, cloudEvent("same", "2026-01-01T00:00:00Z", directory(study)))
		refuse(t, bus, neurotriage.NotDICOM)
	}
	if letters, err := bus.DeadLetters(t.Context()); err != nil || len(letters) != 2 {
		t.Errorf("letters %+v, %v", letters, err)
	}
}

// What dropped a repeated dead letter must not depend on the server's memory.
func TestARepeatedDeadLetterIsDroppedAfterARestartToo(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server, func(o *events.Options) { o.CallTimeout = time.Second })
	submit(t, bus, uid)
	job, _ := next(t, bus)
	cause := neurotriage.Refuse(neurotriage.NotDICOM, "none")
	must(t, "refuse", bus.Outlet().Refuse(t.Context(), job, refusedReading(job, cause.Reason), cause))
	restart(t, server, bus)
	// A call that the stop swallowed ends as a fault of the surroundings; the daemon tries again, and so does this.
	kit.Until(t, "the repeat is stored", func() bool {
		return bus.Outlet().Refuse(t.Context(), job, refusedReading(job, cause.Reason), cause) == nil
	})
	if letters, err := bus.DeadLetters(t.Context()); err != nil || len(letters) != 1 {
		t.Errorf("letters %+v, %v", letters, err)
	}
}

// An event that is valid and swells when written as JSON in JSON is kept as bytes.
func TestAnEventThatSwellsIsKeptWhole(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	text := cloudEvent("1", "2026-01-01T00:00:00Z", `{"note":"`+strings.Repeat("<", 300<<10)+`",`+directory(uid)[1:])
	announce(t, js, text)
	refuse(t, bus, neurotriage.NotDICOM)
	letters, err := bus.DeadLetters(t.Context())
	if err != nil || len(letters) != 1 || letters[0].Truncated || len(letters[0].OriginalBase64)+len(letters[0].Original) < 300<<10 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	if _, err := bus.Replay(t.Context(), letters[0]); err != nil {
		t.Errorf("replay: %v", err)
	}
}
