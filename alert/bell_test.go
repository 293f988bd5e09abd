package alert_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
	"neurotriage/alert"
)

// receiver takes messages down, or refuses them.
type receiver struct {
	mu     sync.Mutex
	refuse func(number int) error
	tries  int
	got    []alert.Message
	when   []time.Time
}

func (r *receiver) Send(_ context.Context, m alert.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if r.refuse != nil {
		if err := r.refuse(r.tries); err != nil {
			return err
		}
	}
	r.got, r.when = append(r.got, m), append(r.when, time.Now())
	return nil
}

func (r *receiver) Check(context.Context) error { return nil }

// told lists what was sent: minutes since start, and the keys of each message.
func (r *receiver) told(start time.Time) string {
	var lines []string
	for i, m := range r.got {
		var keys []string
		for _, a := range m.Alerts {
			keys = append(keys, a.Key)
		}
		slices.Sort(keys)
		lines = append(lines, fmt.Sprintf("%s %s", r.when[i].Sub(start).Round(time.Minute), strings.Join(keys, "+")))
	}
	return strings.Join(lines, ", ")
}

// ledger knows since when somebody has acknowledged, and when matters are over.
type ledger struct {
	start       time.Time
	acked, over map[string]time.Duration // by finding or event
	err         error
}

func (l *ledger) Standing(_ context.Context, a alert.Alert) (alert.Standing, error) {
	since := func(all map[string]time.Duration) bool {
		for _, id := range []string{a.FindingID, a.EventID} {
			if after, ok := all[id]; ok && time.Since(l.start) >= after {
				return true
			}
		}
		return false
	}
	return alert.Standing{Acknowledged: since(l.acked), Over: since(l.over)}, l.err
}

func (l *ledger) Patient(context.Context, alert.Alert) (neurotriage.Patient, error) {
	return neurotriage.Patient{Name: "Doe^Jane", ID: "MRN-77"}, nil
}

// feed does with alerts what the stream does: hands each out until the bell is
// done with it, several side by side.
func feed(ctx context.Context, b *alert.Bell, alerts ...alert.Alert) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, a := range alerts {
		all.Go(func() {
			if wait := time.Until(a.Raised); wait > 0 {
				time.Sleep(wait)
			}
			for held := false; ; held = true {
				err := b.Handle(ctx, a, held)
				again, waits := errors.AsType[*alert.Again](err)
				if !waits {
					return
				}
				time.Sleep(again.After)
			}
		})
	}
	return &all
}

func review(id string, raised time.Time) alert.Alert {
	yes := true
	return alert.Alert{Kind: alert.Review, FindingID: id, StudyInstanceUID: "1.2." + id, Raised: raised, Flagged: &yes, AccessionNumber: "A" + id}
}

func changed(id string, raised time.Time, flagged bool) alert.Alert {
	return alert.Alert{Kind: alert.Changed, FindingID: id, StudyInstanceUID: "1.2." + id, Raised: raised, Flagged: &flagged}
}

func overdue(id string, raised time.Time) alert.Alert {
	return alert.Alert{Kind: alert.Overdue, EventID: id, StudyInstanceUID: "1.2." + id, Raised: raised}
}

// TestBell says what a destination is told, and when, under each rule. The clock
// starts on a Saturday at midnight (UTC).
func TestBell(t *testing.T) {
	at := func(d time.Duration) func(time.Time) time.Time {
		return func(s time.Time) time.Time { return s.Add(d) }
	}
	now := at(0)
	night, err := alert.ParseWindows([]string{"22:00-06:30"}, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		opts   alert.Options
		ledger ledger
		refuse func(int) error
		alerts func(start time.Time) []alert.Alert
		want   string
	}{
		{name: "at once", alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }, want: "0s a"},
		{name: "each by itself", alerts: func(s time.Time) []alert.Alert {
			return []alert.Alert{review("a", now(s)), changed("b", at(time.Minute)(s), false), overdue("c", at(2*time.Minute)(s))}
		}, want: "0s a, 1m0s b/changed, 2m0s overdue:c"},
		{name: "one finding, one message", alerts: func(s time.Time) []alert.Alert {
			return []alert.Alert{review("a", now(s)), changed("a", now(s), true)}
		}, want: "0s a"},
		{name: "a destination of changes only", opts: alert.Options{Kinds: []alert.Kind{alert.Changed}}, alerts: func(s time.Time) []alert.Alert {
			return []alert.Alert{review("a", now(s)), changed("a", now(s), true)}
		}, want: "0s a/changed"},
		{name: "escalation", opts: alert.Options{After: 10 * time.Minute}, alerts: func(s time.Time) []alert.Alert {
			return []alert.Alert{review("a", now(s))}
		}, want: "10m0s a"},
		{name: "acknowledged before the escalation", opts: alert.Options{After: 10 * time.Minute}, ledger: ledger{acked: map[string]time.Duration{"a": 9 * time.Minute}},
			alerts: func(s time.Time) []alert.Alert {
				return []alert.Alert{review("a", now(s)), review("b", at(time.Minute)(s))}
			},
			want: "11m0s b"},
		{name: "overtaken before the escalation", opts: alert.Options{After: 10 * time.Minute}, ledger: ledger{over: map[string]time.Duration{"a": time.Minute}},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }},
		{name: "overtaken and never told", ledger: ledger{over: map[string]time.Duration{"a": 0}},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }, want: "0s a"},
		{name: "reminders until somebody acknowledges", opts: alert.Options{Repeat: 15 * time.Minute}, ledger: ledger{acked: map[string]time.Duration{"a": 40 * time.Minute}},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }, want: "0s a, 15m0s a/1, 30m0s a/2"},
		{name: "reminders end after a day", opts: alert.Options{Repeat: 8 * time.Hour},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }, want: "0s a, 8h0m0s a/1, 16h0m0s a/2, 24h0m0s a/3"},
		{name: "quiet hours hold and bundle", opts: alert.Options{Quiet: night, QuietBreak: []alert.Kind{alert.Review}},
			alerts: func(s time.Time) []alert.Alert {
				return []alert.Alert{overdue("c", at(time.Hour)(s)), review("a", at(2*time.Hour)(s)), changed("b", at(3*time.Hour)(s), false), overdue("d", at(7*time.Hour)(s))}
			}, want: "2h0m0s a, 6h30m0s b/changed+overdue:c, 7h0m0s overdue:d"},
		{name: "quiet hours for all", opts: alert.Options{Quiet: night},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", at(time.Hour)(s))} }, want: "6h30m0s a"},
		{name: "acknowledged in the night", opts: alert.Options{Quiet: night}, ledger: ledger{acked: map[string]time.Duration{"a": 5 * time.Hour}},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", at(time.Hour)(s))} }},
		{name: "found in the night", opts: alert.Options{Quiet: night}, ledger: ledger{over: map[string]time.Duration{"c": 5 * time.Hour}},
			alerts: func(s time.Time) []alert.Alert { return []alert.Alert{overdue("c", at(time.Hour)(s))} }, want: "6h30m0s overdue:c"},
		{name: "too many at once", opts: alert.Options{Burst: 2, Interval: 10 * time.Minute},
			alerts: func(s time.Time) []alert.Alert {
				var all []alert.Alert
				for i, id := range []string{"a", "b", "c", "d", "e"} {
					all = append(all, review(id, at(time.Duration(i)*time.Second)(s)))
				}
				return append(all, review("f", at(15*time.Minute)(s)), review("g", at(45*time.Minute)(s)))
			}, want: "0s a, 0s b, 10m0s c+d+e, 20m0s f, 45m0s g"},
		{name: "a receiver that comes back", refuse: func(number int) error {
			if number <= 4 {
				return errors.New("down")
			}
			return nil
		}, alerts: func(s time.Time) []alert.Alert {
			return []alert.Alert{review("a", now(s)), overdue("b", at(3*time.Second)(s)), overdue("c", at(4*time.Second)(s))}
		}, want: "0s a+overdue:b+overdue:c"},
		{name: "a receiver that asks for time", refuse: func(number int) error {
			if number == 1 {
				return &alert.Busy{After: 3 * time.Minute, Err: errors.New("429")}
			}
			return nil
		}, alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }, want: "3m0s a"},
		{name: "a sender that panics", refuse: func(number int) error {
			if number == 1 {
				panic("slip")
			}
			return nil
		}, alerts: func(s time.Time) []alert.Alert { return []alert.Alert{review("a", now(s))} }, want: "0s a"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				to := &receiver{refuse: c.refuse}
				c.ledger.start = start
				c.opts.Name, c.opts.Sender, c.opts.Ledger = "x", to, &c.ledger
				feed(t.Context(), alert.New(c.opts), c.alerts(start)...).Wait()
				if got := to.told(start); got != c.want {
					t.Errorf("%s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// TestBellLosesNothing has the receiver be down at random while many alerts come,
// with every rule that holds them back.
func TestBellLosesNothing(t *testing.T) {
	night, err := alert.ParseWindows([]string{"22:00-06:30", "sat-sun 12:00-13:00"}, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		to := &receiver{refuse: func(number int) error {
			if number%3 != 0 {
				return errors.New("down")
			}
			return nil
		}}
		bell := alert.New(alert.Options{
			Sender: to, Ledger: &ledger{start: start}, Quiet: night, Burst: 3, Interval: 5 * time.Minute, After: 10 * time.Minute,
		})
		var alerts []alert.Alert
		for i := range 300 {
			raised := start.Add(time.Duration(i*i) * time.Second)
			alerts = append(alerts, []alert.Alert{review(fmt.Sprint(i), raised), changed(fmt.Sprint(i), raised, false), overdue(fmt.Sprint(i), raised)}[i%3])
		}
		feed(t.Context(), bell, alerts...).Wait()
		times := map[string]int{}
		for _, m := range to.got {
			for _, a := range m.Alerts {
				times[a.Key]++
			}
		}
		if len(times) != len(alerts) {
			t.Errorf("%d of %d alerts were told", len(times), len(alerts))
		}
		for key, n := range times {
			if n != 1 {
				t.Errorf("%s was told %d times", key, n)
			}
		}
	})
}

// TestBellRepeats hands an alert out again after it was sent, as a feed does
// whose confirmation was lost, and to a bell that was started anew.
func TestBellRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		opts := alert.Options{Sender: to, Ledger: &ledger{}}
		a := review("a", time.Now())
		bell := alert.New(opts)
		for _, one := range []*alert.Bell{bell, bell, alert.New(opts)} {
			if err := one.Handle(t.Context(), a, false); err != nil {
				t.Fatal(err)
			}
		}
		if len(to.got) != 2 || to.got[0].ID != to.got[1].ID || to.got[0].Alerts[0].Key != to.got[1].Alerts[0].Key {
			t.Errorf("%+v", to.got)
		}
	})
}

// TestBellStops ends the daemon while alerts are gathered: nothing is sent, and
// the feed gets all of them back.
func TestBellStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		bell := alert.New(alert.Options{Sender: to, Ledger: &ledger{}})
		ctx, cancel := context.WithCancel(t.Context())
		var hands sync.WaitGroup
		for _, id := range []string{"a", "b"} {
			hands.Go(func() {
				if err := bell.Handle(ctx, review(id, time.Now()), true); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		hands.Wait()
		if to.tries != 0 {
			t.Errorf("%d tries", to.tries)
		}
	})
}

func TestBellNamesNobody(t *testing.T) {
	for _, on := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			to := &receiver{}
			bell := alert.New(alert.Options{Sender: to, Ledger: &ledger{}, Patient: on, Link: "https://x.example/studies/{study}"})
			if err := bell.Handle(t.Context(), review("a", time.Now()), false); err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%s %s %+v", to.got[0].Subject(), to.got[0].Text(), to.got[0].Alerts)
			for _, secret := range []string{"Jane", "MRN-77", "Accession number: Aa"} {
				if strings.Contains(text, secret) != on {
					t.Errorf("%v: %s", on, text)
				}
			}
			if !strings.Contains(text, "https://x.example/studies/1.2.a") {
				t.Errorf("no link: %s", text)
			}
		})
	}
}

func TestBellWaitsForItsLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		bell := alert.New(alert.Options{Sender: to, Ledger: &ledger{err: errors.New("nats is away")}})
		again, waits := errors.AsType[*alert.Again](bell.Handle(t.Context(), review("a", time.Now()), false))
		if !waits || again.Err == nil || again.After <= 0 || to.tries != 0 {
			t.Errorf("%v after %d tries", again, to.tries)
		}
	})
}

func TestBellCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		metrics, err := alert.NewMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		to := &receiver{refuse: func(number int) error {
			if number == 1 {
				return errors.New("down")
			}
			return nil
		}}
		at := time.Now()
		late := alert.New(alert.Options{Name: "late", Sender: to, Ledger: &ledger{start: at, acked: map[string]time.Duration{"b": 0}}, After: time.Hour, Metrics: metrics})
		prompt := alert.New(alert.Options{Name: "prompt", Sender: to, Ledger: &ledger{}, Metrics: metrics})
		_ = late.Handle(t.Context(), review("a", at), false)
		_ = late.Handle(t.Context(), review("b", at.Add(-2*time.Hour)), true)
		feed(t.Context(), prompt, review("a", at)).Wait()
		want := map[string]float64{
			"pending late": 1, "pending prompt": 0, "sent_total prompt": 1, "sent_total late": 0, "messages_total prompt": 1,
			"failures_total prompt": 1, "ended_total late": 1,
		}
		for name, value := range want {
			if got := metric(t, registry, name); got != value {
				t.Errorf("%s is %g, want %g", name, got, value)
			}
		}
	})
}

// metric reads "name destination".
func metric(t *testing.T, registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	short, destination, _ := strings.Cut(name, " ")
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "neurotriage_alert_"+short && m.GetLabel()[0].GetValue() == destination {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
