package worklist

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"neurotriage"
)

// Room is what the operations page shows beside the worklist.
type Room interface {
	// Parts says how each part of the daemon is.
	Parts() []Part
	// Letters gives the dead letters, newest first.
	Letters(ctx context.Context) ([]Letter, error)
	// Replay announces a dead letter's study again.
	Replay(ctx context.Context, id string) error
}

// Part is one thing that the daemon needs.
type Part struct {
	Name                string
	OK                  bool
	Detail, Cause, Cure string
}

// Letter is an announcement that was refused or given up.
type Letter struct {
	ID, StudyInstanceUID string
	Reason               neurotriage.Reason
	Cause                string
	Time                 time.Time
	Attempts             int
}

const lettersShown = 100

type operationsPage struct {
	page
	Parts        []Part
	Flow         []flow
	Reasons      []tally
	Letters      []Letter
	MoreLetters  int
	Agreement    agreement
	Drift        drift
	Training     comparison
	Evaluation   []figure
	LettersFault string
}

// flow is what happened in a stretch of time.
type flow struct {
	Span                          string
	Read, Flagged, NotRead        int
	FlaggedShare, Median, Slowest string
}

type tally struct {
	Name   string
	Number int
}

func (b *Board) serveOperations(w http.ResponseWriter, r *http.Request) {
	entries, err := b.store.Entries(r.Context())
	if err != nil {
		b.fail(w, fmt.Errorf("reading the worklist: %w", err))
		return
	}
	p := operationsPage{page: b.page(w, r, "Operations"), Flow: flows(entries, b.now()), Drift: drifted(entries, b.now())}
	p.Reasons, p.Training = reasons(entries), b.compare(r.Context(), entries)
	p.Parts = b.options.Room.Parts()
	p.Parts = append(p.Parts, Part{Name: "version", OK: true, Detail: b.options.Version})
	letters, err := b.options.Room.Letters(r.Context())
	if err != nil {
		p.LettersFault = "The dead letters cannot be read just now."
		b.options.Logger.Error("reading the dead letters", "error", err)
	}
	p.Letters = letters[:min(len(letters), lettersShown)]
	p.MoreLetters = len(letters) - len(p.Letters)
	if b.options.Desk != nil {
		if p.Agreement, err = agree(r.Context(), b.options.Desk); err != nil {
			b.fail(w, fmt.Errorf("reading the assessments: %w", err))
			return
		}
	}
	if b.options.Evaluation != nil {
		p.Evaluation = evaluated(b.options.Evaluation())
	}
	b.render(w, "operations.html", p)
}

func (b *Board) replay(w http.ResponseWriter, r *http.Request) {
	if err := b.options.Room.Replay(r.Context(), r.PostFormValue("letter")); err != nil {
		b.options.Logger.Warn("a dead letter was not replayed", "letter", clean(r.PostFormValue("letter")), "error", err)
		http.Error(w, "It was not replayed: "+err.Error(), http.StatusConflict)
		return
	}
	b.book.done(r, "replayed a dead letter", r.PostFormValue("letter"))
	http.Redirect(w, r, "/operations", http.StatusSeeOther)
}

func flows(entries []Entry, now time.Time) []flow {
	var list []flow
	for _, span := range []struct {
		name string
		long time.Duration
	}{{"last hour", time.Hour}, {"last 24 hours", 24 * time.Hour}, {"last 7 days", 7 * 24 * time.Hour}, {"all that is kept", math.MaxInt64}} {
		f := flow{Span: span.name}
		var took []time.Duration
		for _, e := range entries {
			if e.Finished.IsZero() || now.Sub(e.Finished) > span.long {
				continue
			}
			f.Read++
			switch {
			case e.Flagged():
				f.Flagged++
			case e.Disposition == neurotriage.Refused || e.Disposition == neurotriage.NotAssessable:
				f.NotRead++
			}
			took = append(took, e.Finished.Sub(e.Asked))
		}
		if f.Read > 0 {
			slices.Sort(took)
			f.FlaggedShare = percent(float64(f.Flagged) / float64(f.Read))
			f.Median, f.Slowest = took[len(took)/2].Round(10*time.Millisecond).String(), took[len(took)*99/100].Round(10*time.Millisecond).String()
		}
		list = append(list, f)
	}
	return list
}

func reasons(entries []Entry) []tally {
	count := map[string]int{}
	for _, e := range entries {
		if e.stage() == NotRead {
			count[explain(e.Disposition, e.Reason)]++
		}
	}
	return ranked(count)
}

func ranked(count map[string]int) []tally {
	list := make([]tally, 0, len(count))
	for name, number := range count {
		list = append(list, tally{name, number})
	}
	slices.SortFunc(list, func(a, b tally) int {
		if a.Number != b.Number {
			return b.Number - a.Number
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}
