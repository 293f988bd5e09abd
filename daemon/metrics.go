package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
)

// meter holds the engine's metrics. They live on the registry that was handed
// in, so that two daemons can live in one process.
type meter struct {
	studies   *prometheus.CounterVec   // by disposition
	refusals  *prometheus.CounterVec   // by reason
	handBacks *prometheus.CounterVec   // by whether they count
	repeats   prometheus.Counter       // findings that were there already
	slices    prometheus.Counter       // slices decoded and handed to the model
	stages    *prometheus.HistogramVec // seconds by stage: wait, open, read, deliver
	busy      prometheus.Gauge
	paused    prometheus.Gauge
	panics    prometheus.Counter
	unsettled prometheus.Counter
	model     *prometheus.GaugeVec
	build     *prometheus.GaugeVec
	threshold prometheus.Gauge
}

// stageBuckets reach from a repeat (milliseconds) to a study from a slow share.
var stageBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}

func newMeter(registry prometheus.Registerer, version string) (*meter, error) {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "neurotriage", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "neurotriage", Name: name, Help: help}
	}
	m := &meter{
		studies:   prometheus.NewCounterVec(counter("studies_total", "Findings delivered, by disposition."), []string{"disposition"}),
		refusals:  prometheus.NewCounterVec(counter("refusals_total", "Studies refused, by reason."), []string{"reason"}),
		handBacks: prometheus.NewCounterVec(counter("handbacks_total", "Jobs handed back, by whether the attempt counts towards gave_up."), []string{"counts"}),
		repeats:   prometheus.NewCounter(counter("repeats_total", "Jobs whose finding was there already.")),
		slices:    prometheus.NewCounter(counter("slices_total", "Slices decoded and handed to the model.")),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "neurotriage", Name: "stage_seconds", Help: "Seconds a study spent in a stage: wait, open, read, deliver.",
			Buckets: stageBuckets,
		}, []string{"stage"}),
		busy:      prometheus.NewGauge(gauge("busy_workers", "Workers with a study in hand.")),
		paused:    prometheus.NewGauge(gauge("paused", "1 while the inbox is paused because the surroundings fail.")),
		panics:    prometheus.NewCounter(counter("panics_total", "Panics recovered in workers.")),
		unsettled: prometheus.NewCounter(counter("unsettled_total", "Jobs whose end the server did not confirm.")),
		model: prometheus.NewGaugeVec(gauge("model_info", "The model in use; the value is always 1."),
			[]string{"name", "version", "digest", "runtime"}),
		build:     prometheus.NewGaugeVec(gauge("build_info", "The program's version; the value is always 1."), []string{"version"}),
		threshold: prometheus.NewGauge(gauge("glioma_review_threshold", "The glioma review threshold in force.")),
	}
	m.build.WithLabelValues(version).Set(1)
	return m, m.register(registry)
}

// register adds every metric, and shows those with known labels as zero, since
// an alert rule cannot see a rise from nothing.
func (m *meter) register(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
		m.studies, m.refusals, m.handBacks, m.repeats, m.slices, m.stages, m.busy, m.paused, m.panics, m.unsettled,
		m.model, m.build, m.threshold,
	} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	for _, d := range []neurotriage.Disposition{
		neurotriage.GliomaReview, neurotriage.TumourSuspected, neurotriage.NotAssessable, neurotriage.Refused, neurotriage.NotFlagged,
	} {
		m.studies.WithLabelValues(string(d))
	}
	for _, reason := range refusalReasons {
		m.refusals.WithLabelValues(string(reason))
	}
	return nil
}

var refusalReasons = []neurotriage.Reason{
	neurotriage.MalformedEvent, neurotriage.StudyNotFound, neurotriage.NotDICOM, neurotriage.CorruptDICOM,
	neurotriage.UnsupportedTransferSyntax, neurotriage.UnsupportedImage, neurotriage.TooLarge, neurotriage.PathNotAllowed,
	neurotriage.URLNotAllowed, neurotriage.InconsistentStudy, neurotriage.GaveUp,
}

// observe counts a settled job.
func (m *meter) observe(r *run, d decision) {
	switch {
	case d.outcome.Verdict == HandBack:
		m.handBacks.WithLabelValues(map[bool]string{true: "yes", false: "no"}[d.outcome.Counts]).Inc()
		return
	case d.refusal != nil:
		m.refusals.WithLabelValues(string(d.refusal.Reason)).Inc()
		m.studies.WithLabelValues(string(neurotriage.Refused)).Inc()
		return
	case r.repeat:
		m.repeats.Inc()
		return
	}
	m.studies.WithLabelValues(string(r.finding.Disposition)).Inc()
	for stage, seconds := range map[string]float64{
		"wait": r.waited().Seconds(), "open": r.open.Seconds(), "read": r.read.Seconds(), "deliver": r.deliver.Seconds(),
	} {
		m.stages.WithLabelValues(stage).Observe(seconds)
	}
}

// setModel shows the model and the device it runs on.
func (m *meter) setModel(ref neurotriage.ModelRef) {
	m.model.Reset()
	m.model.WithLabelValues(ref.Name, ref.Version, ref.Digest, ref.Runtime).Set(1)
}
