package onnx

import (
	"fmt"
	"math"
	"slices"
	"time"

	"neurotriage"
	"neurotriage/classifier"
)

// probabilityTolerance is how far a provider's probabilities may be from the
// CPU's.
const probabilityTolerance = 1e-3

// hopeless is how many times slower than the CPU a small batch may be before a
// full one is not even tried.
const hopeless = 8

// judge holds a candidate against the CPU on the golden inputs, warm: scores
// first, then speed. It gives the milliseconds a slice and why the candidate is
// refused, or "".
func judge(candidate, cpu engine, cpuMillis float64, p classifier.Package) (millis float64, reason string) {
	tensors := p.Golden.Tensors(p.Model.Input.Size)
	n := min(p.Golden.Count, candidate.batch())
	got, err := inChunks(candidate, tensors, n, p.Model.Input.Size)
	if err != nil {
		return 0, err.Error()
	}
	want, err := inChunks(cpu, tensors, n, p.Model.Input.Size)
	if err != nil {
		return 0, err.Error()
	}
	for i := range n {
		if reason := disagreement(p.Model, row(got, i, n), row(want, i, n)); reason != "" {
			return 0, fmt.Sprintf("golden input %d: %s", i, reason)
		}
	}
	// A first look at a few slices: a device that is far too slow, or is drawn by
	// the CPU itself, must not cost a minute of full batches at every start.
	started := time.Now()
	if _, err := inChunks(candidate, tensors, n, p.Model.Input.Size); err != nil {
		return 0, err.Error()
	}
	if millis = time.Since(started).Seconds() * 1000 / float64(n); millis > hopeless*cpuMillis {
		return millis, fmt.Sprintf("far slower than the CPU: %.1f ms a slice, the CPU takes %.2f", millis, cpuMillis)
	}
	millis, err = warmMillis(candidate, p)
	switch {
	case err != nil:
		return 0, err.Error()
	case millis >= cpuMillis:
		return millis, fmt.Sprintf("no faster than the CPU: %.2f ms a slice, the CPU takes %.2f", millis, cpuMillis)
	}
	return millis, ""
}

func row(o classifier.Output, i, n int) []float32 {
	labels := len(o.Logits) / n
	return o.Logits[i*labels : (i+1)*labels]
}

// disagreement says how two rows of logits would lead to different findings.
func disagreement(model neurotriage.Model, got, want []float32) string {
	p, q := classifier.Probabilities(got, model.Temperature), classifier.Probabilities(want, model.Temperature)
	top := func(v []float64) int { return slices.Index(v, slices.Max(v)) }
	for i := range p {
		if !(math.Abs(p[i]-q[i]) <= probabilityTolerance) { // NaN disagrees
			return fmt.Sprintf("p(%s) is %v, the CPU says %v", model.Labels[i], p[i], q[i])
		}
	}
	if top(p) != top(q) {
		return fmt.Sprintf("%s leads, for the CPU %s does", model.Labels[top(p)], model.Labels[top(q)])
	}
	glioma := slices.Index(model.Labels, neurotriage.Glioma)
	for _, bar := range []float64{model.Thresholds.GliomaReview, model.Thresholds.GliomaReviewSlice} {
		if (p[glioma] >= bar) != (q[glioma] >= bar) {
			return fmt.Sprintf("p(glioma) is %v and for the CPU %v, on different sides of %v", p[glioma], q[glioma], bar)
		}
	}
	return ""
}

// warmMillis times full batches of one caller after a first one to warm up, and
// takes the fastest of three: others may be at work on this machine.
func warmMillis(e engine, p classifier.Package) (float64, error) {
	n, size := e.batch(), p.Model.Input.Size*p.Model.Input.Size
	golden := p.Golden.Tensors(p.Model.Input.Size)
	tensors := make([]float32, 0, n*size)
	for len(tensors) < n*size {
		tensors = append(tensors, golden[:min(len(golden), n*size-len(tensors))]...)
	}
	best := time.Duration(math.MaxInt64)
	for i := range 4 {
		started := time.Now()
		if _, err := e.run(tensors, n); err != nil {
			return 0, err
		}
		if i > 0 {
			best = min(best, time.Since(started))
		}
	}
	return best.Seconds() * 1000 / float64(n), nil
}

// inChunks runs n tensors in batches that the engine accepts.
func inChunks(e engine, tensors []float32, n, side int) (classifier.Output, error) {
	if n <= e.batch() {
		return e.run(tensors, n)
	}
	var all classifier.Output
	for from := 0; from < n; from += e.batch() {
		to := min(n, from+e.batch())
		part, err := e.run(tensors[from*side*side:to*side*side], to-from)
		if err != nil {
			return classifier.Output{}, err
		}
		all.Logits = append(all.Logits, part.Logits...)
		all.CAMs = append(all.CAMs, part.CAMs...)
		all.OOD = append(all.OOD, part.OOD...)
		all.MapRows, all.MapColumns = part.MapRows, part.MapColumns
	}
	return all, nil
}
