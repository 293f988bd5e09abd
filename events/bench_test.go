package events_test

import (
	"fmt"
	"testing"
	"time"

	"neurotriage/events"
	"neurotriage/internal/kit"
)

// Announcing: one confirmed write to the work queue.
func BenchmarkSubmit(b *testing.B) {
	bus := embeddedBus(b)
	job := study(uid)
	for b.Loop() {
		if _, err := bus.Submit(b.Context(), job); err != nil {
			b.Fatal(err)
		}
	}
}

// The whole post of one flagged study, synced to the disk at each step: pull and
// attempt, media, finding, alert, entry, confirmed acknowledgement.
func BenchmarkStudy(b *testing.B) {
	bus := embeddedBus(b)
	for i := 0; b.Loop(); i++ {
		one := fmt.Sprintf("%s.%d", uid, i)
		submit(b, bus, one)
		job, _ := next(b, bus)
		if err := work(b.Context(), bus, job, reading(one, "a", true)); err != nil {
			b.Fatal(err)
		}
	}
}

// A repeat of a study whose finding is out.
func BenchmarkRepeat(b *testing.B) {
	bus := embeddedBus(b)
	r := reading(uid, "a", true)
	for b.Loop() {
		submit(b, bus, uid)
		job, _ := next(b, bus)
		if err := work(b.Context(), bus, job, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWorklist10000(b *testing.B) {
	server := kit.NATS(b)
	bus := daemonBus(b, server)
	fill(b, server, 10_000)
	for b.Loop() {
		if list, err := bus.Worklist(b.Context()); err != nil || len(list) != 10_000 {
			b.Fatal(len(list), err)
		}
	}
}

// From nothing to a server with its streams.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := events.Embedded(b.Context(), events.EmbeddedOptions{Dir: b.TempDir()})
		must(b, "embedded", err)
		bus, err := events.Connect(b.Context(), events.Options{Server: s})
		must(b, "connect", err)
		must(b, "prepare", bus.Prepare(b.Context()))
		bus.Close()
		s.Stop()
	}
}

func embeddedBus(b *testing.B) *events.Bus {
	b.Helper()
	bus, err := events.Connect(b.Context(), events.Options{
		Server: embedded(b, events.EmbeddedOptions{Dir: b.TempDir()}), CallTimeout: time.Minute,
	})
	must(b, "connect", err)
	b.Cleanup(bus.Close)
	must(b, "prepare", bus.Prepare(b.Context()))
	return bus
}

// The check for an earlier finding among 90 days of them.
func BenchmarkFindingAmong50000(b *testing.B) {
	server := kit.NATS(b)
	bus := daemonBus(b, server)
	_, js := server.Client(b)
	for i := range 50_000 {
		if i%2000 == 0 {
			<-js.PublishAsyncComplete()
		}
		if _, err := js.PublishAsync(fmt.Sprintf("triage.finding.not_flagged.id-%d", i), []byte("{}")); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	for b.Loop() {
		if _, found, err := bus.Finding(b.Context(), "absent"); found || err != nil {
			b.Fatal(found, err)
		}
	}
}
