package alert

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are shared by the bells of a daemon, told apart by the label
// destination.
type Metrics struct {
	registerer                  prometheus.Registerer
	sent, failed, alerts, ended *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "neurotriage", Subsystem: "alert", Name: name, Help: help}, []string{"destination"})
	}
	m := &Metrics{
		registerer: registerer,
		sent:       counter("messages_total", "Messages that the destination took."),
		failed:     counter("failures_total", "Messages that the destination did not take; they are tried again."),
		alerts:     counter("sent_total", "Alerts in the messages that the destination took, reminders included."),
		ended:      counter("ended_total", "Alerts not sent or not repeated, because somebody had acknowledged or the matter was over."),
	}
	var errs []error
	for _, one := range []prometheus.Collector{m.sent, m.failed, m.alerts, m.ended} {
		errs = append(errs, registerer.Register(one))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("registering the metrics of alerts: %w", err)
	}
	return m, nil
}

// watch shows a destination from the start, with zeros, since a rise from
// nothing cannot be seen.
func (m *Metrics) watch(destination string, pending func() float64) {
	for _, one := range []*prometheus.CounterVec{m.sent, m.failed, m.alerts, m.ended} {
		one.WithLabelValues(destination)
	}
	_ = m.registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "neurotriage", Subsystem: "alert", Name: "pending",
		Help:        "Alerts that wait: for their escalation, for the end of quiet hours, for their turn, or for the destination.",
		ConstLabels: prometheus.Labels{"destination": destination},
	}, pending)) // taken already: the older bell of this name counts
}
