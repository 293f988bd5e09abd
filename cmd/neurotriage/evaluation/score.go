package evaluation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"neurotriage"
)

// Scorer scores one slice at a time; it is called from several goroutines.
type Scorer interface {
	Score(ctx context.Context, slice neurotriage.Slice) (neurotriage.SliceScore, error)
}

// Task says how files become outcomes.
type Task struct {
	Scorer      Scorer
	DICOM       func(path string) (neurotriage.Slice, error) // reads what is neither PNG nor JPEG
	Limit       int64                                        // bytes of the largest file that is read
	OutOfDomain float64                                      // the card's bar on the OOD score
	Workers     int                                          // files at a time
	Done        func()                                       // called after each file; may be nil
}

// Score scores every file, several at a time. Outcomes come in the order of the
// files, without those that are no pictures, which are counted. It ends early
// only when ctx ends or the scorer fails, which is no fault of a file.
func (t Task) Score(ctx context.Context, files []File) (outcomes []Outcome, skipped int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]Outcome, len(files))
	var next atomic.Int64
	var crew sync.WaitGroup
	for range max(1, t.Workers) {
		crew.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				outcome, err := t.one(ctx, files[i])
				if err != nil {
					cancel(fmt.Errorf("score %s: %w", files[i].Path, err))
					return
				}
				results[i] = outcome
				if t.Done != nil {
					t.Done()
				}
			}
		})
	}
	crew.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	for _, outcome := range results {
		if errors.Is(outcome.Err, ErrNoPicture) {
			skipped++
			continue
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, skipped, nil
}

// one scores one file. A fault of the file is in the outcome; an error is the
// scorer's.
func (t Task) one(ctx context.Context, file File) (Outcome, error) {
	outcome := Outcome{File: file.Path, Truth: file.Truth}
	slice, err := t.read(file.Path)
	if err != nil {
		outcome.Err = err
		return outcome, nil //nolint:nilerr // a fault of the file is its outcome
	}
	score, err := t.Scorer.Score(ctx, slice)
	var refusal *neurotriage.Refusal
	switch {
	case errors.As(err, &refusal):
		outcome.Err = refusal
	case err != nil:
		return Outcome{}, err
	case blank(slice, score):
		outcome.Abstained = Blank
	default:
		outcome.Probabilities = score.Probabilities
		outcome.Foreign = score.OOD > t.OutOfDomain
	}
	return outcome, nil
}

// Blank is the reason that a slice without a head is not scored for.
const Blank = "nothing on it: every pixel has about the same value"

// blank tells that the recipe found no head: its area is 0 although pixels have
// a size. Without a spacing the area is 0 always, and the slice counts.
func blank(slice neurotriage.Slice, score neurotriage.SliceScore) bool {
	return score.Probabilities == nil || score.HeadAreaMM2 == 0 && slice.Spacing[0] > 0 && slice.Spacing[1] > 0
}

func (t Task) read(path string) (neurotriage.Slice, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return neurotriage.Slice{}, fmt.Errorf("look at the file: %w", err)
	case !info.Mode().IsRegular():
		return neurotriage.Slice{}, ErrNoPicture
	case info.Size() > t.Limit:
		return neurotriage.Slice{}, fmt.Errorf("file has %d bytes, at most %d are read", info.Size(), t.Limit)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return neurotriage.Slice{}, fmt.Errorf("read the file: %w", err)
	}
	slice, err := decodePicture(data)
	if !errors.Is(err, ErrNoPicture) {
		return slice, err
	}
	slice, err = t.DICOM(path)
	var refusal *neurotriage.Refusal
	if errors.As(err, &refusal) && refusal.Reason == neurotriage.NotDICOM {
		return neurotriage.Slice{}, ErrNoPicture
	}
	return slice, err
}
