package daemon

import "neurotriage/events"

// Tune lets a test change how the daemon talks to NATS, before Start.
func (d *Daemon) Tune(fn func(*events.Options)) { d.tune = fn }

// SetFree lets a test fill the disk of the state directory, before Start.
func (d *Daemon) SetFree(free func() uint64) {
	d.disk.free = func(string) (uint64, error) { return free(), nil }
	d.engine.guard, d.library.spool.guard = d.disk.check, d.disk.check
}
