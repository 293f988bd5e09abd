package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Part is one thing that the daemon needs, as /readyz shows it.
type Part struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what is so
	Cause  string `json:"cause,omitempty"`  // why it is not well
	Cure   string `json:"cure,omitempty"`   // what a person can do
}

// Health is the answer of /readyz, and of the service on NATS.
type Health struct {
	Ready   bool   `json:"ready"`
	Version string `json:"version"`
	Parts   []Part `json:"parts"`
}

// Health asks every part, the roots at once: a share that hangs holds it up for
// glanceTime, and only that.
func (d *Daemon) Health() Health {
	parts := []Part{d.workPart(), d.natsPart(), d.queuePart(), d.modelPart(), d.storagePart()}
	parts = append(parts, d.in.parts(d.cfg.PACS.Receive)...)
	roots := make([]Part, len(d.places))
	var asking sync.WaitGroup
	for i, place := range d.places {
		asking.Go(func() { roots[i] = place.part() })
	}
	asking.Wait()
	parts = append(append(parts, roots...), d.destinationParts()...)
	broken := slices.ContainsFunc(parts, func(p Part) bool { return !p.OK })
	return Health{Ready: !broken, Version: d.deps.Version, Parts: parts}
}

// workPart is red while the inbox is paused, and when a worker hangs.
func (d *Daemon) workPart() Part {
	if alive, silence := d.pulse.alive(); !alive {
		return broken("work", fmt.Errorf("a worker has been silent for %s", silence.Round(time.Second)),
			"restart the daemon; the study goes on elsewhere or is refused after its attempts")
	}
	if since, cause := d.gate.paused(); cause != nil {
		return broken("work", fmt.Errorf("paused for %s: %w", time.Since(since).Round(time.Second), cause),
			"cure the cause; work goes on by itself")
	}
	return Part{Name: "work", OK: true, Detail: fmt.Sprintf("%d workers", d.cfg.Work.StudiesAtOnce)}
}

func (d *Daemon) natsPart() Part {
	if d.bus == nil {
		return broken("nats", errors.New("not connected yet"), "wait for the start")
	}
	health := d.bus.Health()
	if !health.Connected {
		return broken("nats", health.Err(), "start the server or repair the network; the daemon connects by itself")
	}
	if len(health.Denied) > 0 {
		denied := health.Denied[len(health.Denied)-1]
		return broken("nats", &denied, "grant this permission to the daemon's account")
	}
	return Part{Name: "nats", OK: true, Detail: health.Server}
}

// queuePart is the consumer: whether announced studies can be seen.
func (d *Daemon) queuePart() Part {
	if d.bus == nil {
		return broken("queue", errors.New("not connected yet"), "wait for the start")
	}
	health := d.bus.Health()
	if health.Trouble != "" {
		return broken("queue", errors.New(health.Trouble), "look at the NATS server's log; a stream frozen by a full disk needs its restart")
	}
	return Part{Name: "queue", OK: true, Detail: fmt.Sprintf("%d waiting, %d in work", health.QueueDepth, health.InWork)}
}

func (d *Daemon) modelPart() Part {
	if d.classifier == nil {
		return broken("model", errors.New("not opened yet"), "wait for the start")
	}
	if err := d.runnerHealth(); err != nil {
		return broken("model", err, "look at the log; 'neurotriage doctor' checks the runtime and the GPU")
	}
	card, runtime := d.classifier.Model()
	return Part{Name: "model", OK: true, Detail: strings.Join([]string{card.Name, card.Version, card.Digest, "on " + runtime}, " ")}
}

func (d *Daemon) storagePart() Part {
	if err := d.disk.check(); err != nil {
		return broken("storage", err, "free space on the disk of state_dir")
	}
	free, _ := d.disk.free(d.disk.dir) // asked a moment ago
	return Part{Name: "storage", OK: true, Detail: fmt.Sprintf("%s, %d MB free", d.disk.dir, free>>20)}
}

// part is red when the root is away. An empty root may be a new one, so it is
// only told; a study that is looked for in it pauses the work.
func (p *place) part() Part {
	name := "root " + p.name
	switch err := p.check(); {
	case errors.Is(err, errEmptyRoot):
		return Part{Name: name, OK: true, Detail: p.folder + ", empty: is the share mounted?"}
	case err != nil:
		return broken(name, err, "mount the share, or give the daemon's user the right to read "+p.folder)
	}
	return Part{Name: name, OK: true, Detail: p.folder}
}

func broken(name string, cause error, cure string) Part {
	return Part{Name: name, Cause: cause.Error(), Cure: cure}
}
