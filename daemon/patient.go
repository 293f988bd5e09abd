package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/worklist"
)

// How long a name is kept in memory, and how many are.
const (
	patientLife  = 10 * time.Minute
	patientsHeld = 64
	patientLooks = 2 // at once: triage goes first
)

// registry says who the patient of a study is, from the headers beside the
// finding, or where the study lies. It writes nothing down.
type registry struct {
	bus    *events.Bus
	reader Reader
	ctx    context.Context
	work   sync.WaitGroup
	turns  chan struct{}

	mu    sync.Mutex
	known map[string]*lookup // by finding
}

// lookup is one look at a study's headers.
type lookup struct {
	began   time.Time
	done    chan struct{} // closed when the rest is set
	patient neurotriage.Patient
	err     error
}

func newRegistry(ctx context.Context, bus *events.Bus, reader Reader) *registry {
	return &registry{bus: bus, reader: reader, ctx: ctx, turns: make(chan struct{}, patientLooks), known: map[string]*lookup{}}
}

// Patient waits for the headers, at most as long as ctx. A look that takes
// longer goes on, for the next who asks.
func (g *registry) Patient(ctx context.Context, e worklist.Entry) (neurotriage.Patient, error) {
	l := g.look(e)
	select {
	case <-l.done:
		return l.patient, l.err
	case <-ctx.Done():
		return neurotriage.Patient{}, ctx.Err()
	}
}

func (g *registry) look(e worklist.Entry) *lookup {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.known[e.FindingID]; l != nil && !l.stale() {
		return l
	}
	for id, l := range g.known {
		if l.stale() || len(g.known) >= patientsHeld {
			delete(g.known, id)
		}
	}
	l := &lookup{began: time.Now(), done: make(chan struct{})}
	g.known[e.FindingID] = l
	g.work.Go(func() {
		defer close(l.done)
		l.patient, l.err = g.read(e)
	})
	return l
}

// stale reports whether the study should be looked at anew.
func (l *lookup) stale() bool {
	select {
	case <-l.done:
		return time.Since(l.began) > patientLife || l.err != nil && time.Since(l.began) > stackPatience
	default:
		return false
	}
}

func (g *registry) read(e worklist.Entry) (neurotriage.Patient, error) {
	select {
	case g.turns <- struct{}{}:
		defer func() { <-g.turns }()
	case <-g.ctx.Done():
		return neurotriage.Patient{}, g.ctx.Err()
	}
	// The headers stand beside the finding as long as its pictures do.
	kept, err := (&post{bus: g.bus}).study(g.ctx, neurotriage.Finding{ID: e.FindingID, StudyInstanceUID: e.StudyInstanceUID})
	if err == nil && kept.Patient != (neurotriage.Patient{}) {
		return kept.Patient, nil
	}
	study, err := reopen(g.ctx, g.bus, g.reader, e)
	if err != nil {
		return neurotriage.Patient{}, err
	}
	return study.Study().Patient, study.Close()
}

// reopen opens the study of an entry's finding where it lay when it was read.
func reopen(ctx context.Context, bus *events.Bus, reader Reader, e worklist.Entry) (OpenStudy, error) {
	entry, found, err := bus.Entry(ctx, e.StudyInstanceUID)
	if err != nil {
		return nil, err
	}
	if !found || entry.Finding == nil || entry.Finding.ID != e.FindingID || entry.Finding.Location == nil {
		return nil, fmt.Errorf("where study %s lies is not known: %w", e.StudyInstanceUID, worklist.ErrNotFound)
	}
	study, err := reader.Open(ctx, neurotriage.Job{StudyInstanceUID: e.StudyInstanceUID, Location: *entry.Finding.Location})
	if refusal(err) != nil || errors.Is(err, neurotriage.ErrElsewhere) {
		return nil, fmt.Errorf("%w: %w", worklist.ErrNotFound, err)
	}
	return study, err
}
