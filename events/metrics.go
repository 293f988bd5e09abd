package events

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	registry   prometheus.Registerer
	connected  prometheus.Gauge
	reconnects prometheus.Counter
	depth      prometheus.Gauge
	oldest     prometheus.Gauge
	heartbeat  prometheus.Gauge
	redelivery prometheus.Counter
	requeued   prometheus.Counter
	alerts     *prometheus.CounterVec
	dead       *prometheus.CounterVec
	publish    *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "neurotriage", Subsystem: "events", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "neurotriage", Subsystem: "events", Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "neurotriage", Subsystem: "events", Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		registry:   registry,
		connected:  gauge("connected", "1 while the connection to NATS stands."),
		reconnects: counter("reconnects_total", "Connections to NATS that came back."),
		depth:      gauge("queue_depth", "Announced studies that are not settled."),
		oldest:     gauge("oldest_waiting_seconds", "Age of the oldest announcement that is not settled."),
		heartbeat:  gauge("heartbeat_timestamp_seconds", "Unix time of the last heartbeat event that was sent."),
		redelivery: counter("redeliveries_total", "Announcements that were delivered before."),
		requeued:   counter("requeued_total", "Announcements queued anew after the server gave up on them."),
		alerts:     vector("alerts_total", "Alerts that were published.", "kind"),
		dead:       vector("deadletters_total", "Dead letters that were published.", "reason"),
		publish: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "neurotriage", Subsystem: "events", Name: "publish_seconds",
			Help: "Time from publishing to the server's confirmation.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"kind"}),
	}
	for i, c := range m.all() {
		if err := registry.Register(c); err != nil {
			for _, registered := range m.all()[:i] {
				registry.Unregister(registered)
			}
			return nil, fmt.Errorf("registering the metrics of events: %w", err)
		}
	}
	m.connected.Set(1)
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.connected, m.reconnects, m.depth, m.oldest, m.heartbeat, m.redelivery, m.requeued, m.alerts, m.dead, m.publish,
	}
}

func (m *metrics) unregister() {
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}
