package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestTheWorklistIsRebuiltFromFindings(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	for i, flagged := range []bool{true, false} { // a revision that clears a flag
		submit(t, bus, uid)
		job, _ := next(t, bus)
		must(t, "work", work(t.Context(), bus, job, reading(uid, fmt.Sprint(i), flagged)))
	}
	submit(t, bus, uid+".2")
	job, _ := next(t, bus)
	must(t, "work", work(t.Context(), bus, job, reading(uid+".2", "a", true)))
	before, err := bus.Worklist(t.Context())
	must(t, "worklist", err)
	bus.Close()
	must(t, "losing the bucket", js.DeleteKeyValue(t.Context(), "triage_worklist"))

	after, err := daemonBus(t, server).Worklist(t.Context()) // Prepare rebuilds
	must(t, "worklist", err)
	if len(before) != 2 || len(after) != 2 {
		t.Fatalf("before %+v, after %+v", before, after)
	}
	for i := range before {
		before[i].Updated, after[i].Updated = time.Time{}, time.Time{}
		was, _ := json.Marshal(before[i])
		is, _ := json.Marshal(after[i])
		if string(was) != string(is) {
			t.Errorf("was %s\n is %s", was, is)
		}
	}
	if !after[0].WasFlagged || after[0].Finding.Flagged {
		t.Errorf("entry %+v", after[0])
	}
}

func TestRebuildKeepsWhatIsKnownBetter(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	must(t, "work", work(t.Context(), bus, job, reading(uid, "a", false)))
	submit(t, bus, uid)
	again, _ := next(t, bus) // is being read anew
	count, err := bus.Rebuild(t.Context())
	if err != nil || count != 1 {
		t.Fatalf("rebuilt %d, %v", count, err)
	}
	if e := entry(t, bus, uid); e.State != events.Reading || e.Announcement.EventID != again.EventID || e.Attempts[again.EventID] != 1 || e.Finding == nil {
		t.Errorf("entry %+v", e)
	}
}

func fill(t testing.TB, server *kit.NATSServer, entries int) {
	t.Helper()
	_, js := server.Client(t)
	for i := range entries {
		e := events.Entry{Schema: events.EntrySchema, StudyInstanceUID: fmt.Sprintf("%s.%d", uid, i), State: events.Read, Finding: &events.FindingSummary{ID: "x"}}
		text, _ := json.Marshal(e)
		if _, err := js.PublishAsync("$KV.triage_worklist."+e.StudyInstanceUID, text); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(60 * time.Second):
		t.Fatal("filling the worklist takes too long")
	}
}

func TestALongWorklistIsListedInASecond(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	const entries = 10_000
	fill(t, server, entries)
	begin := time.Now()
	list, err := bus.Worklist(t.Context())
	took := time.Since(begin)
	if err != nil || len(list) != entries || list[0].StudyInstanceUID != uid+".0" {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	t.Logf("%d entries in %v", entries, took)
	if took > time.Second && !testing.Short() && !raceEnabled {
		t.Errorf("it took %v", took)
	}
}

func TestTheWatchOfTheWorklistSurvivesARestart(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan events.Entry, 100)
	ended := make(chan error, 1)
	go func() { ended <- bus.WatchWorklist(ctx, func(e events.Entry) { seen <- e }) }()
	expect := func(state events.State) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case e := <-seen:
				if e.State == state {
					return
				}
			case <-deadline:
				t.Fatalf("no entry in state %s", state)
			}
		}
	}
	submit(t, bus, uid)
	job, _ := next(t, bus)
	expect(events.Reading)
	restart(t, server, bus)
	must(t, "work", work(t.Context(), bus, job, reading(uid, "a", false)))
	expect(events.Read)
	cancel()
	if err := <-ended; err == nil {
		t.Error("the watch ended without its context's error")
	}
}

func TestAnEntryThatCannotBeReadIsMadeAnew(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	kv, err := js.KeyValue(t.Context(), "triage_worklist")
	must(t, "bucket", err)
	_, err = kv.PutString(t.Context(), uid, "{broken")
	must(t, "put", err)
	submit(t, bus, uid)
	job, refusal := next(t, bus)
	if refusal != nil {
		t.Fatal(refusal)
	}
	must(t, "work", work(t.Context(), bus, job, reading(uid, "a", false)))
	if e := entry(t, bus, uid); e.State != events.Read {
		t.Errorf("entry %+v", e)
	}
}
