package events_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// TestRewind hands out again what is asked for, and what is not settled, but
// nothing older.
func TestRewind(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	must(t, "prepare", bus.PrepareFeed(t.Context(), out))
	var made []neurotriage.Finding
	var times []time.Time
	for i := range 4 {
		times = append(times, time.Now())
		made = append(made, find(t, bus, uid+"."+string(rune('1'+i)), "content", false))
	}
	cases := []struct {
		name      string
		unsettled int // this one is handed out at first and never settled; -1: none
		since     time.Time
		again     []int
	}{
		{"the last two", -1, times[2], []int{2, 3}},
		{"all", -1, times[0], []int{0, 1, 2, 3}},
		{"one that waits comes with all after it", 1, times[3], []int{1, 2, 3}},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			feed := events.Feed{Name: "rewound_" + string(rune('a'+i)), Kind: events.FindingFeed}
			must(t, "prepare", bus.PrepareFeed(t.Context(), feed))
			must(t, "rewind to the begin", bus.RewindFeed(t.Context(), feed, times[0]))
			notices, stop := follow(t, bus, feed, func(n events.Notice) error {
				if c.unsettled >= 0 && n.Finding.ID == made[c.unsettled].ID {
					return events.Later(time.Hour)
				}
				return nil
			})
			for range made {
				take(t, notices)
			}
			stop()
			must(t, "rewind", bus.RewindFeed(t.Context(), feed, c.since))
			notices, stop = follow(t, bus, feed, func(events.Notice) error { return nil })
			last := find(t, bus, uid+".9", c.name, false)
			var got []string
			for n := take(t, notices); n.Finding.ID != last.ID; n = take(t, notices) {
				if slices.ContainsFunc(made, func(f neurotriage.Finding) bool { return f.ID == n.Finding.ID }) {
					got = append(got, n.Finding.ID)
				}
			}
			stop()
			var want []string
			for _, i := range c.again {
				want = append(want, made[i].ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("came again %q, want %q", got, want)
			}
		})
	}
	if err := bus.RewindFeed(t.Context(), events.Feed{Name: "nobody", Kind: events.FindingFeed}, times[0]); !errors.Is(err, events.ErrNoFeed) {
		t.Errorf("a feed that nobody follows: %v", err)
	}
}

// TestRewindUnderway: who follows the feed goes on without a restart.
func TestRewindUnderway(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	must(t, "prepare", bus.PrepareFeed(t.Context(), out))
	notices, _ := follow(t, bus, out, func(events.Notice) error { return nil })
	begin := time.Now()
	f := find(t, bus, uid, "content", false)
	for range 3 {
		if n := take(t, notices); n.Finding.ID != f.ID {
			t.Fatalf("came %s, want %s", n.Finding.ID, f.ID)
		}
		must(t, "rewind", clientBus(t, server).RewindFeed(t.Context(), out, begin))
	}
}
