package classifier

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"neurotriage"
)

func TestStudiesAndTheirFindings(t *testing.T) {
	incomplete := func(s *stage) { s.study.Series[0].Complete = false }
	for name, test := range map[string]struct {
		build       func(s *stage)
		disposition neurotriage.Disposition
		reason      neurotriage.Reason
		warning     string
	}{
		"normal":           {func(s *stage) { s.add(neurotriage.T1C, times(9, normal)...) }, neurotriage.NotFlagged, "", ""},
		"glioma":           {func(s *stage) { s.add(neurotriage.T1C, append(times(20, normal), times(4, glioma)...)...) }, neurotriage.GliomaReview, "", ""},
		"meningioma":       {func(s *stage) { s.add(neurotriage.T1C, append(times(20, normal), times(4, meningioma)...)...) }, neurotriage.TumourSuspected, "", ""},
		"pituitary":        {func(s *stage) { s.add(neurotriage.T1C, times(5, pituitary)...) }, neurotriage.TumourSuspected, "", ""},
		"nothing eligible": {func(s *stage) { s.add(neurotriage.T2, normal).Eligible = false; s.slices = nil }, neurotriage.NotAssessable, neurotriage.NothingEligible, ""},
		"no series":        {func(*stage) {}, neurotriage.NotAssessable, neurotriage.NothingEligible, ""},
		"without contrast": {func(s *stage) { s.add(neurotriage.T1, times(9, normal)...) }, neurotriage.NotAssessable, neurotriage.NoContrast, ""},
		"without contrast, glioma": {
			func(s *stage) { s.add(neurotriage.T1, times(9, glioma)...) }, neurotriage.GliomaReview, "", "",
		},
		"incomplete": {
			func(s *stage) { s.add(neurotriage.T1C, times(9, normal)...); incomplete(s) },
			neurotriage.NotAssessable, neurotriage.Incomplete, "series 1.2.0: geometry is incomplete",
		},
		"incomplete, glioma": {func(s *stage) { s.add(neurotriage.T1C, times(9, glioma)...); incomplete(s) }, neurotriage.GliomaReview, "", "geometry"},
		"foreign": {
			func(s *stage) { s.add(neurotriage.T1C, times(9, foreign)...) },
			neurotriage.NotAssessable, neurotriage.OutOfDomain, "unlike the model's training data (20, at most 12.3)",
		},
		"foreign and incomplete": {
			func(s *stage) { s.add(neurotriage.T1C, times(9, foreign)...); incomplete(s) }, neurotriage.NotAssessable, neurotriage.Incomplete, "",
		},
		"half foreign, by the median": {
			func(s *stage) { s.add(neurotriage.T1C, append(times(5, normal), times(4, foreign)...)...) }, neurotriage.NotFlagged, "", "",
		},
		"unsure": {func(s *stage) { s.add(neurotriage.T1C, times(9, unsure)...) }, neurotriage.NotAssessable, neurotriage.Uncertain, ""},
		"a bad slice among normals": {
			func(s *stage) { s.add(neurotriage.T1C, times(9, normal)...); s.bad[3] = neurotriage.CorruptDICOM },
			neurotriage.NotAssessable, neurotriage.Incomplete, "1 of 9 slices could not be read (corrupt_dicom 1)",
		},
		"a bad slice among gliomas": {
			func(s *stage) { s.add(neurotriage.T1C, times(9, glioma)...); s.bad[3] = neurotriage.CorruptDICOM },
			neurotriage.GliomaReview, "", "1 of 9 slices could not be read",
		},
		"a bad slice in a series that does not decide": {
			func(s *stage) {
				s.add(neurotriage.T1C, times(9, normal)...)
				s.add(neurotriage.T1, times(3, normal)...)
				s.bad[10] = neurotriage.CorruptDICOM
			},
			neurotriage.NotAssessable, neurotriage.Incomplete, "series 1.2.1: 1 of 3 slices",
		},
		"contrast decides": {
			func(s *stage) {
				s.add(neurotriage.T1, times(5, glioma)...)
				s.add(neurotriage.T1C, times(5, normal)...)
			},
			neurotriage.NotFlagged, "", "",
		},
		"the less normal series speaks": {
			func(s *stage) {
				s.add(neurotriage.T1C, times(5, normal)...)
				s.add(neurotriage.T1C, times(5, glioma)...)
			},
			neurotriage.GliomaReview, "", "",
		},
		"one foreign series among two": {
			func(s *stage) {
				s.add(neurotriage.T1C, times(5, normal)...)
				s.add(neurotriage.T1C, times(5, foreign)...)
			},
			neurotriage.NotAssessable, neurotriage.OutOfDomain, "series 1.2.1: unlike",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, onCPU)
			test.build(s)
			reading := s.classify()
			f := reading.Finding
			if f.Disposition != test.disposition || f.Reason != test.reason {
				t.Errorf("%s %q, want %s %q: %v", f.Disposition, f.Reason, test.disposition, test.reason, f.Probabilities)
			}
			if !strings.Contains(strings.Join(f.Warnings, "\n"), test.warning) {
				t.Errorf("warnings %q lack %q", f.Warnings, test.warning)
			}
			checkSound(t, s, reading)
		})
	}
}

// checkSound looks at what every reading must keep.
func checkSound(t *testing.T, s *stage, reading neurotriage.Reading) {
	t.Helper()
	f := reading.Finding
	if got := s.classifier().Identify(s.study, s.thresholds()); f.ID != got {
		t.Errorf("id %s, Identify says %s", f.ID, got)
	}
	if f.Schema != "finding.v1" || f.Model.Digest != "sha256:00" || f.Model.Runtime != "cpu" || f.StudyInstanceUID != "1.2" {
		t.Errorf("finding %+v", f)
	}
	if f.Flags.GliomaReview != (f.Probabilities != nil && f.Probabilities["glioma"] >= f.Thresholds.GliomaReview) {
		t.Errorf("flag %v for %v", f.Flags.GliomaReview, f.Probabilities)
	}
	if f.Probabilities != nil {
		var sum float64
		for _, p := range f.Probabilities {
			sum += p
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("probabilities sum to %v", sum)
		}
	}
	if strings.Contains(strings.Join(f.Warnings, " "), "jane") {
		t.Errorf("a path, and a name in it, is about to leave the house: %q", f.Warnings)
	}
	if len(f.KeySlices) > 5 || len(f.KeySlices) != len(reading.Keys) || len(f.Series) != len(s.study.Series) {
		t.Errorf("%d key slices, %d keys, %d series", len(f.KeySlices), len(reading.Keys), len(f.Series))
	}
	if f.KeySlices == nil || f.Warnings == nil || f.PredictionSet == nil || f.Reports == nil || f.Series == nil {
		t.Error("JSON would say null for an empty list")
	}
	if !f.Finished.After(f.Started) || f.Started.Year() != 2026 {
		t.Errorf("from %v to %v", f.Started, f.Finished)
	}
}

func TestThresholdAboveTheCardsIsTold(t *testing.T) {
	s := newStage(t, onCPU)
	s.add(neurotriage.T1C, times(9, glioma)...)
	reading, err := s.classifier().Classify(t.Context(), s.study, neurotriage.Thresholds{GliomaReview: 0.95}, s.seq())
	f := reading.Finding
	if err != nil || f.Disposition != neurotriage.NotAssessable || f.Reason != neurotriage.Uncertain || f.Predicted != "glioma" {
		t.Errorf("%s %q %s (%v): a leading glioma below the bar is never cleared", f.Disposition, f.Reason, f.Predicted, err)
	}
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "review threshold 0.95 is above the model card's 0.17") {
		t.Errorf("warnings %q", f.Warnings)
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := s.classifier().Classify(t.Context(), s.study, neurotriage.Thresholds{GliomaReview: bad}, s.seq()); err == nil {
			t.Errorf("threshold %v was taken", bad)
		}
	}
}

func TestRefusedWhenNothingCouldBeRead(t *testing.T) {
	s := newStage(t, onCPU)
	s.add(neurotriage.T1C, times(5, normal)...)
	for i, reason := range []neurotriage.Reason{
		neurotriage.TooLarge, neurotriage.CorruptDICOM, neurotriage.UnsupportedImage, neurotriage.CorruptDICOM, neurotriage.UnsupportedImage,
	} {
		s.bad[i] = reason
	}
	_, err := s.classifier().Classify(t.Context(), s.study, s.thresholds(), s.seq())
	var refusal *neurotriage.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != neurotriage.CorruptDICOM {
		t.Errorf("err = %v, want the most frequent reason, of equals the first by name", err)
	}
}

func TestSlicesWithoutEnoughHeadAreLeftOut(t *testing.T) {
	s := newStage(t, onCPU)
	s.add(neurotriage.T1C, slices.Concat(times(2, glioma), times(6, normal))...)
	for i := range 2 { // glioma on slices that show 1/16 of the head's area: too small to be one
		s.slices[i].Spacing = [2]float64{1, 1}
	}
	for i := range s.slices[7].Pixels {
		s.slices[7].Pixels[i] = 5
	}
	reading := s.classify()
	scores := reading.Series[0].Slices
	if f := reading.Finding; f.Disposition != neurotriage.NotFlagged || !strings.Contains(f.Warnings[0], "3 of 8 slices left out") {
		t.Errorf("%s %q %q", f.Disposition, f.Reason, f.Warnings)
	}
	if scores[0].Skipped == "" || scores[0].Probabilities != nil || scores[7].Skipped != "no head: all pixels are alike" || scores[2].Skipped != "" {
		t.Errorf("scores %+v", scores)
	}
	for i := range s.slices {
		s.slices[i].Spacing = [2]float64{1, 1}
	}
	reading = s.classify()
	if f := reading.Finding; f.Reason != neurotriage.OutOfDomain || f.Probabilities != nil || f.Status != neurotriage.StatusRead || len(f.KeySlices) != 0 {
		t.Errorf("nothing to score: %s %q %v", f.Disposition, f.Reason, f.Probabilities)
	}
	for i := range s.slices {
		s.slices[i].Spacing = [2]float64{}
	}
	if f := s.classify().Finding; f.Disposition != neurotriage.GliomaReview {
		t.Errorf("with unknown spacing all are read: %s %q", f.Disposition, f.Reason)
	}
}

func TestSameReadingInAnyOrderWithAnyCrew(t *testing.T) {
	build := func(info RunnerInfo) *stage {
		s := newStage(t, info)
		random := rand.New(rand.NewPCG(3, 3))
		for _, kind := range []neurotriage.SequenceKind{neurotriage.T1C, neurotriage.T1, neurotriage.T1C} {
			var lines []line
			for range 30 {
				a, b := 0.4*random.Float64(), 0.3*random.Float64()
				lines = append(lines, line{p: [4]float64{a, b, 0.9 - a - b, 0.1}, ood: 10 * random.Float64()})
			}
			lines[4] = lines[20] // equal scores, told apart by their place
			s.add(kind, lines...)
		}
		s.bad[13], s.bad[50] = neurotriage.CorruptDICOM, neurotriage.UnsupportedImage
		return s
	}
	want := build(RunnerInfo{Runtime: "cpu", Batch: 1, Workers: 1}).classify()
	for _, info := range []RunnerInfo{
		{Runtime: "cpu", Batch: 1, Workers: 8}, {Runtime: "cpu", Batch: 4, Workers: 3}, {Runtime: "cpu", Batch: 200, Workers: 2},
		{Runtime: "cpu", Batch: 8, Workers: 16, Gather: true},
	} {
		s := build(info)
		order := rand.New(rand.NewPCG(uint64(info.Batch), 1)).Perm(len(s.slices))
		shuffled := func(yield func(neurotriage.Slice, error) bool) {
			in := slices.Collect(values(s.seq()))
			for _, i := range order {
				if !yield(in[i].slice, in[i].err) {
					return
				}
			}
		}
		got, err := s.classifier().Classify(t.Context(), s.study, s.thresholds(), shuffled)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: %s", info, diff)
		}
	}
}

type read struct {
	slice neurotriage.Slice
	err   error
}

func values(seq iter.Seq2[neurotriage.Slice, error]) iter.Seq[read] {
	return func(yield func(read) bool) {
		for slice, err := range seq {
			if !yield(read{slice, err}) {
				return
			}
		}
	}
}

func TestReadersThatBreakTheirPromise(t *testing.T) {
	boom := errors.New("disk on fire")
	for name, test := range map[string]struct {
		change func(in []read) []read
		want   string
	}{
		"an error ends it": {func(in []read) []read { in[2].err = boom; return in }, "reading slice 1.2.0.2: disk on fire"},
		"too few":          {func(in []read) []read { return in[:3] }, "3 of 6 slices came"},
		"twice":            {func(in []read) []read { return append(in, in[0]) }, "slice 1.2.0.0 came twice"},
		"foreign series":   {func(in []read) []read { in[1].slice.SeriesInstanceUID = "9"; return in }, `series "9", which is not eligible`},
		"index":            {func(in []read) []read { in[1].slice.Index = 6; return in }, "index 6 of 6"},
		"pixels missing":   {func(in []read) []read { in[5].slice.Pixels = nil; return in }, "preparing slice 1.2.0.5: 0 pixels"},
		"not a number":     {func(in []read) []read { in[3].slice.Pixels[9] = float32(math.NaN()); return in }, "preparing slice 1.2.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, onCPU)
			s.add(neurotriage.T1C, times(6, normal)...)
			in := test.change(slices.Collect(values(s.seq())))
			_, err := s.classifier().Classify(t.Context(), s.study, s.thresholds(), func(yield func(neurotriage.Slice, error) bool) {
				for _, r := range in {
					if !yield(r.slice, r.err) {
						return
					}
				}
			})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "study 1.2") {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
}

func TestScoresThatAreNoNumbersNameTheirSlice(t *testing.T) {
	for _, info := range []RunnerInfo{onCPU, {Runtime: "cpu", Batch: 4, Workers: 1}, {Runtime: "cuda", Batch: 4, Workers: 8, Gather: true}} {
		s := newStage(t, info)
		lines := times(9, normal)
		lines[6].nan = true
		s.add(neurotriage.T1C, lines...)
		_, err := s.classifier().Classify(t.Context(), s.study, s.thresholds(), s.seq())
		if !errors.Is(err, errNotFinite) || !strings.Contains(err.Error(), "scoring slice 1.2.0.6 frame 1: logits[0] is NaN") {
			t.Errorf("err = %v", err)
		}
	}
}

func TestRunnerErrorsAndCancellationEndTheReading(t *testing.T) {
	boom := errors.New("no device")
	for _, info := range []RunnerInfo{onCPU, {Runtime: "cuda", Batch: 4, Workers: 8, Gather: true}} {
		s := newStage(t, info)
		s.add(neurotriage.T1C, times(9, normal)...)
		s.script.hook = func(context.Context, int) error { return boom }
		if _, err := s.classifier().Classify(t.Context(), s.study, s.thresholds(), s.seq()); !errors.Is(err, boom) {
			t.Errorf("err = %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		s.script.hook = func(context.Context, int) error { cancel(errors.New("shutting down")); return nil }
		if _, err := s.classifier().Classify(ctx, s.study, s.thresholds(), s.seq()); err == nil || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("err = %v", err)
		}
	}
}

func TestKeySlicesAreTheLeadersLikeliest(t *testing.T) {
	s := newStage(t, onCPU)
	at := func(g float64) line { return line{p: [4]float64{g, (1 - g) / 2, (1 - g) / 4, (1 - g) / 4}} }
	s.add(neurotriage.T1, times(3, glioma)...) // does not decide, so it gives no key slice
	s.add(neurotriage.T1C, at(0.5), at(0.9), at(0.7), at(0.9), at(0.1), at(0.6), at(0.8))
	reading := s.classify()
	var got []string
	for _, key := range reading.Finding.KeySlices {
		got = append(got, key.SOPInstanceUID)
	}
	if want := []string{"1.2.1.1", "1.2.1.3", "1.2.1.6", "1.2.1.2", "1.2.1.5"}; !slices.Equal(got, want) {
		t.Errorf("key slices %v, want %v", got, want)
	}
	key := reading.Keys[0]
	if key.Label != "glioma" || len(key.Slice.Pixels) != 48*40 || len(key.Map.Values) != 64 || key.Window[1] <= key.Window[0] ||
		math.Abs(reading.Finding.KeySlices[0].Probability-0.9) > 1e-6 {
		t.Errorf("key %+v", key.Map)
	}
}

func TestScoreReadsOneSlice(t *testing.T) {
	s := newStage(t, onCPU)
	s.add(neurotriage.T1C, line{p: [4]float64{0.1, 0.2, 0.3, 0.4}, ood: 7}, line{p: [4]float64{1, 1, 1, 1}, nan: true})
	score, err := s.classifier().Score(t.Context(), s.slices[0])
	if err != nil || math.Abs(score.Probabilities[3]-0.4) > 1e-6 || score.OOD != 7 || score.HeadAreaMM2 < 4000 || score.SOPInstanceUID != "1.2.0.0" {
		t.Errorf("%+v, %v", score, err)
	}
	if _, err := s.classifier().Score(t.Context(), s.slices[1]); !errors.Is(err, errNotFinite) {
		t.Errorf("err = %v", err)
	}
	if _, err := s.classifier().Score(t.Context(), neurotriage.Slice{}); err == nil {
		t.Error("a slice without pixels was scored")
	}
}

func TestTemperatureCalibrates(t *testing.T) {
	s := newStage(t, onCPU)
	s.model.Temperature = 2
	s.add(neurotriage.T1C, line{p: [4]float64{0.64, 0.16, 0.04, 0.16}})
	score, err := s.classifier().Score(t.Context(), s.slices[0])
	if err != nil || math.Abs(score.Probabilities[0]-0.8/1.8) > 1e-6 { // square roots: 0.8, 0.4, 0.2, 0.4
		t.Errorf("%v, %v", score.Probabilities, err)
	}
}
