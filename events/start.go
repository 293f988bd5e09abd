package events

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"neurotriage"
)

// Heartbeat is the data of the event that a daemon sends on
// triage.heartbeat.<instance>, by core NATS: nothing keeps it.
type Heartbeat struct {
	Schema     string    `json:"schema"` // "heartbeat.v1"
	Instance   string    `json:"instance"`
	Version    string    `json:"version"`
	Time       time.Time `json:"time"`
	EverySecs  float64   `json:"every_seconds"` // the next one is due after
	QueueDepth int       `json:"queue_depth"`
	InWork     int       `json:"in_work"`
	Healthy    bool      `json:"healthy"`
	Trouble    string    `json:"trouble,omitempty"`
}

// Start begins a daemon's background work: looking at the queue, heartbeats, and
// the micro service, which answers with status as JSON. Prepare comes first.
func (b *Bus) Start(ctx context.Context, status func() any) error {
	wake := make(chan struct{}, 1)
	advisory := "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + b.names.imaging() + "." + durable
	err := b.strictly(ctx, "starting the service neurotriage", func(ctx context.Context) error {
		_, err := b.nc.Subscribe(advisory, func(*nats.Msg) {
			select {
			case wake <- struct{}{}:
			default: // a scan is due already
			}
		})
		if err != nil {
			return err
		}
		if err := b.serve(status); err != nil {
			return err
		}
		if err := b.nc.FlushWithContext(ctx); err != nil {
			return err
		}
		// The server's denial came before its answer to the flush, and may not
		// have reached the error handler yet.
		if denied := parseDenied(b.nc.LastError()); denied != nil && denied.Operation == "subscribe" {
			return denied
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.spawn(func() { b.watchQueue(wake) })
	b.spawn(b.beat)
	return nil
}

func (b *Bus) serve(status func() any) error {
	service, err := micro.AddService(b.nc, micro.Config{
		Name: "neurotriage", Version: b.opts.Version, Description: "finds studies that need review of a possible glioma first",
		Metadata: map[string]string{"instance": b.opts.Instance, "prefix": b.opts.Prefix},
		Endpoint: &micro.EndpointConfig{
			Subject: b.names.subject("triage.status"),
			Handler: micro.HandlerFunc(func(r micro.Request) {
				if err := r.RespondJSON(status()); err != nil {
					b.log.Warn("a status request was not answered", "error", err)
				}
			}),
		},
	})
	if err != nil {
		return fmt.Errorf("adding the service neurotriage: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service = service
	return nil
}

// watchQueue scans at each tick, and at once when the server gives up on a message.
func (b *Bus) watchQueue(wake <-chan struct{}) {
	ticker := time.NewTicker(b.opts.ScanEvery)
	defer ticker.Stop()
	for {
		err := b.scan(b.ctx)
		if b.ctx.Err() != nil {
			return
		}
		b.note(err)
		select {
		case <-b.ctx.Done():
			return
		case <-ticker.C:
		case <-wake:
		}
	}
}

// note keeps the outcome of the background work for Health, and logs changes of it.
func (b *Bus) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	down := !b.link.since().IsZero()
	switch {
	case err != nil && b.lastErr == nil && !down: // an outage is logged by its own
		b.log.Error("looking after the queue is in trouble", "error", err)
	case err == nil && b.lastErr != nil:
		b.log.Info("looking after the queue works again")
	}
	b.lastErr = err
}

func (b *Bus) beat() {
	ticker := time.NewTicker(b.opts.HeartbeatGap)
	defer ticker.Stop()
	for {
		if err := b.sendHeartbeat(); err == nil {
			b.metrics.heartbeat.SetToCurrentTime()
		}
		select {
		case <-b.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (b *Bus) sendHeartbeat() error {
	health := b.Health()
	beat := Heartbeat{
		Schema: "heartbeat.v1", Instance: b.opts.Instance, Version: b.opts.Version, Time: time.Now().UTC(), EverySecs: b.opts.HeartbeatGap.Seconds(),
		QueueDepth: health.QueueDepth, InWork: health.InWork, Healthy: health.Err() == nil,
	}
	if err := health.Err(); err != nil {
		beat.Trouble = err.Error()
	}
	msg, err := b.envelope(b.names.heartbeat(b.opts.Instance), typeHeartbeat, newID(), "", beat.Time, beat)
	if err != nil {
		return err
	}
	return b.nc.PublishMsg(msg)
}

// Health is how the bus fares.
type Health struct {
	Connected  bool              `json:"connected"`
	Server     string            `json:"server"`
	DownSince  time.Time         `json:"down_since,omitzero"`
	QueueDepth int               `json:"queue_depth"` // announcements that are not settled, as of the last scan
	InWork     int               `json:"in_work"`     // jobs handed out by this process and not settled
	Denied     []PermissionError `json:"denied,omitempty"`
	Trouble    string            `json:"trouble,omitempty"` // of the background work
}

// Health never waits for the server.
func (b *Bus) Health() Health {
	since := b.link.since()
	h := Health{Connected: since.IsZero(), Server: b.address(), DownSince: since, Denied: b.denied.all(), InWork: b.holds.count()}
	b.mu.Lock()
	defer b.mu.Unlock()
	h.QueueDepth = b.depth
	if b.lastErr != nil {
		h.Trouble = b.lastErr.Error()
	}
	return h
}

// Err is nil while all is well; else it says what is wrong and wraps
// [neurotriage.ErrSurroundings].
func (h Health) Err() error {
	switch {
	case !h.Connected:
		return fmt.Errorf("%w: no connection to nats at %s since %s", neurotriage.ErrSurroundings, h.Server, h.DownSince.UTC().Format(time.RFC3339))
	case h.Trouble != "":
		return fmt.Errorf("%w: %s", neurotriage.ErrSurroundings, h.Trouble)
	}
	return nil
}
