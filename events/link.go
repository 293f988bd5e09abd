package events

import (
	"context"
	"errors"
	"sync"
	"time"
)

// link knows whether the connection stands, and wakes those who wait for it.
type link struct {
	mu      sync.Mutex
	lost    time.Time     // zero while connected
	back    chan struct{} // closed at the next reconnection
	standby chan struct{} // closed while connected
}

func newLink() *link {
	return &link{lost: time.Now(), back: make(chan struct{}), standby: make(chan struct{})}
}

// down says whether this begins an outage.
func (l *link) down() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost.IsZero() {
		return false
	}
	l.lost = time.Now()
	l.standby = make(chan struct{})
	return true
}

// up ends an outage and says how long it was.
func (l *link) up() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost.IsZero() {
		l.lost = time.Now() // reconnected before the loss was told
	} else {
		close(l.standby)
	}
	lasted := time.Since(l.lost)
	l.lost = time.Time{}
	close(l.back)
	l.back = make(chan struct{})
	return lasted
}

// since is when the outage began, or zero.
func (l *link) since() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// again is closed when the connection comes back the next time.
func (l *link) again() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.back
}

// wait returns once the connection stands.
func (l *link) wait(ctx context.Context) error {
	l.mu.Lock()
	standing := l.standby
	l.mu.Unlock()
	select {
	case <-standing:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("the connection to nats is down"), context.Cause(ctx))
	}
}
