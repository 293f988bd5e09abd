package pacs

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ReceiveMetrics count what comes in. The label source is a configured name, so
// its values are few.
type ReceiveMetrics struct {
	objects      *prometheus.CounterVec
	bytes        *prometheus.CounterVec
	seconds      prometheus.Histogram
	announced    *prometheus.CounterVec
	removed      *prometheus.CounterVec
	depot        prometheus.Gauge
	associations *prometheus.CounterVec
	refused      prometheus.Counter
	open         prometheus.Gauge
}

func newReceiveMetrics() *ReceiveMetrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "neurotriage", Subsystem: "pacs", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "neurotriage", Subsystem: "pacs", Name: name, Help: help}
	}
	return &ReceiveMetrics{
		objects: prometheus.NewCounterVec(counter("objects_total",
			"Objects received, by source and outcome: stored, identical (sent again), conflict, own (a report of ours that came back), refused, full, failed."),
			[]string{"source", "outcome"}),
		bytes: prometheus.NewCounterVec(counter("received_bytes_total", "Bytes of the objects that were taken."), []string{"source"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "neurotriage", Subsystem: "pacs", Name: "store_seconds", Help: "Seconds from an object's first byte until it was kept.",
			Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
		}),
		announced: prometheus.NewCounterVec(counter("announcements_total",
			"Studies announced, by source and by why they counted as complete: quiet, closed, asked."), []string{"source", "why"}),
		removed:      prometheus.NewCounterVec(counter("removed_studies_total", "Studies removed after they were read, by age or bytes."), []string{"why"}),
		depot:        prometheus.NewGauge(gauge("depot_bytes", "Size of the received studies.")),
		associations: prometheus.NewCounterVec(counter("associations_total", "Associations that ended, by source and end."), []string{"source", "end"}),
		refused:      prometheus.NewCounter(counter("refused_associations_total", "Associations that were refused.")),
		open:         prometheus.NewGauge(gauge("associations_open", "Associations now.")),
	}
}

// NewReceiveMetrics registers the metrics.
func NewReceiveMetrics(registerer prometheus.Registerer) (*ReceiveMetrics, error) {
	m := newReceiveMetrics()
	var errs []error
	for _, one := range []prometheus.Collector{m.objects, m.bytes, m.seconds, m.announced, m.removed, m.depot, m.associations, m.refused, m.open} {
		errs = append(errs, registerer.Register(one))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("registering the metrics of the receiver: %w", err)
	}
	return m, nil
}

// source keeps a label from growing without bound, should a caller pass a
// sender's own words.
func (m *ReceiveMetrics) source(name string) string {
	if !sourceName.MatchString(name) {
		return "invalid"
	}
	return name
}

func (m *ReceiveMetrics) stored(source string, receipt Receipt, err error, took time.Duration) {
	source = m.source(source)
	outcome := string(receipt.Outcome)
	switch {
	case err == nil:
		m.bytes.WithLabelValues(source).Add(float64(receipt.Bytes))
		m.seconds.Observe(took.Seconds())
	case errors.Is(err, ErrFull):
		outcome = "full"
	case errors.Is(err, ErrClass), errors.Is(err, ErrMismatch), errors.Is(err, ErrUnreadable), errors.Is(err, ErrTooLarge), errors.Is(err, errTwisted):
		outcome = "refused"
	default:
		outcome = "failed"
	}
	m.objects.WithLabelValues(source, outcome).Inc()
}
