package events

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"neurotriage"
)

// Submit announces a study and gives the job as announced: with its event id
// and time. Repeating it announces the study anew. A priority that nobody gave
// stays empty: a message to an order system must not lower one by a guess.
func (b *Bus) Submit(ctx context.Context, job neurotriage.Job) (neurotriage.Job, error) {
	if err := job.Check(); err != nil {
		return job, fmt.Errorf("announcing study %q: %w", job.StudyInstanceUID, err)
	}
	job.EventID, job.Asked, job.SchemaVersion = newID(), time.Now().UTC(), 1
	msg, err := b.envelope(b.names.available(), typeAvailable, job.EventID, job.StudyInstanceUID, job.Asked, announcedData{
		StudyInstanceUID: job.StudyInstanceUID, Location: job.Location, Priority: job.Priority,
		AccessionNumber: job.AccessionNumber, SeriesInstanceUIDs: job.SeriesInstanceUIDs, ReplayOf: job.ReplayOf,
	})
	if err != nil {
		return job, err
	}
	return job, b.announce(ctx, job, msg.Data)
}

// WaitFor calls fn with the finding of each submitted job as it comes, and
// returns when all have come. A finding that the study had before counts when
// the job was answered by it; one of a newer announcement counts too. It
// outlives restarts of the server and of the daemon.
func (b *Bus) WaitFor(ctx context.Context, jobs []neurotriage.Job, fn func(neurotriage.Job, neurotriage.Finding)) error {
	open := map[string][]neurotriage.Job{}
	var uids []string
	for _, job := range jobs {
		if open[job.StudyInstanceUID] == nil {
			uids = append(uids, job.StudyInstanceUID)
		}
		open[job.StudyInstanceUID] = append(open[job.StudyInstanceUID], job)
	}
	if len(uids) == 0 {
		return nil
	}
	if len(uids) > maxFilters {
		uids = nil // follow all entries and pick
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := b.WatchWorklist(ctx, func(e Entry) {
		var left []neurotriage.Job
		for _, job := range open[e.StudyInstanceUID] {
			if !e.answers(job) {
				left = append(left, job)
				continue
			}
			f, err := b.await(ctx, e.Finding.ID)
			if err != nil {
				cancel(err)
				return
			}
			fn(job, f)
		}
		if open[e.StudyInstanceUID] = left; left == nil {
			delete(open, e.StudyInstanceUID)
		}
		if len(open) == 0 {
			cancel(errEnough)
		}
	}, uids...)
	if errors.Is(context.Cause(ctx), errEnough) {
		return nil
	}
	return errors.Join(context.Cause(ctx), err)
}

// maxFilters is the largest number of studies that are watched one by one.
const maxFilters = 64

// answers tells whether the entry's finding is the job's, or newer.
func (e Entry) answers(job neurotriage.Job) bool {
	if e.Finding == nil {
		return false
	}
	of := e.Finding.Announcement
	return of.EventID == job.EventID || of.Asked.After(job.Asked)
}

// await fetches a finding that the worklist names, through faults of the surroundings.
func (b *Bus) await(ctx context.Context, id string) (neurotriage.Finding, error) {
	for {
		f, found, err := b.Finding(ctx, id)
		switch {
		case found:
			return f, nil
		case err == nil:
			return f, fmt.Errorf("finding %s is no longer kept: %w", id, fs.ErrNotExist)
		case !errors.Is(err, neurotriage.ErrSurroundings):
			return f, err
		}
		if err := b.pause(ctx, time.Second); err != nil {
			return f, err
		}
	}
}
