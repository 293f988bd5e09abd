package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
	"neurotriage/pacs"
	"neurotriage/pacs/dicomweb"
)

// post hands couriers the findings of their feeds, packed with what lies beside
// them, and notes in the worklist what became of them.
type post struct {
	bus      *events.Bus
	received string            // root whose first folder names the sending source
	archives map[string]string // of DICOMweb: name to URL
}

func newPost(bus *events.Bus, cfg config.Config) *post {
	p := &post{bus: bus, received: cfg.PACS.Receive.Root, archives: map[string]string{}}
	for name, archive := range cfg.DICOMweb.Archives {
		p.archives[name] = archive.URL
	}
	return p
}

// Follow hands out parcels of the destination's feed.
func (p *post) Follow(ctx context.Context, destination string, fn func(context.Context, pacs.Parcel, int) error) error {
	return p.bus.Follow(ctx, feedOf(destination), func(ctx context.Context, notice events.Notice) error {
		parcel, attempt, err := p.parcel(ctx, destination, notice)
		if err != nil || attempt == 0 {
			return err
		}
		err = fn(ctx, parcel, attempt)
		if postponed, ok := errors.AsType[*pacs.Postponed](err); ok {
			return events.Later(postponed.After)
		}
		return err
	})
}

// parcel collects what the worklist knows of a finding. attempt counts the attempts that
// were held against it, as the worklist remembers them, this one included; it is
// 0 for what was delivered before, and 1 for what was given up and is asked for
// again.
func (p *post) parcel(ctx context.Context, destination string, notice events.Notice) (pacs.Parcel, int, error) {
	f := *notice.Finding
	entry, _, err := p.bus.Entry(ctx, f.StudyInstanceUID)
	if err != nil {
		return pacs.Parcel{}, 0, err
	}
	attempt := notice.Attempt
	switch d := entry.Deliveries[destination]; {
	case d.FindingID != f.ID:
	case d.State == events.Delivered:
		return pacs.Parcel{}, 0, nil
	case d.State == events.DeliveryFailed:
		attempt = 1
	default:
		attempt = d.Attempts + 1
	}
	return pacs.Parcel{
		Finding: f, Job: notice.Job, Sources: p.sources(notice.Job.Location),
		Superseded: entry.Finding != nil && entry.Finding.ID != f.ID && !entry.Finding.Finished.Before(f.Finished),
	}, attempt, nil
}

// Pack adds what lies beside the finding.
func (p *post) Pack(ctx context.Context, parcel *pacs.Parcel) (err error) {
	parcel.Objects = p.objects(parcel.Finding)
	parcel.Study, err = p.study(ctx, parcel.Finding)
	return err
}

// study reads the headers that were stored beside the finding. They are absent
// where nothing could be opened, and gone when the media's time is over.
func (p *post) study(ctx context.Context, f neurotriage.Finding) (neurotriage.Study, error) {
	study := neurotriage.Study{UID: f.StudyInstanceUID}
	var text bytes.Buffer
	err := p.bus.Media(ctx, f.ID, headersName, &text)
	if errors.Is(err, fs.ErrNotExist) {
		return study, nil
	}
	if err != nil {
		return study, err
	}
	if err := json.Unmarshal(text.Bytes(), &study); err != nil {
		return study, fmt.Errorf("reading what is stored beside finding %s: %w", f.ID, err)
	}
	return study, nil
}

func (p *post) objects(f neurotriage.Finding) []pacs.Object {
	objects := make([]pacs.Object, len(f.Reports))
	for i, one := range f.Reports {
		objects[i] = pacs.Object{Kind: one.Kind, SOPInstanceUID: one.SOPInstanceUID, Open: func(ctx context.Context) ([]byte, error) {
			var data bytes.Buffer
			err := p.bus.Media(ctx, f.ID, one.SOPInstanceUID+".dcm", &data)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: it is no longer kept (nats.retention.media)", pacs.ErrRejected)
			}
			return data.Bytes(), err
		}}
	}
	return objects
}

// sources are the names that rules may call the place by where a study lay.
func (p *post) sources(l neurotriage.Location) []string {
	switch l.Kind {
	case neurotriage.Directory:
		if l.Root == p.received {
			source, _, _ := strings.Cut(l.Path, "/")
			return []string{l.Root, source}
		}
		return []string{l.Root}
	case neurotriage.DICOMweb:
		var names []string
		for name, root := range p.archives {
			if asked, err := url.Parse(l.URL); err == nil && (&dicomweb.Guard{Allow: []string{root}}).Check(asked) == nil {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	case neurotriage.Object:
		return []string{l.Bucket}
	}
	return nil
}

// Note shows the delivery in the worklist.
func (p *post) Note(ctx context.Context, destination string, parcel pacs.Parcel, d pacs.Delivery) error {
	states := map[pacs.DeliveryState]events.DeliveryState{
		pacs.Pending: events.DeliveryPending, pacs.Delivered: events.Delivered, pacs.Failed: events.DeliveryFailed,
	}
	return p.bus.NoteDelivery(ctx, parcel.Finding.StudyInstanceUID, destination, events.Delivery{
		FindingID: parcel.Finding.ID, State: states[d.State], Attempts: d.Attempts, Note: d.Note,
	})
}
