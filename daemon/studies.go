package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"neurotriage"
	"neurotriage/events"
)

// Pages of /v1/studies.
const (
	usualPage   = 100
	largestPage = 1000
)

// studies answers /v1/studies, the worklist for programs.
type studies struct{ bus *events.Bus }

// studyList is one page of the worklist, flagged studies first, then the newest.
type studyList struct {
	Studies []events.Entry `json:"studies"`
	Total   int            `json:"total"` // on all pages
	Page    int            `json:"page"`  // from 1
	PerPage int            `json:"per_page"`
	Pages   int            `json:"pages"`
}

// study is one entry with its whole finding.
type study struct {
	events.Entry
	Full *neurotriage.Finding `json:"full_finding"` // null when there is none (any more)
}

func (s studies) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	page, err := whole(query, "page", 1, 1, 1_000_000)
	perPage, perPageErr := whole(query, "per_page", usualPage, 1, largestPage)
	if err := errors.Join(err, perPageErr); err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	entries, err := s.bus.Worklist(r.Context())
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err)
		return
	}
	state, disposition := query.Get("state"), query.Get("disposition")
	entries = slices.DeleteFunc(entries, func(e events.Entry) bool {
		return state != "" && string(e.State) != state || disposition != "" && disposition != dispositionOf(e)
	})
	slices.SortFunc(entries, urgentFirst)
	first := min((page-1)*perPage, len(entries))
	writeJSON(w, http.StatusOK, studyList{
		Studies: append([]events.Entry{}, entries[first:min(first+perPage, len(entries))]...),
		Total:   len(entries), Page: page, PerPage: perPage, Pages: (len(entries) + perPage - 1) / perPage,
	})
}

func (s studies) one(w http.ResponseWriter, r *http.Request) {
	uid := r.PathValue("uid")
	if err := neurotriage.CheckUID(uid); err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	entry, found, err := s.bus.Entry(r.Context(), uid)
	if err == nil && !found {
		problem(w, http.StatusNotFound, fmt.Errorf("study %s is not on the worklist", uid))
		return
	}
	answer := study{Entry: entry}
	if err == nil && entry.Finding != nil {
		var finding neurotriage.Finding
		if finding, found, err = s.bus.Finding(r.Context(), entry.Finding.ID); found {
			answer.Full = &finding
		}
	}
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// urgentFirst puts flagged studies before all others, the newest of each first.
func urgentFirst(a, b events.Entry) int {
	return cmp.Or(
		cmp.Compare(number(flagged(b)), number(flagged(a))),
		b.Announcement.Asked.Compare(a.Announcement.Asked),
		cmp.Compare(a.StudyInstanceUID, b.StudyInstanceUID),
	)
}

func flagged(e events.Entry) bool { return e.WasFlagged || e.Finding != nil && e.Finding.Flagged }

func dispositionOf(e events.Entry) string {
	if e.Finding == nil {
		return ""
	}
	return string(e.Finding.Disposition)
}

// whole reads a number of the query.
func whole(query url.Values, name string, fallback, least, most int) (int, error) {
	text := query.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s: %q is not a whole number from %d to %d", name, text, least, most)
	}
	return n, nil
}

// problem answers with what went wrong, in JSON too.
func problem(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}
