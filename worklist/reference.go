package worklist

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"neurotriage"
)

// Bounds of the comparison with the training data.
const (
	sampleStudies = 200             // the newest of the last week
	sampleLeast   = 20              // studies; fewer say nothing
	sampleTime    = 3 * time.Second // for reading what is not known yet; the next look goes on
)

// reference is what a model's card says of the slices it was calibrated on:
// "reference" in its evaluation (docs/WORKLIST.md).
type reference struct {
	What   string                `json:"what"`
	Slices int                   `json:"slices"`
	Scores map[string]*histogram `json:"scores"` // by label, of the calibrated probability
	Image  map[string]*histogram `json:"image"`  // ood, head_area_mm2, and what findings do not carry
}

// histogram holds the share, or the number, of slices between each two edges.
// The outer bins take what lies beyond.
type histogram struct {
	Edges  []float64 `json:"edges"`
	Shares []float64 `json:"shares"`
	Mean   *float64  `json:"mean"`
}

// sound reports whether the histogram can be compared with.
func (h *histogram) sound() bool {
	sum := 0.0
	for _, v := range h.Shares {
		if !(v >= 0) {
			return false
		}
		sum += v
	}
	return len(h.Shares) > 1 && len(h.Edges) == len(h.Shares)+1 && sum > 0 && !math.IsInf(sum, 0) &&
		slices.IsSorted(h.Edges) && h.Edges[0] < h.Edges[len(h.Edges)-1]
}

// count sorts values into the bins, beside the reference as if it had as many.
func (h *histogram) count(values []float64) (now, then []float64) {
	now, then = make([]float64, len(h.Shares)), make([]float64, len(h.Shares))
	sum := 0.0
	for _, share := range h.Shares {
		sum += share
	}
	for i, share := range h.Shares {
		then[i] = share / sum * float64(len(values))
	}
	for _, v := range values {
		bin, _ := slices.BinarySearchFunc(h.Edges[1:len(h.Edges)-1], v, func(edge, v float64) int {
			if edge <= v {
				return -1
			}
			return 1
		})
		now[bin]++
	}
	return now, then
}

// comparison is what the operations page says of the training data.
type comparison struct {
	Note    string // why there is none
	What    string
	Studies int
	More    int // studies that are not read yet
	Rows    []compared
}

type compared struct{ Name, Then, Now, Index, Verdict, Class string }

// compare holds the slices of the last week against those of the training.
func (b *Board) compare(ctx context.Context, entries []Entry) comparison {
	var raw any
	if b.options.Evaluation != nil {
		raw = b.options.Evaluation()["reference"]
	}
	if raw == nil {
		return comparison{Note: "This model’s card carries no reference statistics of its training data, so nothing can be compared with it."}
	}
	text, err := json.Marshal(raw)
	var ref reference
	if err = cmp.Or(err, json.Unmarshal(text, &ref)); err != nil {
		return comparison{Note: "The reference statistics in this model’s card cannot be read: " + err.Error()}
	}
	sample := b.samples.of(ctx, b, entries)
	c := comparison{What: ref.What, Studies: sample.studies, More: sample.more}
	add := func(name string, h *histogram, values []float64, word func(float64) string) {
		if h != nil && h.sound() && len(values) > 0 {
			c.Rows = append(c.Rows, h.compare(name, values, word, sample.studies))
		}
	}
	for _, label := range slices.Sorted(maps.Keys(ref.Scores)) {
		add("probability of "+label, ref.Scores[label], sample.scores[label], percent)
	}
	plain := func(v float64) string { return fmt.Sprintf("%.4g", v) }
	add("strangeness (out-of-domain score)", ref.Image["ood"], sample.ood, plain)
	add("area of the head, mm²", ref.Image["head_area_mm2"], sample.area, plain)
	if len(c.Rows) == 0 {
		c.Note = "No slice was read in the last 7 days, or the card refers to nothing that findings carry."
	}
	return c
}

func (h *histogram) compare(name string, values []float64, word func(float64) string, studies int) compared {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	row := compared{Name: name, Now: word(sum / float64(len(values)))}
	if h.Mean != nil {
		row.Then = word(*h.Mean)
	}
	if studies < sampleLeast {
		row.Verdict, row.Class = fmt.Sprintf("too few studies to tell (%d are needed)", sampleLeast), "waiting"
		return row
	}
	index := stability(h.count(values))
	row.Index = percentless(index)
	row.Verdict, row.Class = shift(index)
	return row
}

// sample is what the slices of the last week's studies were scored.
type sample struct {
	studies, more int
	scores        map[string][]float64 // by label
	ood, area     []float64
}

// samples keeps what was read of each finding: findings never change.
type samples struct {
	mu   sync.Mutex
	held map[string]*sample
}

// of reads the newest findings of the last week by the model in force.
func (s *samples) of(ctx context.Context, b *Board, entries []Entry) sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, sampleTime)
	defer stop()
	all, held := sample{scores: map[string][]float64{}}, map[string]*sample{}
	for _, e := range b.recent(entries) {
		one := s.held[e.FindingID]
		if one == nil {
			var err error
			switch one, err = b.slices(ctx, e.FindingID); {
			case errors.Is(err, ErrNotFound):
				continue // past its retention
			case err != nil:
				all.more++
				continue
			}
		}
		held[e.FindingID] = one
		all.studies++
		for label, values := range one.scores {
			all.scores[label] = append(all.scores[label], values...)
		}
		all.ood, all.area = append(all.ood, one.ood...), append(all.area, one.area...)
	}
	s.held = held
	return all
}

// recent lists the studies to look at, the newest first.
func (b *Board) recent(entries []Entry) []*Entry {
	var list []*Entry
	for i := range entries {
		e := &entries[i]
		ours := b.options.Model == nil || e.Model.Digest == b.options.Model().Digest
		if e.Scored && ours && b.now().Sub(e.Finished) <= driftSpan {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *Entry) int { return cmp.Or(b.Finished.Compare(a.Finished), byUID(a, b)) })
	return list[:min(len(list), sampleStudies)]
}

// slices reads the scores of a finding's slices.
func (b *Board) slices(ctx context.Context, findingID string) (*sample, error) {
	data, err := b.store.Media(ctx, findingID, "reading.json")
	if err != nil {
		return nil, err
	}
	var reading struct { // keys with their maps are passed over
		Labels []string                    `json:"labels"`
		Series []neurotriage.SeriesReading `json:"series"`
	}
	if err := json.Unmarshal(data, &reading); err != nil {
		return nil, fmt.Errorf("reading the scores of finding %s: %w", findingID, err)
	}
	one := &sample{scores: map[string][]float64{}}
	for _, series := range reading.Series {
		for _, slice := range series.Slices {
			if len(slice.Probabilities) != len(reading.Labels) {
				continue
			}
			for i, label := range reading.Labels {
				one.scores[label] = append(one.scores[label], slice.Probabilities[i])
			}
			one.ood = append(one.ood, slice.OOD)
			if slice.HeadAreaMM2 > 0 {
				one.area = append(one.area, slice.HeadAreaMM2)
			}
		}
	}
	return one, nil
}
