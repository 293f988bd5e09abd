package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"neurotriage"
	"neurotriage/audit"
	"neurotriage/worklist"
)

// errNoSource is for senders that no entry of pacs.receive.sources matches.
var errNoSource = errors.New("no entry of pacs.receive.sources matches this sender")

// announcement is the body of POST /v1/studies: the data of a study event.
type announcement struct {
	StudyInstanceUID   string                `json:"study_instance_uid"`
	Location           *neurotriage.Location `json:"location"` // none: the study was sent here
	Priority           neurotriage.Priority  `json:"priority"`
	AccessionNumber    string                `json:"accession_number"`
	SeriesInstanceUIDs []string              `json:"series_instance_uids"`
}

// accepted is the answer.
type accepted struct {
	EventID          string               `json:"event_id"`
	StudyInstanceUID string               `json:"study_instance_uid"`
	Location         neurotriage.Location `json:"location"`
}

// announcer answers POST /v1/studies, by which scripts of a PACS say that a
// study is complete.
type announcer struct {
	submit func(context.Context, neurotriage.Job) (neurotriage.Job, error)
	here   func(context.Context, neurotriage.Job) (job neurotriage.Job, found bool, err error) // announces from the depot
}

func (a announcer) serve(w http.ResponseWriter, r *http.Request) {
	// Pages of other sites can send text and forms only: this keeps them out.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, errors.New("Content-Type: allowed is application/json"))
		return
	}
	job, located, err := readAnnouncement(r.Body)
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		problem(w, status, err)
		return
	}
	found := true
	if located {
		job, err = a.submit(r.Context(), job)
	} else {
		job, found, err = a.here(r.Context(), job)
	}
	switch {
	case err != nil:
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusServiceUnavailable, err)
	case !found:
		problem(w, http.StatusNotFound, fmt.Errorf("study %s was not sent here: name its location, or send it first", job.StudyInstanceUID))
	default:
		writeJSON(w, http.StatusAccepted, accepted{job.EventID, job.StudyInstanceUID, job.Location})
	}
}

// readAnnouncement is strict, unlike the reader of events: who posts is there to
// be told.
func readAnnouncement(body io.Reader) (job neurotriage.Job, located bool, err error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	var data announcement
	if err := decoder.Decode(&data); err != nil {
		return job, false, fmt.Errorf("reading the announcement: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return job, false, errors.New("reading the announcement: something follows the JSON object")
	}
	job = neurotriage.Job{
		StudyInstanceUID: data.StudyInstanceUID, Priority: data.Priority, AccessionNumber: data.AccessionNumber,
		SeriesInstanceUIDs: data.SeriesInstanceUIDs,
	}
	checked := job
	if data.Location != nil {
		job.Location, checked.Location = *data.Location, *data.Location
	} else {
		checked.Location = neurotriage.Location{Kind: neurotriage.Directory, Root: "-", Path: "-"} // checked with all else
	}
	if err := checked.Check(); err != nil {
		return job, false, fmt.Errorf("checking the announcement: %w", err)
	}
	return job, data.Location != nil, nil
}

// announceHere announces a study that lies in the depot.
func (d *Daemon) announceHere(ctx context.Context, job neurotriage.Job) (neurotriage.Job, bool, error) {
	if d.in.depot == nil {
		return job, false, nil
	}
	return d.in.depot.Announce(ctx, job)
}

// mayWrite lets through who may act on studies: readers and administrators, and
// programs that show the token of http.auth.
func (d *Daemon) mayWrite(page *worklist.Board, keeper doorkeeper, known visitors, act string, next http.HandlerFunc) http.HandlerFunc {
	byVisitor := page.Guard(act, func(w http.ResponseWriter, r *http.Request) {
		if who, err := known.visitor(r); err != nil || who.Role < worklist.Reader {
			d.book.note(audit.Event{Kind: audit.Refused, Failed: true, User: who.Name, Address: r.RemoteAddr, Detail: act})
			http.Error(w, "This needs the role "+worklist.Reader.String()+", or the token of http.auth.", http.StatusForbidden)
			return
		}
		next(w, r)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if !d.byToken(keeper, r) {
			byVisitor(w, r)
			return
		}
		d.book.note(audit.Event{Kind: audit.Changed, User: "token", Address: r.RemoteAddr, Detail: act})
		next(w, r)
	}
}

// byToken reports whether a program asks that shows the token. What comes
// through the proxy of visitors names one, and counts as that one.
func (d *Daemon) byToken(keeper doorkeeper, r *http.Request) bool {
	header := d.cfg.HTTP.Access.UserHeader
	bearer := strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
	return bearer && keeper.token != "" && keeper.knows(r) && (header == "" || len(r.Header.Values(header)) == 0)
}
