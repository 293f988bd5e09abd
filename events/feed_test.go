package events_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

var out = events.Feed{Name: "archive", Kind: events.FindingFeed}

// follow runs a feed until the test ends, or until the returned function is
// called, and gives its notices; answer says how each one ends.
func follow(t *testing.T, bus *events.Bus, feed events.Feed, answer func(events.Notice) error) (notices <-chan events.Notice, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan events.Notice, 100), make(chan error, 1)
	go func() {
		ended <- bus.Follow(ctx, feed, func(_ context.Context, n events.Notice) error {
			err := answer(n)
			seen <- n
			return err
		})
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("follow: %v", err)
		}
	}
	t.Cleanup(stop)
	return seen, stop
}

func take(t *testing.T, notices <-chan events.Notice) events.Notice {
	t.Helper()
	select {
	case n := <-notices:
		return n
	case <-time.After(time.Minute):
		t.Fatal("no notice came")
		return events.Notice{}
	}
}

// made waits until the feed's consumer is there, so that what follows is not missed.
func made(t *testing.T, server *kit.NATSServer, consumer string) {
	t.Helper()
	_, js := server.Client(t)
	kit.Until(t, "the feed is there", func() bool {
		_, err := js.Consumer(t.Context(), "TRIAGE", consumer)
		return err == nil
	})
}

func find(t *testing.T, bus *events.Bus, uid, content string, flagged bool) neurotriage.Finding {
	t.Helper()
	submit(t, bus, uid)
	job, refusal := next(t, bus)
	if refusal != nil {
		t.Fatal(refusal)
	}
	r := reading(uid, content, flagged)
	must(t, "work", work(t.Context(), bus, job, r))
	return r.Finding
}

func TestFeedCarriesEachFindingWithItsAnnouncement(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	find(t, bus, uid, "before the feed", false)
	notices, _ := follow(t, bus, out, func(events.Notice) error { return nil })
	made(t, server, "feed_finding_archive")
	for _, content := range []string{"one", "two"} {
		f := find(t, bus, uid, content, true)
		n := take(t, notices)
		if n.Finding == nil || n.Finding.ID != f.ID || n.Alert != nil {
			t.Fatalf("%s: notice %+v, want finding %s", content, n, f.ID)
		}
		if n.Job.Priority != neurotriage.Urgent || n.Job.AccessionNumber != "A1" || n.Job.Location.Root != "incoming" || n.Attempt != 1 {
			t.Errorf("%s: job %+v, attempt %d", content, n.Job, n.Attempt)
		}
	}
}

func TestFeedComesAgainAfterAFaultAndLetsOthersPass(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	failed := false
	notices, _ := follow(t, bus, out, func(n events.Notice) error {
		if n.Finding.StudyInstanceUID == uid && !failed {
			failed = true
			return errors.New("the archive is away")
		}
		return nil
	})
	made(t, server, "feed_finding_archive")
	find(t, bus, uid, "one", false)
	find(t, bus, uid+".2", "two", false)
	attempts := map[string]int{}
	for range 3 {
		n := take(t, notices)
		attempts[n.Finding.StudyInstanceUID] = n.Attempt
	}
	if attempts[uid] != 2 || attempts[uid+".2"] != 1 {
		t.Errorf("attempts %v", attempts)
	}
}

func TestFeedGoesOnWhereItWas(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	hang := true
	answer := func(events.Notice) error {
		if hang {
			return events.Later(0)
		}
		return nil
	}
	notices, stop := follow(t, bus, out, answer)
	made(t, server, "feed_finding_archive")
	f := find(t, bus, uid, "one", false)
	take(t, notices)
	stop()
	g := find(t, bus, uid+".2", "two", false)
	hang = false
	notices, _ = follow(t, bus, out, answer)
	want := map[string]bool{f.ID: true, g.ID: true}
	for range 2 {
		n := take(t, notices)
		if !want[n.Finding.ID] {
			t.Errorf("finding %s came, want each of %v once", n.Finding.ID, want)
		}
		delete(want, n.Finding.ID)
	}
}

func TestFeedEndsWhatNoRepeatHelps(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	notices, _ := follow(t, bus, out, func(n events.Notice) error {
		if n.Finding.StudyInstanceUID == uid {
			return neurotriage.Refuse(neurotriage.MalformedEvent, "never")
		}
		return nil
	})
	made(t, server, "feed_finding_archive")
	find(t, bus, uid, "one", false)
	take(t, notices)
	find(t, bus, uid+".2", "two", false)
	take(t, notices)
	_, js := server.Client(t)
	kit.Until(t, "nothing is pending", func() bool {
		consumer, err := js.Consumer(t.Context(), "TRIAGE", "feed_finding_archive")
		return err == nil && consumer.CachedInfo().NumAckPending == 0 && consumer.CachedInfo().NumPending == 0
	})
	if len(notices) != 0 {
		t.Error("a refused notice came again")
	}
}

func TestAlertFeed(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	notices, _ := follow(t, bus, events.Feed{Name: "pager", Kind: events.AlertFeed}, func(events.Notice) error { return nil })
	made(t, server, "feed_alert_pager")
	find(t, bus, uid, "quiet", false)
	f := find(t, bus, uid+".2", "loud", true)
	n := take(t, notices)
	if n.Alert == nil || n.Alert.Kind != events.AlertReview || n.Alert.FindingID != f.ID || n.Finding != nil {
		t.Errorf("notice %+v", n)
	}
}

func TestFeedOutlivesARestartOfTheServer(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	notices, _ := follow(t, bus, out, func(events.Notice) error { return nil })
	made(t, server, "feed_finding_archive")
	restart(t, server, bus)
	f := find(t, bus, uid, "after", false)
	if n := take(t, notices); n.Finding.ID != f.ID {
		t.Errorf("finding %s, want %s", n.Finding.ID, f.ID)
	}
}

func TestFeedNames(t *testing.T) {
	bus := daemonBus(t, kit.NATS(t))
	for _, name := range []string{"", "a.b", "a b", "*", ">"} {
		if err := bus.Follow(t.Context(), events.Feed{Name: name, Kind: events.FindingFeed}, nil); err == nil {
			t.Errorf("%q was followed", name)
		}
	}
}

func TestDeliveriesStandInTheWorklist(t *testing.T) {
	bus := daemonBus(t, kit.NATS(t))
	first := find(t, bus, uid, "one", false)
	note := func(id string, state events.DeliveryState, attempts int) {
		t.Helper()
		must(t, "note", bus.NoteDelivery(t.Context(), uid, "archive", events.Delivery{FindingID: id, State: state, Attempts: attempts}))
	}
	note(first.ID, events.DeliveryPending, 1)
	note(first.ID, events.Delivered, 2)
	e := entry(t, bus, uid)
	if d := e.Deliveries["archive"]; d.State != events.Delivered || d.Attempts != 2 || d.Updated.IsZero() {
		t.Errorf("delivery %+v", d)
	}
	note(first.ID, events.Delivered, 2)
	if after := entry(t, bus, uid); !after.Updated.Equal(e.Updated) {
		t.Error("the same news changed the entry")
	}
	second := find(t, bus, uid, "two", true)
	note(second.ID, events.Delivered, 1)
	note(first.ID, events.DeliveryFailed, 9) // late
	if d := entry(t, bus, uid).Deliveries["archive"]; d.FindingID != second.ID || d.State != events.Delivered {
		t.Errorf("late news of a former finding stand in the worklist: %+v", d)
	}
}
