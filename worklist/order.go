package worklist

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"neurotriage"
)

// pageSize is how many studies stand on one page.
const pageSize = 50

// query is what the address asks the list for.
type query struct {
	Text        string // part of a study UID, accession number, disposition or reason
	Disposition string // a disposition, a state, or empty for all
	Sort        string // urgency, newest, oldest, glioma
	Page        int    // from 1
}

// parseQuery reads the address; what it does not know falls back to the
// default, so that an old bookmark shows a list and not an error.
func parseQuery(values url.Values) query {
	q := query{Text: strings.TrimSpace(values.Get("q")), Disposition: values.Get("show"), Sort: values.Get("sort"), Page: 1}
	if page, err := strconv.Atoi(values.Get("page")); err == nil && page > 1 {
		q.Page = page
	}
	if _, ok := orders[q.Sort]; !ok {
		q.Sort = "urgency"
	}
	return q
}

// with gives the address of the same list on another page.
func (q query) with(page int) string {
	values := url.Values{}
	for key, value := range map[string]string{"q": q.Text, "show": q.Disposition, "sort": q.Sort} {
		if value != "" {
			values.Set(key, value)
		}
	}
	if page > 1 {
		values.Set("page", strconv.Itoa(page))
	}
	return "/?" + values.Encode()
}

// judged is what a search finds of a verdict on the finding in force.
func judged(e *Entry) string {
	switch {
	case e.FindingID == "":
		return ""
	case e.Assessed == nil || e.Assessed.FindingID != e.FindingID:
		return "not assessed"
	}
	return e.Assessed.Verdict + " " + e.Assessed.Label + " " + e.Assessed.User
}

func (q query) match(e *Entry) bool {
	switch q.Disposition {
	case "", string(e.Disposition), string(e.stage()):
	default:
		return false
	}
	if q.Text == "" {
		return true
	}
	hay := strings.ToLower(strings.Join([]string{
		e.StudyInstanceUID, e.AccessionNumber, string(e.Disposition), string(e.Reason), e.Predicted, string(e.State),
		e.Modality, e.BodyPart, string(e.Sequence), judged(e),
	}, "\n"))
	return strings.Contains(hay, strings.ToLower(q.Text))
}

// orders are the ways to sort. Every one ends with the study UID, so that the
// order of equal studies never jumps.
var orders = map[string]func(a, b *Entry) int{
	"urgency": func(a, b *Entry) int {
		if by := cmp.Or(rank(a)-rank(b), haste(b)-haste(a)); by != 0 {
			return by
		}
		return cmp.Or(b.latest().Compare(a.latest()), byUID(a, b))
	},
	"newest": func(a, b *Entry) int { return cmp.Or(b.latest().Compare(a.latest()), byUID(a, b)) },
	"oldest": func(a, b *Entry) int { return cmp.Or(a.latest().Compare(b.latest()), byUID(a, b)) },
	"glioma": func(a, b *Entry) int { return cmp.Or(cmp.Compare(b.shown(), a.shown()), byUID(a, b)) },
}

func byUID(a, b *Entry) int { return cmp.Compare(a.StudyInstanceUID, b.StudyInstanceUID) }

// rank puts first what somebody must look at. A study that was flagged once
// keeps its place among the flagged: a flag is never silently cleared.
func rank(e *Entry) int {
	switch {
	case e.Flagged():
		return 0
	case e.WasFlagged:
		return 1
	case e.Disposition == neurotriage.TumourSuspected:
		return 2
	case e.stage() == NotRead:
		return 3
	case e.State == Waiting, e.State == Reading:
		return 4
	}
	return 5
}

// haste orders the sender's priorities.
func haste(e *Entry) int {
	switch e.Priority {
	case neurotriage.Stat:
		return 3
	case neurotriage.ASAP:
		return 2
	case neurotriage.Urgent:
		return 1
	}
	return 0
}

// sheet is one state of the worklist with what was worked out about it, since
// many look at the same one.
type sheet struct {
	entries []Entry
	mu      sync.Mutex
	sorted  map[string][]*Entry // by the name of the order
	numbers map[string]int      // of the kinds above the list, by what they show
}

// sheets keeps the latest sheet.
type sheets struct {
	mu   sync.Mutex
	last *sheet
}

// of gives the sheet of these entries; a slice is known by its first element.
func (s *sheets) of(entries []Entry) *sheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || len(entries) == 0 || len(s.last.entries) != len(entries) || &s.last.entries[0] != &entries[0] {
		s.last = &sheet{entries: entries, sorted: map[string][]*Entry{}}
	}
	return s.last
}

func (s *sheet) order(name string) []*Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.sorted[name]; ok {
		return known
	}
	list := make([]*Entry, len(s.entries))
	for i := range s.entries {
		list[i] = &s.entries[i]
	}
	slices.SortFunc(list, orders[name])
	s.sorted[name] = list
	return list
}

func (s *sheet) count() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.numbers == nil {
		s.numbers = map[string]int{}
		for i := range s.entries {
			for _, kind := range kinds {
				if (query{Disposition: kind.Show}).match(&s.entries[i]) {
					s.numbers[kind.Show]++
				}
			}
		}
	}
	return s.numbers
}

// choose filters, sorts and cuts out the page asked for; total counts the whole.
func choose(s *sheet, q query) (rows []*Entry, total int) {
	first := (q.Page - 1) * pageSize
	for _, e := range s.order(q.Sort) {
		if !q.match(e) {
			continue
		}
		if total >= first && len(rows) < pageSize {
			rows = append(rows, e)
		}
		total++
	}
	return rows, total
}
