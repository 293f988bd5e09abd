package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/worklist"
)

// board shows the bus to the worklist page, in the page's own words.
type board struct {
	*mirror
	bus *events.Bus
}

// shown is an entry as the page knows it.
func shown(e events.Entry) worklist.Entry {
	entry := worklist.Entry{
		StudyInstanceUID: e.StudyInstanceUID, AccessionNumber: e.AccessionNumber, Priority: e.Priority,
		State: worklist.State(e.State), WasFlagged: e.WasFlagged, Attempts: e.Attempts[e.Announcement.EventID],
		Asked: e.Announcement.Asked, Assessed: judgement(e.Assessed), Acknowledged: judgement(e.Acknowledged),
	}
	if f := e.Finding; f != nil {
		entry.FindingID, entry.Disposition, entry.Reason, entry.Predicted = f.ID, f.Disposition, f.Reason, f.Predicted
		entry.Threshold, entry.Finished = f.Threshold, f.Finished
		entry.Model = neurotriage.ModelRef{Digest: f.Model}
		entry.Modality, entry.BodyPart, entry.Sequence = f.Modality, f.BodyPart, f.Sequence
		if f.Probability != nil {
			entry.Glioma, entry.Scored = *f.Probability, true
		}
	}
	entry.Deliveries = deliveries(e)
	return entry
}

// deliveries are those of the finding in force, by destination.
func deliveries(e events.Entry) []worklist.Delivery {
	if e.Finding == nil || len(e.Deliveries) == 0 {
		return nil
	}
	var list []worklist.Delivery
	for _, name := range slices.Sorted(maps.Keys(e.Deliveries)) {
		if d := e.Deliveries[name]; d.FindingID == e.Finding.ID {
			list = append(list, worklist.Delivery{
				Destination: name, State: worklist.DeliveryState(d.State), Attempts: d.Attempts, Note: d.Note, Updated: d.Updated,
			})
		}
	}
	return list
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
