package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// Outlet delivers readings and refusals. All its calls may be repeated for a
// job at any time and complete what is missing.
type Outlet struct{ bus *Bus }

// Outlet is where a daemon's results go. Prepare comes first.
func (b *Bus) Outlet() *Outlet { return &Outlet{b} }

// Delivered completes the deliveries of the finding with this id, if there is
// one, and says whether there is.
func (o *Outlet) Delivered(ctx context.Context, job neurotriage.Job, id string) (bool, error) {
	f, found, err := o.bus.Finding(ctx, id)
	if err != nil || !found {
		return false, err
	}
	return true, o.complete(ctx, job, f)
}

// Deliver stores the media, then the finding, then its alerts, then the
// worklist entry. It returns nil only after the server confirmed all of them.
func (o *Outlet) Deliver(ctx context.Context, job neurotriage.Job, reading neurotriage.Reading) error {
	finding, err := o.prepare(ctx, job, reading)
	if err != nil {
		return err
	}
	f, err := o.publish(ctx, job, finding)
	if err != nil {
		return err
	}
	return o.complete(ctx, job, f)
}

// Refuse stores the refused finding, unless the job has no study UID, and the
// dead letter. The reading holds the study's headers where they could be read;
// then there are media too.
func (o *Outlet) Refuse(ctx context.Context, job neurotriage.Job, reading neurotriage.Reading, cause *neurotriage.Refusal) error {
	valid := neurotriage.CheckUID(job.StudyInstanceUID) == nil
	finding := reading.Finding
	if valid {
		prepared, err := o.prepare(ctx, job, reading)
		if err != nil {
			return err
		}
		if finding, err = o.publish(ctx, job, prepared); err != nil {
			return err
		}
	}
	// Before the worklist, whose attempts must stand until both are stored.
	if err := o.bus.deadLetter(ctx, job, finding, cause); err != nil || !valid {
		return err
	}
	return o.complete(ctx, job, finding)
}

// prepare names the finding that this one replaces, then makes and stores the
// media, and gives the finding that lists the reports among them. Media that are
// stored already stay as they are.
func (o *Outlet) prepare(ctx context.Context, job neurotriage.Job, reading neurotriage.Reading) (neurotriage.Finding, error) {
	b, f := o.bus, reading.Finding
	if f.ID == "" || token(f.ID) != f.ID || token(string(f.Disposition)) != string(f.Disposition) || f.Disposition == "" {
		return f, fmt.Errorf("publishing a finding: id %q and disposition %q cannot stand in a subject", f.ID, f.Disposition)
	}
	if f.StudyInstanceUID != job.StudyInstanceUID {
		return f, fmt.Errorf("publishing finding %s: it is about study %s and the job about %s", f.ID, f.StudyInstanceUID, job.StudyInstanceUID)
	}
	_, of, _ := b.holds.find(job)
	entry, _, err := b.Entry(ctx, f.StudyInstanceUID)
	if err != nil {
		return f, err
	}
	if former := replaced(entry, f.ID, of); former != nil {
		old, _, err := b.Finding(ctx, former.ID) // gone when its time is over
		if err != nil {
			return f, err
		}
		f.Replaces, reading.Replaced = former.ID, old.Reports
	}
	if f.Status == neurotriage.StatusRefused && reading.Study.UID == "" {
		return f, nil
	}
	reading.Finding = f
	f.Reports, err = o.storeAll(ctx, reading)
	return f, err
}

// storeAll makes and stores the media of a reading, and lists the reports.
func (o *Outlet) storeAll(ctx context.Context, reading neurotriage.Reading) ([]neurotriage.ReportRef, error) {
	if err := o.bus.at("media"); err != nil {
		return nil, err
	}
	media, err := o.bus.opts.Media(reading)
	if err != nil {
		return nil, fmt.Errorf("making the media of finding %s: %w", reading.Finding.ID, err)
	}
	reports := []neurotriage.ReportRef{}
	for _, one := range media {
		if err := o.bus.storeMedia(ctx, reading.Finding.ID, one); err != nil {
			return nil, err
		}
		if one.Report.Kind != "" {
			reports = append(reports, one.Report)
		}
	}
	return reports, nil
}

// publish stores a finding, expecting none under its id, and gives what is stored.
func (o *Outlet) publish(ctx context.Context, job neurotriage.Job, f neurotriage.Finding) (neurotriage.Finding, error) {
	b := o.bus
	_, of, _ := b.holds.find(job)
	if err := b.at("finding"); err != nil {
		return f, err
	}
	subject := b.names.finding(string(f.Disposition), f.ID)
	msg, err := b.envelope(subject, typeFinding, f.ID, f.StudyInstanceUID, f.Finished, f)
	if err != nil {
		return f, err
	}
	setAnswered(msg.Header, job, of)
	fresh, err := b.publish(ctx, "finding", msg, jetstream.WithExpectLastSequenceForSubject(0, b.names.finding("*", f.ID)))
	if err != nil || fresh {
		return f, err
	}
	stored, found, err := b.Finding(ctx, f.ID)
	if err == nil && !found {
		err = fmt.Errorf("publishing finding %s: %w: the server says that it is there and does not show it", f.ID, neurotriage.ErrSurroundings)
	}
	return stored, err
}

// replaced is the finding in force that one with this id revises, or nil: that
// of an announcement which is not newer.
func replaced(e Entry, id string, of Announcement) *FindingSummary {
	if e.Finding == nil || e.Finding.ID == id || e.Finding.Announcement.newer(of) {
		return nil
	}
	return e.Finding
}

// complete publishes the alerts of a stored finding and updates the worklist.
func (o *Outlet) complete(ctx context.Context, job neurotriage.Job, f neurotriage.Finding) error {
	b := o.bus
	_, of, _ := b.holds.find(job)
	if f.Flags.GliomaReview {
		if err := b.alert(ctx, reviewAlert(job, f)); err != nil {
			return err
		}
	}
	for {
		seen, _, err := b.Entry(ctx, f.StudyInstanceUID)
		if err != nil {
			return err
		}
		former := replaced(seen, f.ID, of)
		if former != nil && former.Flagged != f.Flags.GliomaReview {
			if err := b.alert(ctx, changedAlert(job, f, *former)); err != nil {
				return err
			}
		}
		if err := b.at("worklist"); err != nil {
			return err
		}
		_, err = b.change(ctx, f.StudyInstanceUID, func(e *Entry) error {
			if now := replaced(*e, f.ID, of); now != nil && (former == nil || now.ID != former.ID) {
				return errOvertaken
			}
			e.delivered(job, f, of)
			return nil
		})
		if !errors.Is(err, errOvertaken) {
			return err
		}
	}
}

// errOvertaken says that another run changed the finding in force meanwhile.
var errOvertaken = errors.New("overtaken")

// headerAnswered names the header of a finding that says which announcement it
// answers, so that the worklist can be rebuilt from findings alone.
const headerAnswered = "Neurotriage-Announcement"

type answer struct {
	Announcement
	Priority        neurotriage.Priority `json:"priority,omitempty"`
	AccessionNumber string               `json:"accession_number,omitempty"`
	Location        neurotriage.Location `json:"location,omitzero"`
}

func setAnswered(header nats.Header, job neurotriage.Job, of Announcement) {
	text, _ := json.Marshal(answer{of, job.Priority, job.AccessionNumber, job.Location})
	header.Set(headerAnswered, string(text))
}

// answered reads the header back; a finding without it is taken to answer an
// announcement of the time at which it was begun.
func answered(header nats.Header, f neurotriage.Finding) (neurotriage.Job, Announcement) {
	var a answer
	if json.Unmarshal([]byte(header.Get(headerAnswered)), &a) != nil {
		a = answer{Announcement: Announcement{Asked: f.Started}}
	}
	job := neurotriage.Job{
		EventID: a.EventID, StudyInstanceUID: f.StudyInstanceUID, Asked: a.Asked, Priority: a.Priority, AccessionNumber: a.AccessionNumber,
		Location: a.Location,
	}
	return job, a.Announcement
}

// headerQueued keeps sequence and time of an announcement that is queued anew.
const headerQueued = "Neurotriage-Queued"

func setOrigin(header nats.Header, sequence uint64, arrived time.Time) {
	header.Set(headerQueued, fmt.Sprintf("%d %d", sequence, arrived.UnixNano()))
}

// origin is where and when an announcement stood in the queue at first.
func origin(header nats.Header, sequence uint64, stored time.Time) (uint64, time.Time) {
	var first uint64
	var nano int64
	if n, err := fmt.Sscanf(header.Get(headerQueued), "%d %d", &first, &nano); n == 2 && err == nil && nano < stored.UnixNano() {
		return first, time.Unix(0, nano)
	}
	return sequence, stored
}
