package alert

import (
	"strings"
	"testing"
	"time"
)

func TestWindows(t *testing.T) {
	cases := []struct {
		windows  string // separated by commas
		zone     string
		at, want string // RFC 3339; equal: not quiet
	}{
		{"", "UTC", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z"},
		{"22:00-06:30", "UTC", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z"},
		{"22:00-06:30", "UTC", "2026-03-02T21:59:59Z", "2026-03-02T21:59:59Z"},
		{"22:00-06:30", "UTC", "2026-03-02T22:00:00Z", "2026-03-03T06:30:00Z"},
		{"22:00-06:30", "UTC", "2026-03-03T06:29:59Z", "2026-03-03T06:30:00Z"},
		{"22:00-06:30", "UTC", "2026-03-03T06:30:00Z", "2026-03-03T06:30:00Z"},
		{"12:00-13:00", "UTC", "2026-03-02T12:30:00Z", "2026-03-02T13:00:00Z"},
		// 2026-03-06 is a Friday.
		{"sat-sun 00:00-24:00", "UTC", "2026-03-06T23:59:59Z", "2026-03-06T23:59:59Z"},
		{"sat-sun 00:00-24:00", "UTC", "2026-03-07T00:00:00Z", "2026-03-09T00:00:00Z"},
		{"sat-sun 00:00-24:00,22:00-06:30", "UTC", "2026-03-06T23:00:00Z", "2026-03-09T06:30:00Z"},
		{"fri 18:00-08:00", "UTC", "2026-03-07T07:00:00Z", "2026-03-07T08:00:00Z"},
		{"fri 18:00-08:00", "UTC", "2026-03-06T07:00:00Z", "2026-03-06T07:00:00Z"},
		{"SAT-MON 10:00-11:00", "UTC", "2026-03-09T10:30:00Z", "2026-03-09T11:00:00Z"},
		{"22:00-06:30", "Europe/Berlin", "2026-03-02T21:30:00Z", "2026-03-03T05:30:00Z"},
		// The clocks go forward at 2 on 29 March and back at 3 on 25 October.
		{"22:00-06:30", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T04:30:00Z"},
		{"22:00-06:30", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T05:30:00Z"},
		{"02:15-02:45", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-28T12:00:00Z"},
	}
	for _, c := range cases {
		var texts []string
		if c.windows != "" {
			texts = strings.Split(c.windows, ",")
		}
		q, err := ParseWindows(texts, c.zone)
		if err != nil {
			t.Errorf("%s %s: %v", c.windows, c.zone, err)
			continue
		}
		at, _ := time.Parse(time.RFC3339, c.at)
		end, ends := q.end(at)
		if got := end.UTC().Format(time.RFC3339); got != c.want || !ends {
			t.Errorf("%s in %s at %s: %s (%v), want %s", c.windows, c.zone, c.at, got, ends, c.want)
		}
	}
}

func TestWindowsThatAreNone(t *testing.T) {
	cases := []struct{ text, zone string }{
		{"22:00", "UTC"}, {"22:00-25:00", "UTC"}, {"24:00-06:00", "UTC"}, {"06:00-06:00", "UTC"}, {"6:00-7:00", "UTC"}, {"", "UTC"},
		{"monday 06:00-07:00", "UTC"}, {"mon-tue-wed 06:00-07:00", "UTC"}, {"mon", "UTC"}, {"06:00-07:00", "Atlantis/Port"},
		{"00:00-24:00", "UTC"}, // for ever
	}
	for _, c := range cases {
		if _, err := ParseWindows([]string{c.text}, c.zone); err == nil || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("%q in %s: %v", c.text, c.zone, err)
		}
	}
}

// TestPace counts how many messages go in which minute.
func TestPace(t *testing.T) {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	cases := []struct {
		name  string
		pace  pace
		steps int // one a second
		want  int
	}{
		{"any number", pace{}, 100, 100},
		{"no interval", pace{burst: 5}, 100, 100},
		{"five, then one a minute", pace{burst: 5, interval: time.Minute}, 60, 5},
		{"five, then one a minute, for ten minutes", pace{burst: 5, interval: time.Minute}, 600, 14},
		{"one", pace{burst: 1, interval: time.Minute}, 121, 3},
	}
	for _, c := range cases {
		gone := 0
		for i := range c.steps {
			now := start.Add(time.Duration(i) * time.Second)
			if c.pace.wait(now) == 0 {
				c.pace.take(now)
				gone++
			}
		}
		if gone != c.want {
			t.Errorf("%s: %d messages, want %d", c.name, gone, c.want)
		}
	}
}
