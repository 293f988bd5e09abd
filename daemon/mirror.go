package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"neurotriage/events"
	"neurotriage/worklist"
)

// relist is how often the mirror compares itself with the bucket: entries age
// out of it without a message, and a watch can die without a word.
const relist = 5 * time.Minute

// firstList is how long a page waits for a fresh mirror before it says that the
// worklist cannot be read.
const firstList = 10 * time.Second

// mirror keeps the worklist in memory as the bucket's watch tells it, so that a
// page of ten thousand studies costs no ten thousand messages. NATS stays the
// only truth: a restarted daemon fills its mirror from there.
type mirror struct {
	bus *events.Bus

	mu      sync.Mutex
	entries map[string]events.Entry
	full    chan struct{} // closed once everything that there was at the start is in
	list    []worklist.Entry
	waiting map[chan struct{}]struct{}
}

func newMirror(bus *events.Bus) *mirror {
	return &mirror{bus: bus, entries: map[string]events.Entry{}, full: make(chan struct{}), waiting: map[chan struct{}]struct{}{}}
}

// follow keeps the mirror until ctx ends.
func (m *mirror) follow(ctx context.Context) {
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() {
		ticker := time.NewTicker(relist)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				_ = m.compare(ctx) // the next round tries again, and trouble with NATS has its own voice
			}
		}
	})
	complete := sync.OnceFunc(func() { close(m.full) })
	_ = m.bus.MirrorWorklist(ctx, m.put, complete) // ends with ctx
}

func (m *mirror) put(e events.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[e.StudyInstanceUID] = e
	m.list = nil
	for listener := range m.waiting {
		select {
		case listener <- struct{}{}:
		default:
		}
	}
}

// compare takes over what the bucket holds. What the watch told meanwhile is
// newer than the listing and stays.
func (m *mirror) compare(ctx context.Context) error {
	m.mu.Lock()
	before := maps.Clone(m.entries)
	m.mu.Unlock()
	stored, err := m.bus.Worklist(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := make(map[string]events.Entry, len(stored))
	for _, e := range stored {
		fresh[e.StudyInstanceUID] = e
	}
	for uid, now := range m.entries {
		if was, ok := before[uid]; !ok || !was.Updated.Equal(now.Updated) {
			fresh[uid] = now
		}
	}
	m.entries, m.list = fresh, nil
	return nil
}

// Entries lists the worklist. Callers must not change the list.
func (m *mirror) Entries(ctx context.Context) ([]worklist.Entry, error) {
	ctx, stop := context.WithTimeout(ctx, firstList)
	defer stop()
	select {
	case <-m.full:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the first listing of the worklist: %w", context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.list == nil {
		list := make([]worklist.Entry, 0, len(m.entries))
		for _, uid := range slices.Sorted(maps.Keys(m.entries)) {
			list = append(list, shown(m.entries[uid]))
		}
		m.list = list
	}
	return m.list, nil
}

// Announce tells of every change of the worklist.
func (m *mirror) Announce(ctx context.Context, changed func()) error {
	listener := make(chan struct{}, 1)
	m.mu.Lock()
	m.waiting[listener] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.waiting, listener)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-listener:
			changed()
		}
	}
}

// trouble says why the list may be out of date.
func (m *mirror) trouble() string {
	health := m.bus.Health()
	if health.Connected {
		return ""
	}
	return fmt.Sprintf("This list may be out of date: no connection to NATS since %s UTC. New findings are not shown until it is back.",
		health.DownSince.UTC().Format(time.DateTime))
}
