package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"neurotriage/events"
	"neurotriage/worklist"
)

// desk stores what people say of findings, in the words of the events.
type desk struct {
	bus    *events.Bus
	mirror *mirror
}

// Assess stores a verdict; the list shows it when Assess returns.
func (d desk) Assess(ctx context.Context, a worklist.Assessment) error {
	after, err := d.bus.Assess(ctx, events.Assessment{
		FindingID: a.FindingID, StudyInstanceUID: a.StudyInstanceUID, Verdict: events.Verdict(a.Verdict), Label: a.Label, Note: a.Note, User: a.User,
	})
	switch {
	case errors.Is(err, events.ErrOutdated):
		return fmt.Errorf("%w: %w", worklist.ErrOutdated, err)
	case errors.Is(err, events.ErrVerdict):
		return fmt.Errorf("%w: %w", worklist.ErrVerdict, err)
	case err != nil:
		return err
	}
	d.mirror.put(after)
	return nil
}

// Assessments walks through every assessment, oldest first.
func (d desk) Assessments(ctx context.Context, fn func(worklist.Assessment) error) error {
	return d.bus.Assessments(ctx, func(a events.Assessment) error {
		told := worklist.Assessment{
			Judgement:        worklist.Judgement{FindingID: a.FindingID, Verdict: string(a.Verdict), Label: a.Label, User: a.User, Time: a.Time},
			StudyInstanceUID: a.StudyInstanceUID, Note: a.Note, Disposition: a.Disposition, Predicted: a.Predicted,
			Threshold: a.Threshold, Sequence: a.Sequence, Model: a.Model,
		}
		if a.Probability != nil {
			told.Glioma, told.Scored = *a.Probability, true
		}
		return fn(told)
	})
}

func judgement(a *events.Assessed) *worklist.Judgement {
	if a == nil {
		return nil
	}
	return &worklist.Judgement{FindingID: a.FindingID, Verdict: string(a.Verdict), Label: a.Label, User: a.User, Time: a.Time}
}

// room shows the daemon's own state on the operations page.
type room struct{ daemon *Daemon }

// Parts says how each part of the daemon is.
func (r room) Parts() []worklist.Part {
	var parts []worklist.Part
	for _, p := range r.daemon.Health().Parts {
		parts = append(parts, worklist.Part(p))
	}
	return parts
}

// Letters gives the dead letters, newest first.
func (r room) Letters(ctx context.Context) ([]worklist.Letter, error) {
	stored, err := r.daemon.bus.DeadLetters(ctx)
	letters := make([]worklist.Letter, 0, len(stored))
	for _, l := range slices.Backward(stored) {
		letters = append(letters, worklist.Letter{
			ID: l.ID, StudyInstanceUID: l.StudyInstanceUID, Reason: l.Reason, Cause: l.Cause, Time: l.Time, Attempts: l.Attempts,
		})
	}
	return letters, err
}

// Replay announces a dead letter's study again.
func (r room) Replay(ctx context.Context, id string) error {
	letter, err := r.daemon.bus.DeadLetter(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("dead letter %q: %w", id, worklist.ErrNotFound)
	}
	if err == nil {
		_, err = r.daemon.bus.Replay(ctx, letter)
	}
	return err
}
