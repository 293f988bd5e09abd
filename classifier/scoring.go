package classifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"neurotriage"
)

// scoring is one study on its way through the workers. Every slice has its own
// place for its score, which one goroutine writes once.
type scoring struct {
	c        *Classifier
	study    neurotriage.Study
	slices   int            // of all eligible series
	rows     map[string]int // series instance UID → place in study.Series, eligible ones only
	scores   [][]neurotriage.SliceScore
	maps     *candidates
	decides  []bool // by series: it belongs to those that decide
	contrast bool   // those that decide may clear

	// Of the feeder alone until run returns.
	fed     int
	refused []map[neurotriage.Reason]int // by series: slices that could not be read
	seen    [][]bool
}

func newScoring(c *Classifier, study neurotriage.Study) *scoring {
	n := len(study.Series)
	s := &scoring{
		c: c, study: study, rows: map[string]int{}, scores: make([][]neurotriage.SliceScore, n), decides: make([]bool, n),
		refused: make([]map[neurotriage.Reason]int, n), seen: make([][]bool, n),
		maps: newCandidates(len(c.model.Labels), c.options.KeySlices),
	}
	for i, series := range study.Series {
		if !series.Eligible {
			continue
		}
		s.rows[series.UID] = i
		s.slices += len(series.Slices)
		s.scores[i] = make([]neurotriage.SliceScore, len(series.Slices))
		s.seen[i] = make([]bool, len(series.Slices))
		s.refused[i] = map[neurotriage.Reason]int{}
		s.contrast = s.contrast || c.clears(series)
	}
	for i, series := range study.Series {
		s.decides[i] = series.Eligible && (!s.contrast || c.clears(series))
	}
	return s
}

// clears reports whether the model may clear a study by this series.
func (c *Classifier) clears(s neurotriage.Series) bool {
	return s.Eligible && s.Contrast() && slices.Contains(c.model.IntendedUse.Read, s.Sequence)
}

// item is one slice on its way to a worker.
type item struct {
	place
	slice neurotriage.Slice
}

// run feeds the workers and waits for them. The first error stops all.
func (s *scoring) run(ctx context.Context, seq iter.Seq2[neurotriage.Slice, error]) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	info := s.c.runner.Info()
	items := make(chan item)
	var crew sync.WaitGroup
	for range min(max(1, info.Workers), s.slices) {
		crew.Go(func() {
			if err := s.work(ctx, items, max(1, info.Batch), info.Gather); err != nil {
				stop(err)
			}
		})
	}
	err := s.feed(ctx, items, seq)
	if err != nil {
		stop(err)
	}
	close(items)
	crew.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if s.fed < s.slices {
		return fmt.Errorf("%d of %d slices came: %w", s.fed, s.slices, errEmpty)
	}
	return nil
}

// feed hands slices on in the reader's order. The channel holds none, so the
// reader runs ahead by its own bound only.
func (s *scoring) feed(ctx context.Context, items chan<- item, seq iter.Seq2[neurotriage.Slice, error]) error {
	for slice, err := range seq {
		var refusal *neurotriage.Refusal
		if err != nil && !errors.As(err, &refusal) {
			return fmt.Errorf("reading slice %s: %w", slice.SOPInstanceUID, err)
		}
		at, err := s.find(slice)
		if err != nil {
			return err
		}
		s.fed++
		if refusal != nil {
			s.refuse(at, refusal)
			continue
		}
		select {
		case items <- item{place: at, slice: slice}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return ctx.Err() // a reader may end quietly when ctx does
}

// find gives the slice's place, once.
func (s *scoring) find(slice neurotriage.Slice) (place, error) {
	series, ok := s.rows[slice.SeriesInstanceUID]
	switch {
	case !ok:
		return place{}, fmt.Errorf("slice %s belongs to series %q, which is not eligible", slice.SOPInstanceUID, slice.SeriesInstanceUID)
	case slice.Index < 0 || slice.Index >= len(s.scores[series]):
		return place{}, fmt.Errorf("slice %s has index %d of %d", slice.SOPInstanceUID, slice.Index, len(s.scores[series]))
	case s.seen[series][slice.Index]:
		return place{}, fmt.Errorf("slice %s came twice", slice.SOPInstanceUID)
	}
	s.seen[series][slice.Index] = true
	return place{series: series, index: slice.Index}, nil
}

// refuse notes a slice that could not be read.
func (s *scoring) refuse(at place, refusal *neurotriage.Refusal) {
	header := s.study.Series[at.series].Slices[at.index]
	s.refused[at.series][refusal.Reason]++
	s.scores[at.series][at.index] = neurotriage.SliceScore{
		SOPInstanceUID: header.SOPInstanceUID, Frame: header.Frame, Position: header.Position, Skipped: refusal.Error(),
	}
}

// refusal is the study's, when not one of its slices could be read: the most
// frequent reason, of equals the first by name.
func (s *scoring) refusal() *neurotriage.Refusal {
	count, total := map[neurotriage.Reason]int{}, 0
	for _, reasons := range s.refused {
		for reason, n := range reasons {
			count[reason] += n
			total += n
		}
	}
	if total == 0 || total < s.slices {
		return nil
	}
	reasons := slices.Sorted(maps.Keys(count))
	reason := slices.MaxFunc(reasons, func(a, b neurotriage.Reason) int { return cmp.Compare(count[a], count[b]) })
	return neurotriage.Refuse(reason, "none of %d slices could be read, %d of them for this reason", total, count[reason])
}
