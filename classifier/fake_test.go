package classifier

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"neurotriage"
)

// card is the fixture network's card, sound in every point.
func card(t testing.TB) neurotriage.Model {
	t.Helper()
	text, err := os.ReadFile("onnx/testdata/tiny.card.json")
	if err != nil {
		t.Fatal(err)
	}
	var model neurotriage.Model
	if err := json.Unmarshal(text, &model); err != nil {
		t.Fatal(err)
	}
	model.Temperature = 1
	model.Digest = "sha256:00"
	return model
}

// script is a runner that knows tensors by heart and answers as told.
type script struct {
	info  RunnerInfo
	lines map[uint64]line
	hook  func(ctx context.Context, n int) error // before each run
	seed  maphash.Seed

	mutex   sync.Mutex
	batches []int
}

// line is what is answered to one tensor.
type line struct {
	p   [4]float64 // glioma, meningioma, normal, pituitary
	ood float64
	nan bool
}

func newScript(info RunnerInfo) *script {
	return &script{info: info, lines: map[uint64]line{}, seed: maphash.MakeSeed()}
}

func (s *script) key(tensor []float32) uint64 {
	return maphash.Comparable(s.seed, [1024]float32(tensor))
}

func (s *script) Info() RunnerInfo { return s.info }
func (s *script) Close() error     { return nil }

func (s *script) Run(ctx context.Context, tensors []float32, n int) (Output, error) {
	s.mutex.Lock()
	s.batches = append(s.batches, n)
	s.mutex.Unlock()
	if s.hook != nil {
		if err := s.hook(ctx, n); err != nil {
			return Output{}, err
		}
	}
	out := Output{MapRows: 8, MapColumns: 8}
	for i := range n {
		tensor := tensors[i*1024 : (i+1)*1024]
		said, ok := s.lines[s.key(tensor)]
		if !ok {
			return Output{}, fmt.Errorf("tensor %d of %d is not in the script", i, n)
		}
		for _, p := range said.p {
			logit := float32(math.Log(p))
			if said.nan {
				logit = float32(math.NaN())
			}
			out.Logits = append(out.Logits, logit)
		}
		out.OOD = append(out.OOD, float32(said.ood))
		for range said.p {
			out.CAMs = append(out.CAMs, averaged(tensor, 32, 8)...)
		}
	}
	return out, nil
}

// averaged is a map that lights where the tensor is bright.
func averaged(tensor []float32, size, cells int) []float32 {
	block := size / cells
	m := make([]float32, cells*cells)
	for i, v := range tensor {
		m[i/size/block*cells+i%size/block] += v / float32(block*block)
	}
	return m
}

// stage is a study with its slices, and a script that knows them.
type stage struct {
	t      testing.TB
	model  neurotriage.Model
	script *script
	study  neurotriage.Study
	slices []neurotriage.Slice
	bad    map[int]neurotriage.Reason // by place in slices
	ticks  atomic.Int64               // seconds that the clock has told
}

func newStage(t testing.TB, info RunnerInfo) *stage {
	return &stage{
		t: t, model: card(t), script: newScript(info), study: neurotriage.Study{UID: "1.2"}, bad: map[int]neurotriage.Reason{},
	}
}

var onCPU = RunnerInfo{Runtime: "cpu", Batch: 1, Workers: 2}

// add puts a series into the study, one line a slice.
func (s *stage) add(sequence neurotriage.SequenceKind, lines ...line) *neurotriage.Series {
	number := len(s.study.Series)
	series := neurotriage.Series{
		UID: fmt.Sprintf("1.2.%d", number), Sequence: sequence, Eligible: true, Why: "T1 brain", Complete: true,
	}
	for i, said := range lines {
		slice := phantom(48, 40, [2]float64{4, 4}, uint64(1000*number+i))
		slice.SeriesInstanceUID, slice.SOPInstanceUID = series.UID, fmt.Sprintf("%s.%d", series.UID, i)
		slice.Index, slice.Position = i, float64(5*i)
		tensor := make([]float32, 32*32)
		if _, err := Prepare(s.model.Recipe, 32, slice, tensor); err != nil {
			s.t.Fatal(err)
		}
		s.script.lines[s.script.key(tensor)] = said
		s.slices = append(s.slices, slice)
		header := slice
		header.Pixels = nil
		series.Slices = append(series.Slices, header)
	}
	s.study.Series = append(s.study.Series, series)
	return &s.study.Series[number]
}

// seq yields the slices in order, bad ones with their refusal.
func (s *stage) seq() iter.Seq2[neurotriage.Slice, error] {
	return func(yield func(neurotriage.Slice, error) bool) {
		for i, slice := range s.slices {
			var err error
			if reason, bad := s.bad[i]; bad {
				slice.Pixels = nil
				err = neurotriage.Refuse(reason, "file /home/jane^doe/%d.dcm is broken", i)
			}
			if !yield(slice, err) {
				return
			}
		}
	}
}

func (s *stage) classifier() *Classifier {
	s.t.Helper()
	c, err := New(s.model, s.script, Options{Now: func() time.Time {
		return time.Date(2026, 11, 23, 12, 0, int(s.ticks.Add(1)), 0, time.UTC)
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *stage) thresholds() neurotriage.Thresholds {
	return neurotriage.Thresholds{GliomaReview: s.model.Thresholds.GliomaReview}
}

func (s *stage) classify() neurotriage.Reading {
	s.t.Helper()
	reading, err := s.classifier().Classify(s.t.Context(), s.study, s.thresholds(), s.seq())
	if err != nil {
		s.t.Fatal(err)
	}
	return reading
}

// Rows of the scripts below.
var (
	normal     = line{p: [4]float64{0.01, 0.01, 0.97, 0.01}}
	glioma     = line{p: [4]float64{0.9, 0.05, 0.03, 0.02}}
	meningioma = line{p: [4]float64{0.04, 0.9, 0.03, 0.03}}
	pituitary  = line{p: [4]float64{0.04, 0.03, 0.03, 0.9}}
	unsure     = line{p: [4]float64{0.1, 0.1, 0.7, 0.1}}
	foreign    = line{p: [4]float64{0.01, 0.01, 0.97, 0.01}, ood: 20}
)

func times(n int, l line) []line {
	lines := make([]line, n)
	for i := range lines {
		lines[i] = l
	}
	return lines
}
