package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/worklist"
)

// board shows the bus to the worklist page, in the page's own words.
type board struct{ bus *events.Bus }

// Entries lists the worklist.
func (b board) Entries(ctx context.Context) ([]worklist.Entry, error) {
	stored, err := b.bus.Worklist(ctx)
	if err != nil {
		return nil, err
	}
	entries := make([]worklist.Entry, 0, len(stored))
	for _, entry := range stored {
		entries = append(entries, shown(entry))
	}
	return entries, nil
}

// shown is an entry as the page knows it.
func shown(e events.Entry) worklist.Entry {
	entry := worklist.Entry{
		StudyInstanceUID: e.StudyInstanceUID, AccessionNumber: e.AccessionNumber, Priority: e.Priority,
		State: worklist.State(e.State), WasFlagged: e.WasFlagged, Attempts: e.Attempts[e.Announcement.EventID],
		Asked: e.Announcement.Asked,
	}
	if f := e.Finding; f != nil {
		entry.FindingID, entry.Disposition, entry.Reason, entry.Predicted = f.ID, f.Disposition, f.Reason, f.Predicted
		entry.Threshold, entry.Finished = f.Threshold, f.Finished
		entry.Model = neurotriage.ModelRef{Digest: f.Model}
		if f.Probability != nil {
			entry.Glioma, entry.Scored = *f.Probability, true
		}
	}
	return entry
}

// Finding gives a whole finding.
func (b board) Finding(ctx context.Context, id string) (neurotriage.Finding, error) {
	finding, found, err := b.bus.Finding(ctx, id)
	if err == nil && !found {
		err = fmt.Errorf("finding %s: %w", id, worklist.ErrNotFound)
	}
	return finding, err
}

// Media gives a picture or the reading.
func (b board) Media(ctx context.Context, findingID, name string) ([]byte, error) {
	var data bytes.Buffer
	err := b.bus.Media(ctx, findingID, name, &data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s of finding %s: %w", name, findingID, worklist.ErrNotFound)
	}
	return data.Bytes(), err
}

// Announce tells of every change of the worklist.
func (b board) Announce(ctx context.Context, changed func()) error {
	return b.bus.WatchWorklist(ctx, func(events.Entry) { changed() })
}
