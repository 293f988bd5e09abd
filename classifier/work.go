package classifier

import (
	"context"
	"fmt"
	"slices"

	"neurotriage"
)

// prepared is a slice whose tensor stands in a worker's batch.
type prepared struct {
	item
	crop Crop
}

// work is one goroutine: take slices, prepare them, run them by the batch, put
// the scores in their places. With gather the gate fills the batches instead.
func (s *scoring) work(ctx context.Context, items <-chan item, batch int, gather bool) error {
	if gather {
		batch = 1
	}
	preparer := s.c.pool.get()
	defer s.c.pool.put(preparer)
	size := s.c.model.Input.Size * s.c.model.Input.Size
	tensors := make([]float32, batch*size)
	held := make([]prepared, 0, batch)
	for it := range items {
		if ctx.Err() != nil {
			return nil // whoever ended ctx said why
		}
		crop, err := preparer.Prepare(it.slice, tensors[len(held)*size:][:size])
		if err != nil {
			return err
		}
		if why := s.c.leaveOut(crop, it.slice); why != "" {
			s.leave(it, crop, why)
			continue
		}
		held = append(held, prepared{item: it, crop: crop})
		if len(held) == batch {
			if err := s.flush(ctx, tensors, held); err != nil {
				return err
			}
			clear(held) // lets go of the pixels
			held = held[:0]
		}
	}
	return s.flush(ctx, tensors, held)
}

// leaveOut says why a slice shows too little head to be read, or "". Spacing
// must be known to measure a head; a picture of one single value shows none.
func (c *Classifier) leaveOut(crop Crop, slice neurotriage.Slice) string {
	known := slice.Spacing[0] > 0 && slice.Spacing[1] > 0
	switch {
	case crop.Flat():
		return "no head: all pixels are alike"
	case known && crop.HeadAreaMM2 < c.model.Recipe.MinHeadAreaMM2:
		return fmt.Sprintf("head of %.0f mm², less than %.0f", crop.HeadAreaMM2, c.model.Recipe.MinHeadAreaMM2)
	}
	return ""
}

func (s *scoring) leave(it item, crop Crop, why string) {
	s.scores[it.series][it.index] = neurotriage.SliceScore{
		SOPInstanceUID: it.slice.SOPInstanceUID, Frame: it.slice.Frame, Position: it.slice.Position,
		HeadAreaMM2: crop.HeadAreaMM2, Skipped: why,
	}
}

// flush runs the batch.
func (s *scoring) flush(ctx context.Context, tensors []float32, held []prepared) error {
	if len(held) == 0 || ctx.Err() != nil {
		return nil
	}
	out, err := s.c.gate.run(ctx, tensors, len(held))
	if err != nil {
		return fmt.Errorf("scoring slice %s and %d after it: %w", held[0].slice.SOPInstanceUID, len(held)-1, err)
	}
	for i, p := range held {
		row := out.row(i, len(s.c.model.Labels))
		if err := checkFinite(p.slice, row); err != nil {
			return err
		}
		s.keep(p, row)
	}
	return nil
}

// keep puts one slice's score in its place and offers it as a key slice for
// every tumour class.
func (s *scoring) keep(p prepared, row Output) {
	score := s.c.score(p.slice, p.crop, row)
	s.scores[p.series][p.index] = score
	if !s.decides[p.series] {
		return
	}
	cells := row.MapRows * row.MapColumns
	for label, name := range s.c.model.Labels {
		if name == neurotriage.Normal {
			continue
		}
		s.maps.offer(label, p.place, score.Probabilities[label], func() neurotriage.KeyImage {
			return neurotriage.KeyImage{
				Slice: p.slice, Label: name, Probabilities: score.Probabilities, Window: [2]float64{p.crop.Low, p.crop.High},
				Map: p.crop.HeatMap(slices.Clone(row.CAMs[label*cells:][:cells]), row.MapRows, row.MapColumns),
			}
		})
	}
}
