package classifier

import (
	"context"
	"errors"
	"fmt"
	"math"

	"neurotriage"
)

// GoldenTolerance is how far a runner's logits may be from the golden ones, which
// were taken at the export and held against PyTorch's there.
const GoldenTolerance = 1e-3

// Golden holds what the network must answer to inputs made by a formula, so that
// a wrong library, a damaged file or a faulty device is noticed before it reads
// a study.
type Golden struct {
	Count   int         `json:"count"`
	Formula string      `json:"formula"` // "sine.v1"
	Logits  [][]float64 `json:"logits"`
	OOD     []float64   `json:"ood"`
}

const (
	goldenFormula = "sine.v1"
	maxGolden     = 64
)

func (g Golden) check(labels int) error {
	if g.Formula != goldenFormula {
		return fmt.Errorf("golden.formula: %q is not known here, only %q is", g.Formula, goldenFormula)
	}
	if g.Count < 1 || g.Count > maxGolden || len(g.Logits) != g.Count || len(g.OOD) != g.Count {
		return fmt.Errorf("golden.count: %d with %d rows of logits and %d domain scores; 1 to %d of each are wanted",
			g.Count, len(g.Logits), len(g.OOD), maxGolden)
	}
	for i, row := range g.Logits {
		if len(row) != labels {
			return fmt.Errorf("golden.logits[%d]: %d values for %d labels", i, len(row), labels)
		}
	}
	return nil
}

// Tensors gives the inputs, one after another: input k is
// 0.5 + 0.5·sin(0.05·(k+1)·column + 0.03·(k+2)·row).
func (g Golden) Tensors(size int) []float32 {
	tensors := make([]float32, 0, g.Count*size*size)
	for k := range g.Count {
		for y := range size {
			for x := range size {
				phase := 0.05*float64(k+1)*float64(x) + 0.03*float64(k+2)*float64(y)
				tensors = append(tensors, float32(0.5+0.5*math.Sin(phase)))
			}
		}
	}
	return tensors
}

// Verify runs the golden inputs one by one and reports every score that is off:
// logits by more than [GoldenTolerance], domain scores by more than a thousandth
// of their size. worst is the largest difference of a logit.
func (g Golden) Verify(ctx context.Context, model neurotriage.Model, runner Runner) (worst float64, err error) {
	size, labels := model.Input.Size, len(model.Labels)
	gate, tensors := newGate(runner, size, labels), g.Tensors(size)
	var errs []error
	for k := range g.Count {
		out, err := gate.run(ctx, tensors[k*size*size:], 1)
		if err != nil {
			return worst, fmt.Errorf("running golden input %d: %w", k, err)
		}
		for i, want := range g.Logits[k] {
			off := math.Abs(float64(out.Logits[i]) - want)
			worst = max(worst, off)
			if !(off <= GoldenTolerance) { // NaN is off too
				errs = append(errs, fmt.Errorf("golden input %d: logit of %s is %v, %v is right", k, model.Labels[i], out.Logits[i], want))
			}
		}
		if off := math.Abs(float64(out.OOD[0]) - g.OOD[k]); !(off <= 1e-3*max(1, math.Abs(g.OOD[k]))) {
			errs = append(errs, fmt.Errorf("golden input %d: domain score is %v, %v is right", k, out.OOD[0], g.OOD[k]))
		}
	}
	return worst, errors.Join(errs...)
}
