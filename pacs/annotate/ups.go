package annotate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"neurotriage"
	"neurotriage/pacs"
)

// UPSOptions say where workitems go.
type UPSOptions struct {
	Web           Web    // Base is the DICOMweb service's, such as https://pacs.example.org/dicom-web
	WorklistLabel string // (0074,1202); default NEUROTRIAGE
	RetrieveURL   string // of DICOMweb, where performers get the images; default Base
}

// UPS makes a workitem for each finding by UPS-RS (PS3.18 11): the study is to be
// looked at, with priority HIGH when it is flagged.
type UPS struct {
	opts UPSOptions
	web  *web
}

// NewUPS makes a destination and connects to nothing.
func NewUPS(opts UPSOptions) (*UPS, error) {
	web, err := newWeb(opts.Web)
	if opts.WorklistLabel == "" {
		opts.WorklistLabel = "NEUROTRIAGE"
	}
	if opts.RetrieveURL == "" && web != nil {
		opts.RetrieveURL = web.opts.Base
	}
	return &UPS{opts: opts, web: web}, err
}

// WorkitemUID is the workitem of a finding: the same at every attempt.
func WorkitemUID(findingID string) string { return neurotriage.DerivedUID(findingID, "ups") }

const dicomJSON = "application/dicom+json"

// Deliver creates the workitem, which does nothing when it is there. A revision
// takes the place of its predecessor's workitem, with at least its priority; one
// that somebody has begun or ended stays as it is.
func (u *UPS) Deliver(ctx context.Context, parcel pacs.Parcel) error {
	if parcel.Superseded {
		return nil
	}
	priority := upsPriority(parcel)
	former, err := u.former(ctx, parcel)
	if err != nil {
		return err
	}
	priority = higher(priority, former.priority)
	body, err := json.Marshal(u.workitem(parcel, priority, former))
	if err != nil {
		return fmt.Errorf("writing the workitem of finding %s: %w", parcel.Finding.ID, err)
	}
	create := request{
		method: http.MethodPost, path: "/workitems?" + WorkitemUID(parcel.Finding.ID),
		header: map[string]string{"Content-Type": dicomJSON, "Accept": dicomJSON}, body: body,
	}
	got, err := u.web.do(ctx, create)
	if err != nil {
		return err
	}
	if !got.fine() && got.status != http.StatusConflict { // 409: it is there (PS3.18 11.4.3)
		return u.web.fault(create, got, warning(got, parcel.Study.Patient))
	}
	if former.state == "SCHEDULED" {
		return u.cancel(ctx, former.uid, parcel)
	}
	return nil
}

// known is a workitem on the server.
type known struct{ uid, state, priority string }

// former asks for the workitem of the finding that the parcel's revises.
func (u *UPS) former(ctx context.Context, parcel pacs.Parcel) (known, error) {
	if parcel.Finding.Replaces == "" {
		return known{}, nil
	}
	uid := WorkitemUID(parcel.Finding.Replaces)
	get := request{method: http.MethodGet, path: "/workitems/" + uid, header: map[string]string{"Accept": dicomJSON}}
	got, err := u.web.do(ctx, get)
	switch {
	case err != nil:
		return known{}, err
	case got.status == http.StatusNotFound || got.status == http.StatusGone || got.status == http.StatusNoContent:
		return known{}, nil
	case !got.fine():
		return known{}, u.web.fault(get, got, warning(got, parcel.Study.Patient))
	}
	var sets []map[string]struct{ Value []any }
	if err := json.Unmarshal(got.body, &sets); err != nil {
		var one map[string]struct{ Value []any } // some servers leave the array out
		if err := json.Unmarshal(got.body, &one); err != nil {
			return known{}, fmt.Errorf("%s: the answer is no DICOM JSON: %w", u.web.at(get), err)
		}
		sets = append(sets, one)
	}
	item := known{uid: uid}
	for _, set := range sets {
		text := func(tag string) string {
			if values := set[tag].Value; len(values) > 0 {
				s, _ := values[0].(string)
				return s
			}
			return ""
		}
		item.state, item.priority = text(tagState), text(tagPriority)
	}
	return item, nil
}

// cancel asks for the end of a workitem that nobody has begun (PS3.18 11.8). A
// server without such requests has it claimed and cancelled (11.7), which is how
// a performer ends one. One that was begun or ended meanwhile is left alone.
func (u *UPS) cancel(ctx context.Context, uid string, parcel pacs.Parcel) error {
	ask := u.patch(http.MethodPost, "/workitems/"+uid+"/cancelrequest", dataset{
		tagReason: attr("LT", "A newer finding of the study takes its place."),
	})
	got, err := u.web.do(ctx, ask)
	switch {
	case err != nil:
		return err
	case got.fine() || got.status == http.StatusConflict || got.status == http.StatusGone:
		return nil
	case got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed && got.status != http.StatusNotImplemented:
		return u.web.fault(ask, got, warning(got, parcel.Study.Patient))
	}
	transaction := attr("UI", neurotriage.DerivedUID(parcel.Finding.ID, "ups transaction"))
	for _, state := range []string{"IN PROGRESS", "CANCELED"} {
		change := u.patch(http.MethodPut, "/workitems/"+uid+"/state", dataset{tagTransaction: transaction, tagState: attr("CS", state)})
		got, err := u.web.do(ctx, change)
		switch {
		case err != nil:
			return err
		case got.status == http.StatusConflict || got.status == http.StatusNotFound || got.status == http.StatusGone:
			return nil
		case !got.fine():
			return u.web.fault(change, got, warning(got, parcel.Study.Patient))
		}
	}
	return nil
}

func (u *UPS) patch(method, path string, d dataset) request {
	body, _ := json.Marshal([]dataset{d}) // strings only
	return request{method: method, path: path, header: map[string]string{"Content-Type": dicomJSON, "Accept": dicomJSON}, body: body}
}

// warning is what an origin server says beside the status (PS3.18 11.4.3.2).
func warning(got reply, p neurotriage.Patient) string { return scrub(got.header.Get("Warning"), p) }

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

// Check asks for the workitems with this worklist label, one at most.
func (u *UPS) Check(ctx context.Context) error {
	get := request{method: http.MethodGet, path: "/workitems?limit=1", header: map[string]string{"Accept": dicomJSON}}
	got, err := u.web.do(ctx, get)
	if err == nil && !got.fine() {
		err = u.web.fault(get, got, warning(got, neurotriage.Patient{}))
	}
	return err
}

// upsTime is DICOM's date and time with an offset (PS3.5 6.2, DT).
func upsTime(t time.Time) string { return t.UTC().Format("20060102150405.000000-0700") }
