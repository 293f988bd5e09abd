package events_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestForeignStreamsAreCheckedAndNeverAltered(t *testing.T) {
	cases := []struct {
		name   string
		config jetstream.StreamConfig
		want   string // part of the error; empty: it fits
	}{
		{"fits", jetstream.StreamConfig{Name: "IMAGING", Subjects: []string{"imaging.study.*"}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, Description: "the hospital's"}, ""},
		{"limits", jetstream.StreamConfig{Name: "IMAGING", Subjects: []string{"imaging.>"}, Discard: jetstream.DiscardNew},
			"retention is Limits, needed is workqueue"},
		{"discards old", jetstream.StreamConfig{Name: "IMAGING", Subjects: []string{"imaging.>"}, Retention: jetstream.WorkQueuePolicy},
			"discard is DiscardOld, needed is new"},
		{"forgets", jetstream.StreamConfig{Name: "IMAGING", Subjects: []string{"imaging.>"}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, MaxAge: time.Hour}, "max_age is 1h0m0s, needed is none"},
		{"other subjects", jetstream.StreamConfig{Name: "TRIAGE", Subjects: []string{"triage.finding.>"}},
			"do not cover triage.alert.>"},
		{"in memory", jetstream.StreamConfig{Name: "TRIAGE", Subjects: []string{"triage.finding.>", "triage.alert.>"},
			Storage: jetstream.MemoryStorage}, "storage is Memory, needed is file"},
		{"findings with a foreign stream", jetstream.StreamConfig{Name: "TRIAGE", Subjects: []string{"triage.finding.>", "triage.alert.>"},
			AllowDirect: true}, ""},
		{"taken subjects", jetstream.StreamConfig{Name: "ELSEWHERE", Subjects: []string{"imaging.study.*"}},
			"another stream holds these subjects: set nats.prefix"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := kit.NATS(t)
			_, js := server.Client(t)
			made, err := js.CreateStream(t.Context(), c.config)
			must(t, "create", err)
			bus := clientBus(t, server)
			err = bus.Prepare(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("prepare: %v, want %q", err, c.want)
			}
			if c.want == "" {
				submit(t, bus, uid)
				for range 2 {
					job, refusal := next(t, bus)
					if refusal != nil {
						t.Fatal(refusal)
					}
					must(t, "deliver", bus.Outlet().Deliver(t.Context(), job, reading(uid, "a", true)))
					must(t, "hand back", bus.Inbox().HandBack(t.Context(), job, 0, "", false))
				}
			}
			now, err := js.Stream(t.Context(), c.config.Name)
			must(t, "stream", err)
			before, after := made.CachedInfo().Config, now.CachedInfo().Config
			if after.Description != before.Description || after.MaxAge != before.MaxAge || after.Retention != before.Retention ||
				after.Metadata["neurotriage"] != "" || strings.Join(after.Subjects, " ") != strings.Join(before.Subjects, " ") {
				t.Errorf("altered: %+v, was %+v", after, before)
			}
		})
	}
}

func TestOurStreamsTakeNewLimits(t *testing.T) {
	server := kit.NATS(t)
	_, js := server.Client(t)
	daemonBus(t, server).Close()
	daemonBus(t, server, func(o *events.Options) {
		o.Retention = events.Retention{Findings: 30 * time.Second, Media: time.Hour, MediaBytes: 1 << 30, QueueBytes: 1 << 20}
		o.AckWait = 7 * time.Second
	})
	for name, want := range map[string]struct {
		age   time.Duration
		bytes int64
	}{
		"IMAGING": {0, 1 << 20}, "TRIAGE": {30 * time.Second, -1}, "TRIAGE_DEADLETTER": {30 * time.Second, -1},
		"KV_triage_worklist": {30 * time.Second, -1}, "OBJ_triage_media": {time.Hour, 1 << 30}, "OBJ_imaging_inbox": {time.Hour, 1 << 30},
	} {
		stream, err := js.Stream(t.Context(), name)
		must(t, name, err)
		if c := stream.CachedInfo().Config; c.MaxAge != want.age || c.MaxBytes != want.bytes {
			t.Errorf("%s: age %v, bytes %d, want %+v", name, c.MaxAge, c.MaxBytes, want)
		}
	}
	consumer, err := js.Consumer(t.Context(), "IMAGING", "neurotriage")
	if err != nil || consumer.CachedInfo().Config.AckWait != 7*time.Second {
		t.Errorf("consumer %+v, %v", consumer.CachedInfo().Config, err)
	}
}

func TestTwoDaemonsMayPrepareAtOnce(t *testing.T) {
	server := kit.NATS(t)
	results := make(chan error, 4)
	for range 4 {
		bus := clientBus(t, server)
		go func() { results <- bus.Prepare(context.WithoutCancel(t.Context())) }()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestCovered(t *testing.T) {
	cases := []struct {
		patterns, subject string
		want              bool
	}{
		{"imaging.>", "imaging.>", true},
		{"imaging.study.available", "imaging.>", true}, // all that is needed of it
		{"site1.imaging.study.*", "site1.imaging.>", true},
		{"imaging.study", "imaging.>", false},
		{"triage.>", "triage.finding.>", true},
		{"triage.*.>", "triage.finding.>", true},
		{"triage.finding.*", "triage.finding.>", false},
		{"triage.finding.*.*", "triage.finding.>", false},
		{"triage.alert.>", "triage.finding.>", false},
		{">", "triage.finding.>", true},
		{"triage.alert.> triage.finding.>", "triage.finding.>", true},
	}
	for _, c := range cases {
		if got := events.Covered(strings.Fields(c.patterns), c.subject); got != c.want {
			t.Errorf("%s covers %s: %v, want %v", c.patterns, c.subject, got, c.want)
		}
	}
}
