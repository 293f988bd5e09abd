package pacs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
	"neurotriage/pacs"
)

// desk is a post of one courier: what is handed in is carried at once.
type desk struct {
	mu    sync.Mutex
	carry func(context.Context, pacs.Parcel, int) error
	ready chan struct{}
	notes []string
	fail  error // of Note
}

func (d *desk) Follow(ctx context.Context, _ string, fn func(context.Context, pacs.Parcel, int) error) error {
	d.carry = fn
	close(d.ready)
	<-ctx.Done()
	return ctx.Err()
}

func (d *desk) Pack(_ context.Context, p *pacs.Parcel) error {
	p.Study.UID = "packed"
	return nil
}

func (d *desk) Note(_ context.Context, destination string, p pacs.Parcel, one pacs.Delivery) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %s", destination, p.Finding.ID, one.State, one.Attempts, one.Note)))
	return d.fail
}

type deliver func(context.Context, pacs.Parcel) error

func (fn deliver) Deliver(ctx context.Context, p pacs.Parcel) error { return fn(ctx, p) }

// courier starts one inside a bubble of synctest.
func courier(t *testing.T, options pacs.CourierOptions) (*desk, *pacs.Courier, context.CancelFunc) {
	t.Helper()
	d := &desk{ready: make(chan struct{})}
	options.Name, options.Post = "pacs", d
	c := pacs.NewCourier(options)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	<-d.ready
	return d, c, cancel
}

func parcelOf(id string) pacs.Parcel { return pacs.Parcel{Finding: neurotriage.Finding{ID: id}} }

var errOutage = fmt.Errorf("calling: %w", neurotriage.ErrSurroundings)

// TestCourierSettles lists one attempt and what becomes of it.
func TestCourierSettles(t *testing.T) {
	no := errors.New("no")
	cases := []struct {
		name    string
		attempt int
		deliver deliver
		settled bool // nil is returned: the parcel is done with
		after   time.Duration
		note    string // empty: none
	}{
		{"taken", 1, func(context.Context, pacs.Parcel) error { return nil }, true, 0, "pacs f delivered 1"},
		{"taken at last", 7, func(context.Context, pacs.Parcel) error { return nil }, true, 0, "pacs f delivered 7"},
		{"turned away", 2, func(context.Context, pacs.Parcel) error { return no }, false, 0, "pacs f pending 2 no"},
		{"turned away too often", 3, func(context.Context, pacs.Parcel) error { return no }, true, 0, "pacs f failed 3 no"},
		{"rejected for good", 1, func(context.Context, pacs.Parcel) error { return fmt.Errorf("no: %w", pacs.ErrRejected) }, true, 0,
			"pacs f failed 1 no: rejected for good"},
		{"an outage", 1, func(context.Context, pacs.Parcel) error { return errOutage }, false, time.Second, "pacs f pending 0 calling: surroundings fail"},
		{"an outage does not use up attempts", 3, func(context.Context, pacs.Parcel) error { return errOutage }, false, time.Second,
			"pacs f pending 2 calling: surroundings fail"},
		{"nothing to deliver", 1, func(context.Context, pacs.Parcel) error { return pacs.ErrNothing }, true, 0, ""},
		{"postponed", 2, func(context.Context, pacs.Parcel) error { return &pacs.Postponed{After: time.Hour, Err: no} }, false, time.Hour,
			"pacs f pending 1 no"},
		{"a panic", 1, func(context.Context, pacs.Parcel) error { panic("patient Doe") }, false, 0, "pacs f pending 1 delivering: panic (string)"},
		{"a standstill", 1, func(ctx context.Context, _ pacs.Parcel) error { <-ctx.Done(); return ctx.Err() }, false, time.Second,
			"pacs f pending 0 surroundings fail: nothing was settled within 1m0s (context deadline exceeded)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _, _ := courier(t, pacs.CourierOptions{Destination: c.deliver, Attempts: 3, Timeout: time.Minute})
				err := d.carry(t.Context(), parcelOf("f"), c.attempt)
				var postponed *pacs.Postponed
				if (err == nil) != c.settled || errors.As(err, &postponed) != (c.after > 0) || c.after > 0 && postponed.After != c.after {
					t.Errorf("settled with %v", err)
				}
				if got := strings.Join(d.notes, "\n"); got != c.note {
					t.Errorf("noted %q, want %q", got, c.note)
				}
				d.fail, d.notes = errors.New("no link"), nil
				if err := d.carry(t.Context(), parcelOf("f"), c.attempt); c.note != "" && !errors.Is(err, d.fail) {
					t.Errorf("what could not be noted was settled with %v", err)
				}
			})
		})
	}
}

// TestCourierPauses: during an outage one parcel is tried after each pause,
// whose length doubles up to a minute, and none is held; the first success ends it.
func TestCourierPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried []time.Duration
		start, down := time.Now(), true
		d, c, _ := courier(t, pacs.CourierOptions{Destination: deliver(func(_ context.Context, p pacs.Parcel) error {
			if p.Study.UID != "packed" {
				t.Error("a parcel goes out unpacked")
			}
			tried = append(tried, time.Since(start))
			if down {
				return errOutage
			}
			return nil
		})})
		postponed := func(id string) time.Duration {
			var p *pacs.Postponed
			if err := d.carry(t.Context(), parcelOf(id), 1); !errors.As(err, &p) {
				t.Fatalf("parcel %s: %v", id, err)
			}
			return p.After
		}
		for range 9 {
			after := postponed("first")
			for _, id := range []string{"second", "third"} {
				if other := postponed(id); other != after {
					t.Errorf("the %s parcel comes again after %s, the pause is %s", id, other, after)
				}
			}
			time.Sleep(after)
		}
		want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(tried, want) {
			t.Errorf("tried at %v, want %v", tried, want)
		}
		if since, cause := c.Outage(); !since.Equal(start) || cause == nil {
			t.Errorf("outage since %v of %v", since, cause)
		}
		if got := d.notes[1]; got != "pacs second pending 0 calling: surroundings fail" {
			t.Errorf("a parcel that waits is noted as %q", got)
		}
		down = false
		for _, id := range []string{"first", "second", "third"} {
			if err := d.carry(t.Context(), parcelOf(id), 1); err != nil {
				t.Fatalf("after the outage, the %s parcel: %v", id, err)
			}
		}
		if since, cause := c.Outage(); cause != nil || !since.IsZero() {
			t.Errorf("the outage goes on since %v", since)
		}
		down = true
		if after := postponed("next"); after != time.Second {
			t.Errorf("the next outage begins with a pause of %s", after)
		}
	})
}

// TestCourierStops at once, and holds a stop against nobody.
func TestCourierStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, c, _ := courier(t, pacs.CourierOptions{Destination: deliver(func(ctx context.Context, _ pacs.Parcel) error {
			<-ctx.Done()
			return fmt.Errorf("%w: broken off", neurotriage.ErrSurroundings)
		})})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.carry(ctx, parcelOf("f"), 1) }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, cause := c.Outage(); cause != nil || len(d.notes) > 0 {
			t.Errorf("the stop passed for an outage (%v) with the notes %q", cause, d.notes)
		}
	})
}

// TestCourierFollowsAgain after trouble with its feed.
func TestCourierFollowsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &trouble{}
		c := pacs.NewCourier(pacs.CourierOptions{Name: "pacs", Post: p, Destination: deliver(nil)})
		ctx, cancel := context.WithTimeout(t.Context(), 10500*time.Millisecond)
		defer cancel()
		c.Run(ctx)
		if p.follows != 11 {
			t.Errorf("followed %d times in ten seconds and a half", p.follows)
		}
	})
}

type trouble struct {
	desk
	follows int
}

func (p *trouble) Follow(context.Context, string, func(context.Context, pacs.Parcel, int) error) error {
	p.follows++
	return errors.New("no such stream")
}

func TestCourierMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		metrics, err := pacs.NewCourierMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		answer := errOutage
		d, _, _ := courier(t, pacs.CourierOptions{Metrics: metrics, Destination: deliver(func(context.Context, pacs.Parcel) error { return answer })})
		for _, c := range []struct {
			answer error
			want   map[string]float64
		}{
			{errOutage, map[string]float64{"up": 0, "outage": 1}},
			{nil, map[string]float64{"up": 1, "outage": 1, "delivered": 1}},
			{pacs.ErrRejected, map[string]float64{"up": 1, "outage": 1, "delivered": 1, "failed": 1}},
		} {
			answer = c.answer
			time.Sleep(time.Minute) // longer than any pause
			_ = d.carry(t.Context(), parcelOf("f"), 1)
			if got := gathered(t, registry); !maps.Equal(got, c.want) {
				t.Errorf("after %v: %v, want %v", c.answer, got, c.want)
			}
		}
		if _, err := pacs.NewCourierMetrics(registry); err == nil {
			t.Error("registered twice")
		}
	})
}

// gathered is the state of the destination and the count of each outcome.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if g := metric.GetGauge(); g != nil {
				got["up"] = g.GetValue()
			}
			if c := metric.GetCounter(); c != nil {
				got[metric.GetLabel()[1].GetValue()] = c.GetValue()
			}
		}
	}
	return got
}

func TestRule(t *testing.T) {
	parcel := pacs.Parcel{
		Sources: []string{"received", "mri1"},
		Finding: neurotriage.Finding{Disposition: neurotriage.GliomaReview, Series: []neurotriage.SeriesFinding{{Modality: "SR"}, {Modality: "MR"}}},
	}
	cases := []struct {
		name string
		rule pacs.Rule
		want bool
	}{
		{"none", pacs.Rule{}, true},
		{"its disposition", pacs.Rule{Dispositions: []neurotriage.Disposition{neurotriage.Refused, neurotriage.GliomaReview}}, true},
		{"another disposition", pacs.Rule{Dispositions: []neurotriage.Disposition{neurotriage.Refused}}, false},
		{"its root", pacs.Rule{Sources: []string{"received"}}, true},
		{"its sender", pacs.Rule{Sources: []string{"mri2", "mri1"}}, true},
		{"another sender", pacs.Rule{Sources: []string{"mri2"}}, false},
		{"its modality", pacs.Rule{Modalities: []string{"mr"}}, true},
		{"another modality", pacs.Rule{Modalities: []string{"CT"}}, false},
		{"all of it", pacs.Rule{Dispositions: []neurotriage.Disposition{neurotriage.GliomaReview}, Sources: []string{"mri1"}, Modalities: []string{"MR"}}, true},
		{"all but the sender", pacs.Rule{Dispositions: []neurotriage.Disposition{neurotriage.GliomaReview}, Sources: []string{"x"}, Modalities: []string{"MR"}}, false},
	}
	for _, c := range cases {
		if got := c.rule.Match(parcel); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		synctest.Test(t, func(t *testing.T) {
			came := false
			d, _, _ := courier(t, pacs.CourierOptions{When: c.rule, Destination: deliver(func(context.Context, pacs.Parcel) error { came = true; return nil })})
			if err := d.carry(t.Context(), parcel, 1); err != nil || came != c.want {
				t.Errorf("%s: carried %v, %v", c.name, came, err)
			}
		})
	}
}

// TestPriority is never below what the PACS gave.
func TestPriority(t *testing.T) {
	order := []neurotriage.Priority{"", neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat}
	for given, priority := range order {
		for _, flagged := range []bool{false, true} {
			p := pacs.Parcel{Job: neurotriage.Job{Priority: priority}, Finding: neurotriage.Finding{Flags: neurotriage.Flags{GliomaReview: flagged}}}
			got := slices.Index(order, p.Priority())
			if got < max(given, 1) || flagged && got < 2 || !flagged && got != max(given, 1) {
				t.Errorf("given %q, flagged %v: %q", priority, flagged, p.Priority())
			}
		}
	}
}
