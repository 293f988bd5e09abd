package pacs

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Pauses after an announcement that could not be made; they double.
const (
	announceAgain     = time.Second
	announceAgainMost = time.Minute
)

// desk decides when the studies that come in are complete. It knows no files:
// only when something came, what series it was of, and who is still connected.
// Its state does not outlive the process; the depot derives it from its files.
type desk struct {
	waiting func(source string) Waiting
	wake    chan struct{}

	mu   sync.Mutex
	open map[string]int // associations by source
	gath map[studyKey]*gathering
}

// gathering is a study of which more may come.
type gathering struct {
	last     time.Time           // when its last object came
	series   map[string]struct{} // descriptions of the series that came
	arrivals int                 // objects that came; tells whether one came meanwhile
	why      string              // it is complete, whatever the clock says; empty: it is not
}

// Grounds for an announcement.
const (
	becauseQuiet   = "quiet"
	becauseClosed  = "closed" // the sender's last association
	becauseAsked   = "asked"
	becauseWatched = "watched"
)

func newDesk(waiting func(string) Waiting) *desk {
	return &desk{waiting: waiting, wake: make(chan struct{}, 1), open: map[string]int{}, gath: map[studyKey]*gathering{}}
}

// arrived notes an object. One that changes nothing begins no wait, but it shows
// that the sender is at work.
func (d *desk) arrived(key studyKey, series string, changes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gath[key]
	if g == nil {
		if !changes {
			return
		}
		g = &gathering{series: map[string]struct{}{}}
		d.gath[key] = g
		defer d.rouse()
	}
	g.last, g.why = time.Now(), ""
	if changes {
		g.series[folded(series)] = struct{}{}
		g.arrivals++
	}
}

// folded makes descriptions and patterns comparable: path.Match treats a slash
// apart, which descriptions hold too.
func folded(text string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), "/", "|")
}

func (d *desk) opened(source string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[source]++
}

// closed completes the studies of a source that has hung up in good order and
// whose series have come.
func (d *desk) closed(source string, good bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[source]--; d.open[source] > 0 {
		return
	}
	delete(d.open, source)
	if !good {
		return
	}
	patterns := d.waiting(source).Series
	for key, g := range d.gath {
		if key.source == source && g.has(patterns) {
			g.why = becauseClosed
			d.rouse()
		}
	}
}

// has reports whether every pattern has matched a series.
func (g *gathering) has(patterns []string) bool {
	for _, pattern := range patterns {
		matches := func(series string) bool {
			ok, _ := path.Match(folded(pattern), series) // the configuration was checked
			return ok
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(g.series)), matches) {
			return false
		}
	}
	return len(patterns) > 0
}

func (d *desk) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// count is the number of studies of which more may come.
func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.gath)
}

func (d *desk) gathers(key studyKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gath[key] != nil
}

// ripe is a study that is complete.
type ripe struct {
	key      studyKey
	why      string
	arrivals int
}

// ripe lists the studies that are complete, oldest first, and when the next one
// will be; zero when none is waited for.
func (d *desk) ripe(now time.Time) (ready []ripe, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range slices.SortedFunc(maps.Keys(d.gath), func(a, b studyKey) int {
		return d.gath[a].last.Compare(d.gath[b].last)
	}) {
		g := d.gath[key]
		due := g.last.Add(d.waiting(key.source).Quiet)
		switch {
		case g.why != "":
			ready = append(ready, ripe{key, g.why, g.arrivals})
		case !due.After(now):
			ready = append(ready, ripe{key, becauseQuiet, g.arrivals})
		case next.IsZero() || due.Before(next):
			next = due
		}
	}
	return ready, next
}

// arrivals tells how many objects of a study have come, before it is announced.
func (d *desk) arrivals(key studyKey) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.gath[key]; g != nil {
		return g.arrivals
	}
	return 0
}

// announced ends the wait, unless something came since arrivals were counted.
func (d *desk) announced(key studyKey, arrivals int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.gath[key]; g != nil && g.arrivals == arrivals {
		delete(d.gath, key)
	}
}

// run announces each study when it is complete, until ctx ends. A study whose
// announcement fails stays complete; all wait a little then, since what failed
// is no study's own.
func (d *desk) run(ctx context.Context, announce func(context.Context, ripe) error) {
	pause := time.Duration(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
			if pause > 0 {
				continue // the timer ends it
			}
		case <-timer.C:
		}
		ready, next := d.ripe(time.Now())
		var err error
		for _, r := range ready {
			if err = announce(ctx, r); err != nil {
				break
			}
			d.announced(r.key, r.arrivals)
		}
		switch {
		case err != nil:
			pause = min(max(announceAgain, 2*pause), announceAgainMost)
			timer.Reset(pause)
			continue
		case len(ready) > 0:
			timer.Reset(0) // objects may have come meanwhile
		case next.IsZero():
			timer.Stop()
		default:
			timer.Reset(time.Until(next))
		}
		pause = 0
	}
}
