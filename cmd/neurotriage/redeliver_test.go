package main

import (
	"strings"
	"testing"
	"time"

	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestRedeliver(t *testing.T) {
	server := kit.NATS(t)
	bus, err := events.Connect(t.Context(), events.Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := bus.PrepareFeed(t.Context(), events.Feed{Name: "pacs", Kind: events.FindingFeed}); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a destination", []string{"pacs"}, exitDone, "pacs gets what it has not got of the last 24h0m0s"},
		{"a time", []string{"pacs", "--since", (90 * time.Minute).String()}, exitDone, "of the last 1h30m0s"},
		{"a destination that is none", []string{"fax"}, exitFailed, "no such feed"},
		{"no destination", nil, exitUsage, "arg"},
		{"no time", []string{"pacs", "--since", "0s"}, exitUsage, "--since"},
	} {
		r := b.run(append([]string{"redeliver", "--nats", server.URL}, c.args...)...)
		if r.want(t, c.code); !strings.Contains(r.err, c.says) {
			t.Errorf("%s: %q, want %q", c.name, r.err, c.says)
		}
	}
}
