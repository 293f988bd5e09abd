package events_test

import (
	"errors"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// read brings a study to its finding and gives that finding's id.
func readStudy(t *testing.T, bus *events.Bus, uid, content string) string {
	t.Helper()
	submit(t, bus, uid)
	job, _ := next(t, bus)
	r := reading(uid, content, true)
	r.Finding.Series = []neurotriage.SeriesFinding{
		{Modality: "MR", Sequence: neurotriage.Localizer}, {Eligible: true, Modality: "MR", BodyPart: "BRAIN", Sequence: neurotriage.T1C},
	}
	must(t, "work", work(t.Context(), bus, job, r))
	return r.Finding.ID
}

func TestAVerdictIsStoredAndShown(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	id := readStudy(t, bus, uid, "a")
	after, err := bus.Assess(t.Context(), events.Assessment{
		FindingID: id, StudyInstanceUID: uid, Verdict: events.Corrected, Label: "meningioma", Note: "dural tail", User: "dr. roe",
	})
	must(t, "assess", err)
	if e := entry(t, bus, uid); e.Assessed == nil || *e.Assessed != *after.Assessed || e.Assessed.Label != "meningioma" || e.Assessed.User != "dr. roe" {
		t.Errorf("entry %+v", e)
	}
	_, err = bus.Assess(t.Context(), events.Assessment{FindingID: id, StudyInstanceUID: uid, Verdict: events.Acknowledged, User: "night"})
	must(t, "acknowledge", err)
	if e := entry(t, bus, uid); e.Acknowledged == nil || e.Acknowledged.User != "night" || e.Assessed.Verdict != events.Corrected {
		t.Errorf("an acknowledgement stands beside the verdict, not in its place: %+v", e)
	}
	subjects, raw := stored(t, js, "TRIAGE_ASSESSMENT")
	if strings.Join(subjects, " ") != "triage.assessment.corrected triage.assessment.acknowledged" {
		t.Errorf("subjects %q", subjects)
	}
	a := data[events.Assessment](t, raw[0])
	if a.Schema != "assessment.v1" || a.Disposition != neurotriage.GliomaReview || *a.Probability != 0.9 || a.Threshold != 0.17 || a.Sequence != neurotriage.T1C {
		t.Errorf("the event lacks what the finding said: %+v", a)
	}
}

func TestTheEntryTellsWhatWasRead(t *testing.T) {
	bus := daemonBus(t, kit.NATS(t))
	readStudy(t, bus, uid, "a")
	f := entry(t, bus, uid).Finding
	if f.Modality != "MR" || f.BodyPart != "BRAIN" || f.Sequence != neurotriage.T1C || f.Location == nil || *f.Location != study(uid).Location {
		t.Errorf("summary %+v: want the eligible series' words and the place of the study", f)
	}
}

func TestVerdictsThatAreTurnedAway(t *testing.T) {
	bus := daemonBus(t, kit.NATS(t))
	id := readStudy(t, bus, uid, "a")
	whole := events.Assessment{FindingID: id, StudyInstanceUID: uid, Verdict: events.Accepted, User: "u"}
	cases := []struct {
		name   string
		change func(*events.Assessment)
		want   error
	}{
		{"an unknown verdict", func(a *events.Assessment) { a.Verdict = "maybe" }, events.ErrVerdict},
		{"a subject in the verdict", func(a *events.Assessment) { a.Verdict = "accepted.>" }, events.ErrVerdict},
		{"corrected without a label", func(a *events.Assessment) { a.Verdict = events.Corrected }, events.ErrVerdict},
		{"accepted with a label", func(a *events.Assessment) { a.Label = "glioma" }, events.ErrVerdict},
		{"a label that is none", func(a *events.Assessment) { a.Verdict, a.Label = events.Corrected, "<script>" }, events.ErrVerdict},
		{"a note beyond bounds", func(a *events.Assessment) { a.Note = strings.Repeat("x", 4096) }, events.ErrVerdict},
		{"nobody", func(a *events.Assessment) { a.User = "" }, events.ErrVerdict},
		{"a finding that is not in force", func(a *events.Assessment) { a.FindingID = "other" }, events.ErrOutdated},
		{"an unknown study", func(a *events.Assessment) { a.StudyInstanceUID = "9.9" }, events.ErrOutdated},
	}
	for _, c := range cases {
		a := whole
		c.change(&a)
		if _, err := bus.Assess(t.Context(), a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if e := entry(t, bus, uid); e.Assessed != nil {
		t.Errorf("something was stored: %+v", e.Assessed)
	}
}

func TestAVerdictOutlivesTheWorklist(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	id := readStudy(t, bus, uid, "a")
	for _, verdict := range []events.Verdict{events.Rejected, events.Accepted} {
		_, err := bus.Assess(t.Context(), events.Assessment{FindingID: id, StudyInstanceUID: uid, Verdict: verdict, User: "u"})
		must(t, "assess", err)
	}
	before := entry(t, bus, uid)
	must(t, "losing the bucket", js.DeleteKeyValue(t.Context(), "triage_worklist"))
	must(t, "preparing again", bus.Prepare(t.Context()))
	after := entry(t, bus, uid)
	if after.Assessed == nil || *after.Assessed != *before.Assessed || after.Finding.Location == nil || after.Finding.Sequence != neurotriage.T1C {
		t.Errorf("after %+v, before %+v", after, before)
	}
}
