package pacs

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// CourierMetrics are shared by the couriers of a daemon, told apart by the
// label destination.
type CourierMetrics struct {
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	up       *prometheus.GaugeVec
}

// NewCourierMetrics registers the metrics.
func NewCourierMetrics(registerer prometheus.Registerer) (*CourierMetrics, error) {
	m := &CourierMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "neurotriage_delivery_attempts_total",
			Help: "Attempts to deliver a finding, by outcome: delivered, turned_away, outage, postponed, nothing (to deliver), failed (given up).",
		}, []string{"destination", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "neurotriage_delivery_seconds",
			Help:    "How long an attempt took.",
			Buckets: prometheus.ExponentialBuckets(0.01, 3, 9),
		}, []string{"destination"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "neurotriage_destination_up",
			Help: "1 while the destination answers, 0 during an outage.",
		}, []string{"destination"}),
	}
	var errs []error
	for _, one := range []prometheus.Collector{m.attempts, m.seconds, m.up} {
		errs = append(errs, registerer.Register(one))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("registering the metrics of deliveries: %w", err)
	}
	return m, nil
}
