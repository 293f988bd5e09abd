package events_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestAnOverdueStudyRaisesOneAlertForEachAnnouncement(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	soon := func(o *events.Options) { o.OverdueAfter = time.Nanosecond }
	bus, other := daemonBus(t, server, soon), daemonBus(t, server, soon)
	job := submit(t, bus, uid)
	for range 3 {
		must(t, "scan", bus.Scan(t.Context()))
		must(t, "scan", other.Scan(t.Context()))
		must(t, "scan", daemonBus(t, server, soon).Scan(t.Context())) // a daemon that just started
	}
	subjects, raw := stored(t, js, "TRIAGE")
	if len(subjects) != 1 || subjects[0] != "triage.alert.overdue.1-2-840-1-7" {
		t.Fatalf("alerts %v", subjects)
	}
	a := data[events.Alert](t, raw[0])
	if a.Kind != events.AlertOverdue || a.EventID != job.EventID || a.StudyInstanceUID != uid || a.State != events.Waiting || a.Announced == nil {
		t.Errorf("alert %+v", a)
	}
	submit(t, bus, uid)
	must(t, "scan", bus.Scan(t.Context()))
	must(t, "scan", other.Scan(t.Context()))
	if subjects, _ := stored(t, js, "TRIAGE"); len(subjects) != 2 {
		t.Errorf("after a new announcement: %v", subjects)
	}
}

func TestAStudyInTimeRaisesNoAlert(t *testing.T) {
	cases := []struct {
		name  string
		after time.Duration
		work  bool
	}{
		{"not due", time.Hour, false},
		{"finished", time.Nanosecond, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := kit.NATS(t)
			_, js := server.Client(t)
			bus := daemonBus(t, server, func(o *events.Options) { o.OverdueAfter = c.after })
			submit(t, bus, uid)
			if c.work {
				job, _ := next(t, bus)
				must(t, "work", work(t.Context(), bus, job, reading(uid, "a", false)))
			}
			must(t, "scan", bus.Scan(t.Context()))
			if subjects, _ := stored(t, js, "TRIAGE"); count(subjects, "triage.alert.") != 0 {
				t.Errorf("alerts %v", subjects)
			}
		})
	}
}

func TestTheScanEntersWaitingStudies(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	bus := daemonBus(t, server)
	announce(t, js, "noise") // has no place in the worklist
	submit(t, bus, uid)
	must(t, "scan", bus.Scan(t.Context()))
	e := entry(t, bus, uid)
	if e.State != events.Waiting || e.AccessionNumber != "A1" || e.Priority != neurotriage.Urgent || e.Finding != nil {
		t.Errorf("entry %+v", e)
	}
	if h := bus.Health(); h.QueueDepth != 2 || h.InWork != 0 || h.Err() != nil {
		t.Errorf("health %+v", h)
	}
	next(t, bus)
	next(t, bus)
	must(t, "scan", bus.Scan(t.Context()))
	if e := entry(t, bus, uid); e.State != events.Reading {
		t.Errorf("a scan set back the state: %+v", e)
	}
	all, err := bus.Worklist(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("worklist %+v, %v", all, err)
	}
}

// The server stops delivering a message after MaxDeliver times, and leaves it
// in the stream: nobody would ever read it.
func TestWhatTheServerGaveUpIsQueuedAnew(t *testing.T) {
	for _, startedLater := range []bool{false, true} {
		t.Run(fmt.Sprintf("startedLater=%v", startedLater), func(t *testing.T) {
			server := kit.NATS(t)
			_, js := server.Client(t)
			quickScan := func(o *events.Options) { o.ScanEvery = 20 * time.Millisecond }
			bus := daemonBus(t, server, quickScan)
			submit(t, bus, uid+".1") // stays in work, so the floor stays below
			submit(t, bus, uid)
			busy, _ := next(t, bus)
			var job neurotriage.Job
			for range events.MaxDeliver { // for ever elsewhere: no fault of the study
				var refusal *neurotriage.Refusal
				if job, refusal = next(t, bus); refusal != nil {
					t.Fatal(refusal)
				}
				must(t, "hand back", bus.Inbox().HandBack(t.Context(), job, 0, "elsewhere", false))
			}
			must(t, "busy", work(t.Context(), bus, busy, reading(busy.StudyInstanceUID, "a", false)))
			if startedLater {
				bus.Close()
				bus = daemonBus(t, server, quickScan)
			}
			must(t, "start", bus.Start(t.Context(), func() any { return nil }))
			again, refusal := next(t, bus)
			if refusal != nil || again.EventID != job.EventID || again.Delivery != 1 || !again.Asked.Equal(job.Asked) {
				t.Fatalf("%+v, %v", again, refusal)
			}
			must(t, "work", work(t.Context(), bus, again, reading(uid, "a", false)))
			kit.Until(t, "the queue is empty", func() bool {
				subjects, _ := stored(t, js, "IMAGING")
				return len(subjects) == 0
			})
		})
	}
}

func TestHeartbeatsAndServiceTellOfTheDaemon(t *testing.T) {
	server := kit.NATS(t)
	conn, _ := server.Client(t)
	beats, err := conn.SubscribeSync("triage.heartbeat.>")
	must(t, "subscribe", err)
	must(t, "flush", conn.Flush())
	bus := daemonBus(t, server, func(o *events.Options) {
		o.Instance, o.Version, o.HeartbeatGap = "mri 1", "1.2.3", 10*time.Millisecond
	})
	must(t, "start", bus.Start(t.Context(), func() any { return map[string]string{"model": "m1"} }))
	for range 2 {
		msg, err := beats.NextMsg(10 * time.Second)
		must(t, "heartbeat", err)
		if b := data[events.Heartbeat](t, msg.Data); msg.Subject != "triage.heartbeat.mri-1" || b.Instance != "mri 1" || !b.Healthy || b.Version != "1.2.3" {
			t.Errorf("%s: %+v", msg.Subject, b)
		}
	}
	for subject, want := range map[string]string{
		"$SRV.PING.neurotriage": `"name":"neurotriage"`, "$SRV.INFO.neurotriage": `"version":"1.2.3"`,
		"$SRV.STATS.neurotriage": `"num_requests"`, "triage.status": `{"model":"m1"}`,
	} {
		answer, err := conn.Request(subject, nil, 10*time.Second)
		if err != nil || !contains(string(answer.Data), want) {
			t.Errorf("%s: %v, %v", subject, answer, err)
		}
	}
	bus.Close()
	kit.Until(t, "the service ends with its daemon", func() bool {
		_, err := conn.Request("$SRV.PING.neurotriage", nil, 100*time.Millisecond)
		return errors.Is(err, nats.ErrNoResponders)
	})
}

func TestStreamsAreMadeAsTheContractSays(t *testing.T) {
	for _, prefix := range []string{"", "site1"} {
		t.Run("prefix="+prefix, func(t *testing.T) {
			subject, upper, lower := "", "", ""
			if prefix != "" {
				subject, upper, lower = "site1.", "SITE1_", "site1_"
			}
			server := kit.NATS(t)
			_, js := server.Client(t)
			bus := daemonBus(t, server, func(o *events.Options) { o.Prefix = prefix })
			must(t, "again", bus.Prepare(t.Context()))
			job := submit(t, bus, uid)
			got, _ := next(t, bus)
			r := reading(uid, "a", true)
			must(t, "work", work(t.Context(), bus, got, r))
			subjects, _ := stored(t, js, upper+"TRIAGE")
			if count(subjects, subject+"triage.finding.glioma_review.") != 1 || count(subjects, subject+"triage.alert.glioma_review.") != 1 {
				t.Errorf("event %s: %v", job.EventID, subjects)
			}
			for name, check := range map[string]func(jetstream.StreamConfig) bool{
				"IMAGING": func(c jetstream.StreamConfig) bool {
					return c.Retention == jetstream.WorkQueuePolicy && c.Discard == jetstream.DiscardNew && c.Storage == jetstream.FileStorage &&
						c.Subjects[0] == subject+"imaging.>" && c.MaxBytes == 256<<20
				},
				"TRIAGE": func(c jetstream.StreamConfig) bool {
					return c.Retention == jetstream.LimitsPolicy && c.MaxAge == 90*24*time.Hour && len(c.Subjects) == 2
				},
				"TRIAGE_DEADLETTER": func(c jetstream.StreamConfig) bool { return c.MaxAge == 90*24*time.Hour && c.Duplicates == c.MaxAge },
				"TRIAGE_ASSESSMENT": func(c jetstream.StreamConfig) bool { return c.Subjects[0] == subject+"triage.assessment.>" },
			} {
				stream, err := js.Stream(t.Context(), upper+name)
				must(t, name, err)
				if c := stream.CachedInfo().Config; !check(c) || c.Metadata["neurotriage"] != "1" {
					t.Errorf("%s: %+v", name, c)
				}
			}
			store, err := js.ObjectStore(t.Context(), lower+"triage_media")
			must(t, "media", err)
			if status, err := store.Status(t.Context()); err != nil || status.TTL() != 14*24*time.Hour {
				t.Errorf("media keeps for %v, %v", status.TTL(), err)
			}
			for _, bucket := range []string{lower + "imaging_inbox"} {
				if _, err := js.ObjectStore(t.Context(), bucket); err != nil {
					t.Errorf("%s: %v", bucket, err)
				}
			}
			kv, err := js.KeyValue(t.Context(), lower+"triage_worklist")
			must(t, "worklist", err)
			if _, err := kv.Get(t.Context(), uid); err != nil {
				t.Errorf("entry: %v", err)
			}
		})
	}
}
