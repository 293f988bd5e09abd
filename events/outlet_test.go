package events_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestAFlaggedStudyEndsInOneFindingOneAlertAndOneEntry(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	job := submit(t, bus, uid)
	got, refusal := next(t, bus)
	if refusal != nil || got.EventID != job.EventID || got.StudyInstanceUID != uid || got.Location != job.Location ||
		got.Priority != neurotriage.Urgent || got.AccessionNumber != "A1" || !got.Asked.Equal(job.Asked) || got.Delivery != 1 {
		t.Fatalf("got %+v (%v), announced %+v", got, refusal, job)
	}
	if e := entry(t, bus, uid); e.State != events.Reading || e.Attempts[job.EventID] != 1 || e.Priority != neurotriage.Urgent {
		t.Errorf("while reading: %+v", e)
	}
	r := reading(uid, "a", true)
	must(t, "work", work(t.Context(), bus, got, r))
	wantOneOfEach(t, js, bus, r.Finding.ID)
	_, raw := stored(t, js, "TRIAGE")
	if f := data[neurotriage.Finding](t, raw[0]); f.ID != r.Finding.ID || f.Probabilities["glioma"] != 0.9 {
		t.Errorf("finding %+v", f)
	}
	a := data[events.Alert](t, raw[1])
	if a.Kind != events.AlertReview || a.FindingID != r.Finding.ID || *a.Probability != 0.9 || *a.Threshold != 0.17 || a.AccessionNumber != "A1" {
		t.Errorf("alert %+v", a)
	}
	e := entry(t, bus, uid)
	if f := e.Finding; *f.Probability != 0.9 || f.Threshold != 0.17 || f.Disposition != neurotriage.GliomaReview || e.AccessionNumber != "A1" {
		t.Errorf("entry %+v, finding %+v", e, f)
	}
}

// The process may end before any of the stored things; the daemon that gets the
// announcement again completes what is missing.
func TestADeathAtAnyStepIsMadeGood(t *testing.T) {
	steps := []string{"media", "finding", "alert glioma_review", "worklist", "ack"}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			server := kit.NATS(t)
			_, js := server.Client(t)
			quick := func(o *events.Options) { o.AckWait = 200 * time.Millisecond }
			dying := daemonBus(t, server, quick)
			submit(t, dying, uid)
			job, _ := next(t, dying)
			r := reading(uid, "a", true)
			died := errors.New("died")
			dying.OnStep(func(now string) error {
				if now == step {
					return died
				}
				return nil
			})
			err := dying.Outlet().Deliver(t.Context(), job, r)
			if step != "ack" && !errors.Is(err, died) {
				t.Fatalf("deliver: %v", err)
			}
			dying.Close() // nothing is settled or handed back

			heir := daemonBus(t, server, quick)
			again, refusal := next(t, heir)
			if refusal != nil || again.EventID != job.EventID {
				t.Fatalf("%+v, %v", again, refusal)
			}
			must(t, "work", work(t.Context(), heir, again, r))
			wantOneOfEach(t, js, heir, r.Finding.ID)
		})
	}
}

func TestADeathAtAnyStepOfARefusalIsMadeGood(t *testing.T) {
	for _, step := range []string{"finding", "deadletter", "worklist", "terminate"} {
		t.Run(step, func(t *testing.T) {
			server := kit.NATS(t)
			_, js := server.Client(t)
			quick := func(o *events.Options) { o.AckWait = 200 * time.Millisecond }
			dying := daemonBus(t, server, quick)
			submit(t, dying, uid)
			job, _ := next(t, dying)
			dying.OnStep(func(now string) error {
				if now == step {
					return errors.New("died")
				}
				return nil
			})
			cause := neurotriage.Refuse(neurotriage.NotDICOM, "no DICOM file below x")
			err := dying.Outlet().Refuse(t.Context(), job, refusedReading(job, cause.Reason), cause)
			if (err == nil) != (step == "terminate") {
				t.Fatalf("refuse: %v", err)
			}
			dying.Close()

			heir := daemonBus(t, server, quick)
			again, _ := next(t, heir)
			must(t, "refuse", heir.Outlet().Refuse(t.Context(), again, refusedReading(again, cause.Reason), cause))
			must(t, "terminate", heir.Inbox().Terminate(t.Context(), again, cause.Error()))
			findings, _ := stored(t, js, "TRIAGE")
			letters, _ := stored(t, js, "TRIAGE_DEADLETTER")
			if len(findings) != 1 || len(letters) != 1 || letters[0] != "triage.deadletter.not_dicom" {
				t.Errorf("findings %v, dead letters %v", findings, letters)
			}
			if e := entry(t, heir, uid); e.State != events.NotRead || e.Finding.Reason != neurotriage.NotDICOM {
				t.Errorf("entry %+v", e)
			}
			waiting, _ := stored(t, js, "IMAGING")
			if len(waiting) != 0 {
				t.Errorf("left: %v", waiting)
			}
		})
	}
}

func TestTwoDaemonsRacingOnOneStudyMakeOneFinding(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	buses := []*events.Bus{daemonBus(t, server), daemonBus(t, server)}
	submit(t, buses[0], uid)
	submit(t, buses[1], uid)
	r := reading(uid, "a", true)
	var race sync.WaitGroup
	for _, bus := range buses {
		job, refusal := next(t, bus)
		if refusal != nil {
			t.Fatal(refusal)
		}
		race.Go(func() {
			// Both are past the check for an earlier finding.
			if err := bus.Outlet().Deliver(t.Context(), job, r); err != nil {
				t.Errorf("deliver: %v", err)
			}
			if err := bus.Inbox().Ack(t.Context(), job); err != nil {
				t.Errorf("ack: %v", err)
			}
		})
	}
	race.Wait()
	wantOneOfEach(t, js, buses[0], r.Finding.ID)
}

func TestTheSameStudyAnnouncedAgainLaterHasStillOneFinding(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	r := reading(uid, "a", true)
	for range 3 { // new events of any age, none of which a duplicate window knows
		submit(t, bus, uid)
		job, _ := next(t, bus)
		must(t, "work", work(t.Context(), bus, job, r))
	}
	wantOneOfEach(t, js, bus, r.Finding.ID)
}

func TestARevisionReplacesAndAlertsWhenTheFlagChanges(t *testing.T) {
	cases := []struct {
		name          string
		before, after bool
		changed       int
	}{
		{"flag cleared", true, false, 1},
		{"flag set", false, true, 1},
		{"still flagged", true, true, 0},
		{"still not", false, false, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := kit.NATS(t)
			_, js := server.Client(t)
			bus := daemonBus(t, server)
			old, renewed := reading(uid, "a", c.before), reading(uid, "a and one more", c.after)
			for _, r := range []neurotriage.Reading{old, renewed} {
				submit(t, bus, uid)
				job, _ := next(t, bus)
				must(t, "work", work(t.Context(), bus, job, r))
			}
			f, found, err := bus.Finding(t.Context(), renewed.Finding.ID)
			if err != nil || !found || f.Replaces != old.Finding.ID {
				t.Errorf("finding %+v, %v, %v", f, found, err)
			}
			subjects, raw := stored(t, js, "TRIAGE")
			if n := count(subjects, "triage.alert.changed."+renewed.Finding.ID); n != c.changed || count(subjects, "triage.finding.") != 2 {
				t.Errorf("%v", subjects)
			}
			for i, subject := range subjects {
				if count([]string{subject}, "triage.alert.changed.") == 0 {
					continue
				}
				if a := data[events.Alert](t, raw[i]); *a.WasFlagged != c.before || *a.Flagged != c.after || a.Replaces != old.Finding.ID {
					t.Errorf("alert %+v", a)
				}
			}
			e := entry(t, bus, uid)
			if e.Finding.ID != renewed.Finding.ID || e.Finding.Flagged != c.after || e.WasFlagged != (c.before || c.after) {
				t.Errorf("entry %+v, finding %+v", e, e.Finding)
			}
		})
	}
}

func TestAnOlderRunDoesNotOverwriteANewerEntry(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	submit(t, bus, uid)
	older, _ := next(t, bus)
	newer, _ := next(t, bus)
	if !newer.Asked.After(older.Asked) {
		t.Fatalf("order of %v and %v", older.Asked, newer.Asked)
	}
	must(t, "newer", work(t.Context(), bus, newer, reading(uid, "a and one more", false)))
	must(t, "older", work(t.Context(), bus, older, reading(uid, "a", true)))
	e := entry(t, bus, uid)
	if e.Finding.ID != reading(uid, "a and one more", false).Finding.ID || e.State != events.Read || e.Announcement.EventID != newer.EventID {
		t.Errorf("entry %+v, finding %+v", e, e.Finding)
	}
	if !e.WasFlagged {
		t.Error("the flag of the older run is lost")
	}
	f, _, err := bus.Finding(t.Context(), reading(uid, "a", true).Finding.ID)
	if err != nil || f.Replaces != "" {
		t.Errorf("the older finding replaces %q (%v)", f.Replaces, err)
	}
	subjects, _ := stored(t, js, "TRIAGE")
	if count(subjects, "triage.alert.glioma_review.") != 1 {
		t.Errorf("the older run's flag raised no alert: %v", subjects)
	}
}

// Another run may finish between the look at the entry and its change.
func TestARunThatIsOvertakenMeanwhileStillTellsOfAChangedFlag(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	slow, fast := daemonBus(t, server), daemonBus(t, server)
	submit(t, slow, uid)
	submit(t, slow, uid)
	first, _ := next(t, fast)
	second, _ := next(t, slow)
	once := sync.OnceFunc(func() { must(t, "first", work(t.Context(), fast, first, reading(uid, "a", true))) })
	slow.OnStep(func(step string) error {
		if step == "worklist" {
			once()
		}
		return nil
	})
	must(t, "second", work(t.Context(), slow, second, reading(uid, "b", false)))
	subjects, _ := stored(t, js, "TRIAGE")
	if count(subjects, "triage.alert.changed."+reading(uid, "b", false).Finding.ID) != 1 {
		t.Errorf("no alert of the cleared flag: %v", subjects)
	}
	if e := entry(t, slow, uid); e.Finding.ID != reading(uid, "b", false).Finding.ID || !e.WasFlagged {
		t.Errorf("entry %+v", e)
	}
}

func TestMediaHoldScoresAndNoPatient(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	r := reading(uid, "a", false)
	must(t, "work", work(t.Context(), bus, job, r))
	store, err := js.ObjectStore(t.Context(), "triage_media")
	must(t, "bucket", err)
	text, err := store.GetString(t.Context(), r.Finding.ID+"/slices.json")
	must(t, "object", err)
	if want := fmt.Sprintf(`{"finding_id":%q,"study_instance_uid":%q,"labels":["glioma","normal"],"series":[{`, r.Finding.ID, uid); text[:len(want)] != want {
		t.Errorf("slices.json is %s", text)
	}
	_, raw := stored(t, js, "TRIAGE")
	for _, text := range append([]string{text}, string(raw[0])) {
		for _, secret := range []string{"DOE", "JANE", "4711"} {
			if contains(text, secret) {
				t.Errorf("%s stands in %s", secret, text)
			}
		}
	}
}

func TestAFindingThatDoesNotFitIsAnErrorAndNotTheSurroundings(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	submit(t, bus, uid)
	job, _ := next(t, bus)
	odd := reading(uid, "a", false)
	odd.Finding.ID = "a.b"
	other := reading("9.9", "a", false)
	large := reading(uid, "a", false)
	large.Finding.Warnings = []string{string(make([]byte, 2<<20))}
	for name, r := range map[string]neurotriage.Reading{"odd id": odd, "other study": other, "large": large} {
		if err := bus.Outlet().Deliver(t.Context(), job, r); err == nil || errors.Is(err, neurotriage.ErrSurroundings) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
