package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestMain(m *testing.M) {
	// nats.go leaves this one behind when media are published while the connection closes: it waits on a nil channel.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(
		"github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

const uid = "1.2.840.1.7"

// daemonBus connects as a daemon does.
func daemonBus(t testing.TB, server *kit.NATSServer, change ...func(*events.Options)) *events.Bus {
	t.Helper()
	bus := clientBus(t, server, change...)
	if err := bus.Prepare(t.Context()); err != nil {
		t.Fatalf("preparing: %v", err)
	}
	return bus
}

func clientBus(t testing.TB, server *kit.NATSServer, change ...func(*events.Options)) *events.Bus {
	t.Helper()
	options := events.Options{URL: server.URL, Instance: "test"}
	for _, fn := range change {
		fn(&options)
	}
	bus, err := events.Connect(t.Context(), options)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(bus.Close)
	return bus
}

func study(uid string) neurotriage.Job {
	return neurotriage.Job{
		StudyInstanceUID: uid, AccessionNumber: "A1", Priority: neurotriage.Urgent,
		Location: neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: uid},
	}
}

func submit(t testing.TB, bus *events.Bus, uid string) neurotriage.Job {
	t.Helper()
	job, err := bus.Submit(t.Context(), study(uid))
	if err != nil {
		t.Fatalf("submitting: %v", err)
	}
	return job
}

// next takes the next job within a minute; refusals come back as such.
func next(t testing.TB, bus *events.Bus) (neurotriage.Job, *neurotriage.Refusal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	job, err := bus.Inbox().Next(ctx)
	var refusal *neurotriage.Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("next: %v", err)
	}
	return job, refusal
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// reading is what a classifier would say of a study whose content is named:
// the same content has the same finding.
func reading(uid, content string, flagged bool) neurotriage.Reading {
	f := neurotriage.Finding{
		Schema: neurotriage.FindingSchema, StudyInstanceUID: uid, Status: neurotriage.StatusRead, Disposition: neurotriage.NotFlagged,
		ID: neurotriage.FindingKey{
			Status: neurotriage.StatusRead, StudyInstanceUID: uid, SOPInstanceUIDs: []string{content}, ModelDigest: "sha256:0",
		}.ID(),
		Probabilities: map[string]float64{"glioma": 0.02, "normal": 0.98}, Thresholds: neurotriage.Thresholds{GliomaReview: 0.17},
		Started: time.Unix(1000, 0).UTC(), Finished: time.Unix(1001, 0).UTC(),
	}
	if flagged {
		f.Disposition, f.Flags.GliomaReview = neurotriage.GliomaReview, true
		f.Probabilities = map[string]float64{"glioma": 0.9, "normal": 0.1}
	}
	return neurotriage.Reading{
		Finding: f, Labels: []string{"glioma", "normal"},
		Study:  neurotriage.Study{UID: uid, Patient: neurotriage.Patient{Name: "DOE^JANE", ID: "4711"}},
		Series: []neurotriage.SeriesReading{{SeriesInstanceUID: uid + ".1", Slices: []neurotriage.SliceScore{{SOPInstanceUID: content}}}},
	}
}

func refusedFinding(job neurotriage.Job, reason neurotriage.Reason) neurotriage.Finding {
	return neurotriage.Finding{
		Schema: neurotriage.FindingSchema, StudyInstanceUID: job.StudyInstanceUID, Status: neurotriage.StatusRefused, Reason: reason,
		Disposition: neurotriage.Refused,
		ID: neurotriage.FindingKey{
			Status: neurotriage.StatusRefused, Reason: reason, StudyInstanceUID: job.StudyInstanceUID, EventID: job.EventID,
		}.ID(),
	}
}

// refusedReading is the refusal of a study whose headers nobody could read.
func refusedReading(job neurotriage.Job, reason neurotriage.Reason) neurotriage.Reading {
	return neurotriage.Reading{Finding: refusedFinding(job, reason)}
}

// work does what the daemon does with a job that can be read.
func work(ctx context.Context, bus *events.Bus, job neurotriage.Job, r neurotriage.Reading) error {
	done, err := bus.Outlet().Delivered(ctx, job, r.Finding.ID)
	if err == nil && !done {
		err = bus.Outlet().Deliver(ctx, job, r)
	}
	if err == nil {
		err = bus.Inbox().Ack(ctx, job)
	}
	return err
}

func entry(t testing.TB, bus *events.Bus, uid string) events.Entry {
	t.Helper()
	e, found, err := bus.Entry(t.Context(), uid)
	if err != nil || !found {
		t.Fatalf("entry of %s: found %v, error %v", uid, found, err)
	}
	return e
}

// stored lists subjects and data of all messages of a stream, by a client that
// is not ours.
func stored(t testing.TB, js jetstream.JetStream, stream string) (subjects []string, data [][]byte) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	must(t, "stream "+stream, err)
	state := s.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
		msg, err := s.GetMsg(t.Context(), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		must(t, "message", err)
		subjects, data = append(subjects, msg.Subject), append(data, msg.Data)
	}
	return subjects, data
}

// data is the data of a CloudEvent.
func data[T any](t testing.TB, raw []byte) (d T) {
	t.Helper()
	var outer struct {
		SpecVersion string          `json:"specversion"`
		Data        json.RawMessage `json:"data"`
	}
	must(t, "event", json.Unmarshal(raw, &outer))
	if outer.SpecVersion != "1.0" {
		t.Fatalf("no CloudEvent 1.0: %s", raw)
	}
	must(t, "data", json.Unmarshal(outer.Data, &d))
	return d
}

func count(subjects []string, prefix string) (n int) {
	for _, s := range subjects {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// wantOneOfEach checks that a flagged study ended as promised.
func wantOneOfEach(t testing.TB, js jetstream.JetStream, bus *events.Bus, id string) {
	t.Helper()
	subjects, _ := stored(t, js, "TRIAGE")
	want := []string{"triage.finding.glioma_review." + id, "triage.alert.glioma_review." + id}
	for _, subject := range want {
		if n := count(subjects, subject); n != 1 {
			t.Errorf("%d messages on %s, want 1 of all %v", n, subject, subjects)
		}
	}
	if len(subjects) != len(want) {
		t.Errorf("the stream holds %v, want %v", subjects, want)
	}
	if e := entry(t, bus, uid); e.State != events.Read || e.Finding == nil || e.Finding.ID != id || !e.WasFlagged || e.Attempts != nil {
		t.Errorf("entry %+v, finding %+v", e, e.Finding)
	}
	waiting, err := js.Stream(t.Context(), "IMAGING")
	must(t, "stream", err)
	if n := waiting.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d announcements are left", n)
	}
}

// announce publishes an event with a given text.
func announce(t testing.TB, js jetstream.JetStream, text string) {
	t.Helper()
	_, err := js.Publish(t.Context(), "imaging.study.available", []byte(text))
	must(t, "announcing", err)
}

func cloudEvent(id, at, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"ris","type":"imaging.study.available","time":%q,"data":%s}`, id, at, data)
}

func directory(uid string) string {
	return fmt.Sprintf(`{"study_instance_uid":%q,"location":{"kind":"directory","root":"incoming","path":"x"}}`, uid)
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// restart stops the server and starts it again, and waits until each bus has seen
// both: what is asked before a client knows that its server is gone is lost, and
// only found out by the timeout of the call.
func restart(t testing.TB, server *kit.NATSServer, buses ...*events.Bus) {
	t.Helper()
	server.Stop()
	for _, bus := range buses {
		kit.Until(t, "the loss of the connection is seen", func() bool { return !bus.Health().Connected })
	}
	server.Start(t)
	for _, bus := range buses {
		kit.Until(t, "the connection is back", func() bool { return bus.Health().Connected })
	}
}
