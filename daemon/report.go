package daemon

import (
	"cmp"
	"time"

	"neurotriage"
	"neurotriage/audit"
)

// String gives the verdict's name in logs and metrics.
func (v Verdict) String() string {
	switch v {
	case Done:
		return "done"
	case HandBack:
		return "hand_back"
	case Terminate:
		return "terminate"
	}
	return "unknown"
}

// report writes the one line of a job that ended, and counts it.
func (e *engine) report(r *run, d decision) {
	e.meter.observe(r, d)
	attrs := []any{
		"request", r.job.EventID, "study", r.job.StudyInstanceUID, "attempt", r.job.Delivery,
	}
	switch {
	case d.outcome.Verdict == HandBack:
		// A pause has its own two lines; one for every job would bury them.
		tell := e.log.Debug
		if d.outcome.Counts {
			tell = e.log.Warn
		}
		tell("study handed back", append(attrs, "why", d.outcome.Reason, "not_before", d.outcome.Delay, "counts", d.outcome.Counts)...)
	case d.refusal != nil:
		e.log.Warn("study refused", append(attrs,
			"finding", r.finding.ID, "reason", string(d.refusal.Reason), "err", d.refusal.Err)...)
	case r.repeat:
		e.log.Info("study announced again; its finding is there already", append(attrs, "finding", r.finding.ID)...)
	default:
		e.log.Info("study read", append(attrs, r.summary()...)...)
	}
}

// noteRead tells the log book whose images the model is about to see.
func (e *engine) noteRead(study neurotriage.Study) {
	if e.book == nil {
		return
	}
	e.book.note(audit.Event{Kind: audit.Read, Detail: "read by the model", Studies: []audit.Study{{
		UID: study.UID, PatientID: study.Patient.ID, AccessionNumber: study.AccessionNumber,
	}}})
}

// summary is what the info line says of a study that was read.
func (r *run) summary() []any {
	f := r.finding
	return []any{
		"finding", f.ID, "disposition", string(f.Disposition), "reason", string(f.Reason),
		"glioma", f.Probabilities[neurotriage.Glioma], "slices", r.slices, "runtime", f.Model.Runtime,
		"waited", round(r.waited()), "open", round(r.open), "read", round(r.read), "deliver", round(r.deliver),
	}
}

// waited is the time from the announcement to the first look at the study.
func (r *run) waited() time.Duration {
	if r.job.Asked.IsZero() {
		return 0
	}
	return max(0, r.began.Sub(r.job.Asked))
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// refusedReading is what the worklist and the archive get of a study that was not
// read, with the study's headers where they are known. The event's id stands in
// for the images, which nobody has seen.
func refusedReading(r *run, refusal *neurotriage.Refusal, classifier Classifier, settings settings) neurotriage.Reading {
	card, runtime := classifier.Model()
	key := neurotriage.FindingKey{
		Status: neurotriage.StatusRefused, Reason: refusal.Reason, StudyInstanceUID: r.job.StudyInstanceUID,
		EventID: r.job.EventID, ModelDigest: card.Digest, Thresholds: settings.Thresholds,
	}
	reading := neurotriage.Reading{Labels: card.Labels, Finding: neurotriage.Finding{
		Schema: neurotriage.FindingSchema, ID: key.ID(), StudyInstanceUID: r.job.StudyInstanceUID,
		Status: neurotriage.StatusRefused, Reason: refusal.Reason, Disposition: neurotriage.Refused,
		Thresholds: settings.Thresholds, PredictionSet: []string{}, Series: []neurotriage.SeriesFinding{},
		KeySlices: []neurotriage.KeySlice{}, Warnings: append([]string{}, settings.Warnings...), Reports: []neurotriage.ReportRef{},
		Model: neurotriage.ModelRef{Name: card.Name, Version: card.Version, Digest: card.Digest, Runtime: runtime},
		// Whole seconds would hide how fast a refusal is; UTC keeps one study's findings comparable.
		Started: r.began.UTC(), Finished: time.Now().UTC(),
	}}
	if study := cmp.Or(refusal.Study, r.study); study != nil && study.UID == r.job.StudyInstanceUID {
		reading.Study = *study
	}
	return reading
}
