package classifier

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"neurotriage"
)

// Options of a classifier; the zero value is good.
type Options struct {
	KeySlices int              // most key slices of a finding; 0 means 5
	Now       func() time.Time // for concurrent use; nil means time.Now
}

const defaultKeySlices = 5

// Classifier turns slices into readings by one model card. It is safe for
// concurrent use, and all studies share its runner.
type Classifier struct {
	model   neurotriage.Model
	runner  Runner // as given; Info is asked of it
	gate    *gate
	options Options
	glioma  int // columns of the scores
	normal  int
	pool    preparers
}

// New checks the card and makes a classifier over a runner, which it does not
// own.
func New(model neurotriage.Model, runner Runner, options Options) (*Classifier, error) {
	if err := Check(model); err != nil {
		return nil, err
	}
	if options.KeySlices == 0 {
		options.KeySlices = defaultKeySlices
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Classifier{
		model: model, runner: runner, options: options,
		gate:   newGate(runner, model.Input.Size, len(model.Labels)),
		glioma: slices.Index(model.Labels, neurotriage.Glioma), normal: slices.Index(model.Labels, neurotriage.Normal),
		pool: preparers{recipe: model.Recipe, size: model.Input.Size},
	}, nil
}

// Model is the card in force with its digest, and the runtime in use.
func (c *Classifier) Model() (neurotriage.Model, string) {
	return c.model, c.runner.Info().Runtime
}

// Identify gives the id that the study's finding will have, from headers.
func (c *Classifier) Identify(study neurotriage.Study, thresholds neurotriage.Thresholds) string {
	key := neurotriage.FindingKey{
		Status: neurotriage.StatusRead, StudyInstanceUID: study.UID, SOPInstanceUIDs: study.EligibleSOPs(),
		ModelDigest: c.model.Digest, Thresholds: thresholds,
	}
	if len(key.SOPInstanceUIDs) == 0 {
		key.Status, key.Reason = neurotriage.StatusNotAssessable, neurotriage.NothingEligible
	}
	return key.ID()
}

// Classify scores the slices of the eligible series as they come and applies the
// card's rules. A *neurotriage.Refusal that comes with a slice concerns this
// slice alone; when all slices came so, the study is refused with the most
// frequent reason. Any other error ends the reading.
func (c *Classifier) Classify(ctx context.Context, study neurotriage.Study, thresholds neurotriage.Thresholds,
	seq iter.Seq2[neurotriage.Slice, error],
) (neurotriage.Reading, error) {
	started := c.options.Now()
	fail := func(err error) (neurotriage.Reading, error) {
		return neurotriage.Reading{}, fmt.Errorf("classifying study %s: %w", study.UID, err)
	}
	if err := within("thresholds.glioma_review", thresholds.GliomaReview, 0, 1); err != nil {
		return fail(err)
	}
	s := newScoring(c, study)
	if s.slices > 0 {
		if err := s.run(ctx, seq); err != nil {
			return fail(err)
		}
	}
	if refusal := s.refusal(); refusal != nil {
		return fail(refusal)
	}
	reading := s.conclude(thresholds)
	reading.Finding.Started, reading.Finding.Finished = started, c.options.Now()
	return reading, nil
}

// Score reads one slice on its own: no pooling, and nothing is left out. The
// area of the head is 0 when the spacing is unknown.
func (c *Classifier) Score(ctx context.Context, slice neurotriage.Slice) (neurotriage.SliceScore, error) {
	preparer := c.pool.get()
	defer c.pool.put(preparer)
	tensor := make([]float32, c.model.Input.Size*c.model.Input.Size)
	crop, err := preparer.Prepare(slice, tensor)
	if err != nil {
		return neurotriage.SliceScore{}, err
	}
	out, err := c.gate.run(ctx, tensor, 1)
	if err != nil {
		return neurotriage.SliceScore{}, fmt.Errorf("scoring slice %s: %w", slice.SOPInstanceUID, err)
	}
	if err := checkFinite(slice, out); err != nil {
		return neurotriage.SliceScore{}, err
	}
	return c.score(slice, crop, out), nil
}

// score is the row of one slice.
func (c *Classifier) score(slice neurotriage.Slice, crop Crop, out Output) neurotriage.SliceScore {
	return neurotriage.SliceScore{
		SOPInstanceUID: slice.SOPInstanceUID, Frame: slice.Frame, Position: slice.Position,
		Probabilities: Probabilities(out.Logits, c.model.Temperature), OOD: float64(out.OOD[0]), HeadAreaMM2: crop.HeadAreaMM2,
	}
}

var errEmpty = errors.New("the reader ended early")
