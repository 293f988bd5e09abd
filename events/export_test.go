package events

import "context"

// MaxDeliver is the server's limit of deliveries.
const MaxDeliver = maxDeliver

// OnStep calls fn before each thing that is stored; an error ends the call, as
// the end of the process would.
func (b *Bus) OnStep(fn func(step string) error) { b.step = fn }

// Scan looks at the queue once.
func (b *Bus) Scan(ctx context.Context) error { return b.scan(ctx) }

// ReadSubject is the pattern of covered, for tests.
func Covered(patterns []string, subject string) bool { return covered(patterns, subject) }
