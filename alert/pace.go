package alert

import "time"

// pace lets messages go: so many at once, then one in each interval.
type pace struct {
	burst    int
	interval time.Duration
	full     time.Time // when as many as burst may go again (GCRA's arrival time)
}

// wait tells how long the next message has to wait.
func (p *pace) wait(now time.Time) time.Duration {
	if p.burst <= 0 || p.interval <= 0 || p.full.Before(now) {
		return 0 // a difference with the zero time would overflow
	}
	return max(0, p.full.Sub(now)-time.Duration(p.burst-1)*p.interval)
}

// take counts a message that goes.
func (p *pace) take(now time.Time) {
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(p.interval)
}
