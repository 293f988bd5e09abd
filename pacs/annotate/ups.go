package annotate

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"neurotriage"
	"neurotriage/pacs"
	"neurotriage/pacs/dicomweb"
)

// UPSOptions say where workitems go.
type UPSOptions struct {
	Client        *dicomweb.Client
	WorklistLabel string // (0074,1202); default NEUROTRIAGE
	RetrieveURL   string // of DICOMweb, where performers get the images
}

// UPS makes a workitem for each finding by UPS-RS (PS3.18 11): the study is to be
// looked at, with priority HIGH when it is flagged.
type UPS struct {
	opts UPSOptions
}

// NewUPS makes a destination and connects to nothing.
func NewUPS(opts UPSOptions) *UPS {
	if opts.WorklistLabel == "" {
		opts.WorklistLabel = "NEUROTRIAGE"
	}
	return &UPS{opts: opts}
}

// WorkitemUID is the workitem of a finding: the same at every attempt.
func WorkitemUID(findingID string) string { return neurotriage.DerivedUID(findingID, "ups") }

// Deliver creates the workitem, which does nothing when it is there. A revision
// takes the place of its predecessor's workitem, with at least its priority; one
// that somebody has begun or ended stays as it is.
func (u *UPS) Deliver(ctx context.Context, parcel pacs.Parcel) error {
	if parcel.Superseded {
		return nil
	}
	return pacs.WebFault(ctx, u.opts.Client, u.deliver(ctx, parcel))
}

func (u *UPS) deliver(ctx context.Context, parcel pacs.Parcel) error {
	former, err := u.former(ctx, parcel)
	if err != nil {
		return err
	}
	item := u.workitem(parcel, higher(upsPriority(parcel), former.priority), former)
	err = u.opts.Client.CreateWorkitem(ctx, WorkitemUID(parcel.Finding.ID), item)
	if err != nil && !errors.Is(err, dicomweb.ErrExists) {
		return err
	}
	if former.state == "SCHEDULED" {
		return u.cancel(ctx, former.uid, parcel)
	}
	return nil
}

// Check asks whether the service answers at all.
func (u *UPS) Check(ctx context.Context) error { return u.opts.Client.Well(ctx) }

// known is a workitem on the server.
type known struct{ uid, state, priority string }

// former asks for the workitem of the finding that the parcel's revises.
func (u *UPS) former(ctx context.Context, parcel pacs.Parcel) (known, error) {
	if parcel.Finding.Replaces == "" {
		return known{}, nil
	}
	uid := WorkitemUID(parcel.Finding.Replaces)
	item, err := u.opts.Client.Workitem(ctx, uid)
	if answered(err, http.StatusNotFound, http.StatusGone) {
		return known{}, nil // never made there, or removed since
	}
	return known{uid: uid, state: item.Text(tagState), priority: item.Text(tagPriority)}, err
}

// cancel asks for the end of a workitem that nobody has begun. A server without
// such requests has it claimed and cancelled, which is how a performer ends one.
// One that was begun or ended meanwhile is left alone.
func (u *UPS) cancel(ctx context.Context, uid string, parcel pacs.Parcel) error {
	err := u.opts.Client.CancelWorkitem(ctx, uid, "A newer finding of the study takes its place.")
	if !answered(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented) {
		return unlessOver(err)
	}
	transaction := neurotriage.DerivedUID(parcel.Finding.ID, "ups transaction")
	for _, state := range []string{"IN PROGRESS", "CANCELED"} {
		if err := u.opts.Client.ChangeWorkitem(ctx, uid, transaction, state); err != nil {
			return unlessOver(err)
		}
	}
	return nil
}

// unlessOver passes over the answers that say that the workitem is in other
// hands or gone.
func unlessOver(err error) error {
	if answered(err, http.StatusConflict, http.StatusGone, http.StatusNotFound) {
		return nil
	}
	return err
}

func answered(err error, statuses ...int) bool {
	status, ok := errors.AsType[*dicomweb.StatusError](err)
	return ok && slices.Contains(statuses, status.Status)
}

// The priorities of (0074,1200), least urgent first (PS3.3 C.30.1).
var upsPriorities = []string{"", "LOW", "MEDIUM", "HIGH"}

// higher gives the more urgent of two. One that the standard does not know says
// nothing.
func higher(a, b string) string {
	if slices.Index(upsPriorities, a) < slices.Index(upsPriorities, b) {
		return b
	}
	return a
}

// upsPriority is HIGH for what is flagged or was asked for as urgent, and MEDIUM
// where the announcement named no priority, since nothing says that it is low.
func upsPriority(p pacs.Parcel) string {
	switch given := p.Job.Priority; {
	case p.Finding.Flags.GliomaReview || given == neurotriage.Urgent || given == neurotriage.ASAP || given == neurotriage.Stat:
		return "HIGH"
	case given == neurotriage.Routine && p.Finding.Disposition != neurotriage.TumourSuspected:
		return "LOW"
	}
	return "MEDIUM"
}

// upsTime is DICOM's date and time with an offset (PS3.5 6.2, DT).
func upsTime(t time.Time) string { return t.UTC().Format("20060102150405.000000-0700") }
