package worklist

import (
	"fmt"
	"net/url"

	"neurotriage"
)

// listPage is what list.html shows.
type listPage struct {
	page
	Query         query
	Counts        []count
	Sorts         []choice
	Rows          []row
	Caption       string
	Empty         string
	Before, After string // addresses of the neighbouring pages
}

// count is one of the numbers above the list; it filters when followed.
type count struct {
	Name, Class, Link string
	Number            int
	Chosen            bool
}

type choice struct {
	Value, Name string
	Chosen      bool
}

// kinds are the counts in the order shown. An empty Show stands for all.
var kinds = []struct{ Name, Class, Show string }{
	{"studies", "calm", ""},
	{"glioma review", "review", string(neurotriage.GliomaReview)},
	{"tumour suspected", "suspected", string(neurotriage.TumourSuspected)},
	{"not read", "unread", string(NotRead)},
	{"waiting", "waiting", string(Waiting)},
	{"not flagged", "calm", string(neurotriage.NotFlagged)},
}

func counts(s *sheet, q query) []count {
	list := make([]count, 0, len(kinds))
	for _, kind := range kinds {
		c := count{Name: kind.Name, Class: kind.Class, Link: "/", Chosen: q.Disposition == kind.Show}
		if kind.Show != "" {
			c.Link = "/?" + url.Values{"show": {kind.Show}}.Encode()
		}
		c.Number = s.count()[kind.Show]
		list = append(list, c)
	}
	return list
}

func sorts(q query) []choice {
	list := []choice{
		{Value: "urgency", Name: "most urgent first"}, {Value: "newest", Name: "newest first"},
		{Value: "oldest", Name: "oldest first"}, {Value: "glioma", Name: "glioma probability"},
	}
	for i := range list {
		list[i].Chosen = list[i].Value == q.Sort
	}
	return list
}

func (b *Board) list(head page, entries []Entry, q query) listPage {
	s := b.sheets.of(entries)
	chosen, total := choose(s, q)
	p := listPage{page: head, Query: q, Counts: counts(s, q), Sorts: sorts(q)}
	now := b.now()
	for _, e := range chosen {
		p.Rows = append(p.Rows, newRow(*e, now))
	}
	first := (q.Page - 1) * pageSize
	p.Caption = fmt.Sprintf("%d to %d of %d studies", first+1, first+len(chosen), total)
	if q.Page > 1 {
		p.Before = q.with(q.Page - 1)
	}
	if first+len(chosen) < total {
		p.After = q.with(q.Page + 1)
	}
	p.Empty = "No study has been announced yet. Submit one with “neurotriage submit PATH”, or let your archive announce it on NATS."
	if len(entries) > 0 {
		p.Empty = "No study matches. Clear the search, or choose another kind above."
	}
	return p
}
