package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/model"
	"neurotriage/classifier/onnx"
	"neurotriage/dicomio"
)

// parts is the study in memory, stage by stage, as each stage needs it.
type parts struct {
	folder     string
	runner     classifier.Runner
	card       neurotriage.Model
	classifier *classifier.Classifier
	slices     []neurotriage.Slice
	tensors    []float32
}

// measureParts times each stage alone, the bare runner, and the whole road, in
// rounds that take turns so that a noisy minute hits all of them alike.
func measureParts(ctx context.Context, folder string, rounds int, r *result) error {
	runner, card, err := onnx.Open(onnx.Options{Model: model.ONNX(), Providers: []string{"cpu"}})
	if err != nil {
		return err
	}
	defer runner.Close()
	reader, err := classifier.New(card, runner, classifier.Options{})
	if err != nil {
		return err
	}
	p := &parts{folder: folder, runner: runner, card: card, classifier: reader}
	seen := map[string][]float64{}
	stages := []struct {
		name string
		run  func(context.Context) error
		cpu  bool // its processor time counts, not its wall time
	}{
		{"decoding alone (CPU)", p.decode, true},
		{"preparation alone (CPU)", p.prepare, true},
		{"inference alone (CPU)", p.infer, true},
		{"bare runner", p.bare, false},
		{"end to end", p.whole, false},
	}
	for round := range rounds + 1 {
		for _, stage := range stages {
			watch := startClock()
			if err := stage.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", stage.name, err)
			}
			wall, cpu := watch.stop()
			if round == 0 {
				continue // warm-up
			}
			if stage.cpu {
				wall = cpu
			}
			seen[stage.name] = append(seen[stage.name], wall)
		}
	}
	for name, values := range seen {
		r.Times[name] = median(values)
	}
	r.Slices = len(p.slices)
	sum := r.Times["decoding alone (CPU)"] + r.Times["preparation alone (CPU)"] + r.Times["inference alone (CPU)"]
	r.Figures = append(r.Figures,
		figure{Name: "end to end ÷ (CPU time of its parts ÷ cores)", Value: r.Times["end to end"] / (sum / float64(r.Cores)), Limit: 1.1},
		figure{Name: "slices a second, of the bare runner's", Value: r.Times["bare runner"] / r.Times["end to end"], Limit: 0.85, Least: true})
	return nil
}

func (p *parts) open(ctx context.Context, parallel int) (*dicomio.Study, error) {
	return dicomio.Open(ctx, dicomio.Paths([]string{p.folder}), dicomio.Options{IntendedUse: p.card.IntendedUse, Parallel: parallel})
}

// decode reads headers and pixels of every slice, one after another.
func (p *parts) decode(ctx context.Context) (err error) {
	study, err := p.open(ctx, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, study.Close()) }()
	p.slices = p.slices[:0]
	for slice, err := range study.Slices(ctx) {
		if err != nil {
			return err
		}
		p.slices = append(p.slices, slice)
	}
	return nil
}

func (p *parts) tensorLen() int { return p.card.Input.Size * p.card.Input.Size }

func (p *parts) tensor(i int) []float32 { return p.tensors[i*p.tensorLen() : (i+1)*p.tensorLen()] }

// prepare makes the tensors of all slices with one goroutine.
func (p *parts) prepare(context.Context) error {
	if len(p.tensors) != len(p.slices)*p.tensorLen() {
		p.tensors = make([]float32, len(p.slices)*p.tensorLen())
	}
	preparer := classifier.NewPreparer(p.card.Recipe, p.card.Input.Size)
	for i, slice := range p.slices {
		if _, err := preparer.Prepare(slice, p.tensor(i)); err != nil {
			return err
		}
	}
	return nil
}

// batch runs the tensors from first on, as many as the runner likes at once.
func (p *parts) batch(ctx context.Context, first int) error {
	n := min(p.runner.Info().Batch, len(p.slices)-first)
	_, err := p.runner.Run(ctx, p.tensors[first*p.tensorLen():(first+n)*p.tensorLen()], n)
	return err
}

// infer runs all batches with one goroutine.
func (p *parts) infer(ctx context.Context) error {
	for first := 0; first < len(p.slices); first += p.runner.Info().Batch {
		if err := p.batch(ctx, first); err != nil {
			return err
		}
	}
	return nil
}

// bare runs all batches with as many goroutines as the runner likes: the
// fastest that anything around it could be.
func (p *parts) bare(ctx context.Context) error {
	firsts := make(chan int)
	info := p.runner.Info()
	faults := make([]error, info.Workers)
	var workers sync.WaitGroup
	for worker := range info.Workers {
		workers.Go(func() {
			for first := range firsts {
				faults[worker] = errors.Join(faults[worker], p.batch(ctx, first))
			}
		})
	}
	for first := 0; first < len(p.slices); first += info.Batch {
		firsts <- first
	}
	close(firsts)
	workers.Wait()
	return errors.Join(faults...)
}

// whole goes from files to finding, as the daemon does.
func (p *parts) whole(ctx context.Context) (err error) {
	study, err := p.open(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, study.Close()) }()
	thresholds := neurotriage.Thresholds{GliomaReview: p.card.Thresholds.GliomaReview}
	reading, err := p.classifier.Classify(ctx, study.Study(), thresholds, study.Slices(ctx))
	if err != nil {
		return err
	}
	if reading.Finding.Status != neurotriage.StatusRead {
		return fmt.Errorf("the study ended as %s (%s) after %v", reading.Finding.Status, reading.Finding.Reason, time.Since(reading.Finding.Started))
	}
	return nil
}
