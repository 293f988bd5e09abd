package daemon

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"neurotriage"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func testPolicy() policy {
	return policy{maxAttempts: 5, grace: time.Minute, now: func() time.Time { return noon }, jitter: exactly}
}

func TestDecide(t *testing.T) {
	broken := errors.New("read: input/output error")
	surroundings := fmt.Errorf("writing: %w", neurotriage.ErrSurroundings)
	elsewhere := fmt.Errorf("root: %w", neurotriage.ErrElsewhere)
	missing := neurotriage.Refuse(neurotriage.StudyNotFound, "no folder")
	corrupt := neurotriage.Refuse(neurotriage.CorruptDICOM, "no end")
	const long = -time.Hour
	cases := []struct {
		name     string
		err      error
		attempt  int
		asked    time.Duration // from now
		stopping bool
		verdict  Verdict
		delay    time.Duration
		counts   bool
		refused  neurotriage.Reason
		pauses   bool
	}{
		{"all delivered", nil, 1, long, false, Done, 0, false, "", false},
		{"all delivered while stopping", nil, 1, long, true, Done, 0, false, "", false},
		{"refusal", corrupt, 1, long, false, Terminate, 0, false, neurotriage.CorruptDICOM, false},
		{"refusal deep inside", fmt.Errorf("reading: %w", corrupt), 1, long, false, Terminate, 0, false, neurotriage.CorruptDICOM, false},
		{"refusal while stopping may be the stop's doing", corrupt, 1, long, true, HandBack, 0, false, "", false},
		{"cancelled by a stop", context.Canceled, 5, long, true, HandBack, 0, false, "", false},
		{"surroundings", surroundings, 1, long, false, HandBack, time.Second, false, "", true},
		{"surroundings never give up", surroundings, 99, long, false, HandBack, time.Second, false, "", true},
		{"a refusal that the surroundings caused", errors.Join(surroundings, corrupt), 1, long, false, HandBack, time.Second, false, "", true},
		{"surroundings while stopping pause nothing", surroundings, 1, long, true, HandBack, 0, false, "", false},
		{"elsewhere", elsewhere, 1, long, false, HandBack, time.Second, false, "", false},
		{"elsewhere never gives up", elsewhere, 99, long, false, HandBack, time.Second, false, "", false},
		{"first attempt", broken, 1, long, false, HandBack, time.Second, true, "", false},
		{"second attempt", broken, 2, long, false, HandBack, 5 * time.Second, true, "", false},
		{"third attempt", broken, 3, long, false, HandBack, 30 * time.Second, true, "", false},
		{"fourth attempt", broken, 4, long, false, HandBack, 2 * time.Minute, true, "", false},
		{"last attempt", broken, 5, long, false, Terminate, 0, false, neurotriage.GaveUp, false},
		{"beyond the last", broken, 6, long, false, Terminate, 0, false, neurotriage.GaveUp, false},
		{"a server that does not count", broken, 0, long, false, HandBack, time.Second, true, "", false},
		{"not found, just announced", missing, 1, -time.Second, false, HandBack, 5 * time.Second, false, "", false},
		{"not found, just announced, never gives up", missing, 99, -59 * time.Second, false, HandBack, 5 * time.Second, false, "", false},
		{"not found after the grace", missing, 1, -60 * time.Second, false, Terminate, 0, false, neurotriage.StudyNotFound, false},
		{"not found, a clock slightly ahead", missing, 1, 30 * time.Second, false, HandBack, 5 * time.Second, false, "", false},
		{"not found, announced in the far future", missing, 1, time.Hour, false, Terminate, 0, false, neurotriage.StudyNotFound, false},
		{"another refusal has no grace", corrupt, 1, -time.Second, false, Terminate, 0, false, neurotriage.CorruptDICOM, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job := neurotriage.Job{Delivery: c.attempt, Asked: noon.Add(c.asked)}
			got := testPolicy().decide(job, c.err, c.stopping)
			if got.outcome.Verdict != c.verdict || got.outcome.Delay != c.delay || got.outcome.Counts != c.counts {
				t.Errorf("outcome %v after %s, counts %v; want %v after %s, counts %v",
					got.outcome.Verdict, got.outcome.Delay, got.outcome.Counts, c.verdict, c.delay, c.counts)
			}
			var reason neurotriage.Reason
			if got.refusal != nil {
				reason = got.refusal.Reason
			}
			if reason != c.refused {
				t.Errorf("refused for %q, want %q", reason, c.refused)
			}
			if (got.pause != nil) != c.pauses {
				t.Errorf("pause: %v, want one: %v", got.pause, c.pauses)
			}
			if c.verdict == Terminate && got.outcome.Reason != string(c.refused) {
				t.Errorf("the server is told %q, want %q", got.outcome.Reason, c.refused)
			}
		})
	}
}

// What the last attempt met is what a person needs to read in the dead letter.
func TestGaveUpKeepsTheCause(t *testing.T) {
	cause := errors.New("read: input/output error")
	got := testPolicy().decide(neurotriage.Job{Delivery: 5}, cause, false)
	if !errors.Is(got.refusal, cause) {
		t.Errorf("refusal %v does not hold its cause", got.refusal)
	}
}

func TestUnstoredRefusal(t *testing.T) {
	cases := []struct {
		name     string
		err      error
		stopping bool
		delay    time.Duration
		pauses   bool
	}{
		{"nats is away", fmt.Errorf("publishing: %w", neurotriage.ErrSurroundings), false, time.Second, true},
		{"anything else", errors.New("too big"), false, 10 * time.Second, false},
		{"stopping", fmt.Errorf("publishing: %w", neurotriage.ErrSurroundings), true, 0, false},
	}
	for _, c := range cases {
		got := testPolicy().unstored(c.err, c.stopping)
		if got.outcome.Verdict != HandBack || got.outcome.Counts || got.outcome.Delay != c.delay || (got.pause != nil) != c.pauses || got.refusal != nil {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestRetryDelayStopsGrowing(t *testing.T) {
	for attempt, want := range map[int]time.Duration{-1: time.Second, 0: time.Second, 5: 10 * time.Minute, 6: 10 * time.Minute, 1 << 30: 10 * time.Minute} {
		if got := retryDelay(attempt); got != want {
			t.Errorf("after attempt %d: %s, want %s", attempt, got, want)
		}
	}
}

func exactly(d time.Duration) time.Duration { return d }

func TestAboutStaysNear(t *testing.T) {
	for range 1000 {
		if d := about(time.Second); d < time.Second/2 || d >= 3*time.Second/2 {
			t.Fatalf("about a second is %s", d)
		}
	}
}
