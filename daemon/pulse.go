package daemon

import (
	"sync"
	"time"
)

// stallLimit is how long a worker may be busy without a sign of life (a job
// taken, a slice read) before the daemon counts as dead. Reading the headers of
// a large study from a slow archive share takes minutes, not ten.
const stallLimit = 10 * time.Minute

// pulse knows whether the workers are alive. A worker that waits for work is.
type pulse struct {
	mu    sync.Mutex
	beats map[int]time.Time // of busy workers
	last  time.Time         // any worker's last sign
}

func newPulse() *pulse { return &pulse{beats: map[int]time.Time{}} }

func (p *pulse) beat(worker int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	p.beats[worker] = p.last
}

func (p *pulse) rest(worker int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.beats, worker)
}

// alive reports whether no busy worker is stalled, and the longest silence.
func (p *pulse) alive() (bool, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var silence time.Duration
	for _, beat := range p.beats {
		silence = max(silence, time.Since(beat))
	}
	return silence < stallLimit, silence
}

// lastBeat is the newest sign of any worker.
func (p *pulse) lastBeat() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// idle reports whether no worker has a study in hand.
func (p *pulse) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.beats) == 0
}
