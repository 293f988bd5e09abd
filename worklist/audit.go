package worklist

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Act is one view or act of a visitor, or a try that was refused.
type Act struct {
	Name             string // in words, such as "see a study"; docs/WORKLIST.md lists them
	Allowed          bool
	Visitor          Visitor // no name: nobody was logged in
	StudyInstanceUID string  // as the address says it, cleaned; empty: of no study
	Detail           string  // of acts that succeeded: the verdict, the dead letter
	Path, From       string  // of the request; From is host:port of the connection
	Time             time.Time
}

// Auditor takes every act beside the daemon's own log.
type Auditor interface {
	// Audit must not block: a page waits for it. ctx ends with the request.
	Audit(ctx context.Context, act Act)
}

// pictureAct is not written each time: a viewer asks for a hundred slices while
// a person looks once.
const pictureAct = "see pixels"

// renewal is the header by which a page that renews itself says so: the person
// looks on, and that is one look as well.
const renewal = "Neurotriage-Renewal"

// book is the log book of views and acts: one line each.
type book struct {
	log     *slog.Logger
	auditor Auditor // nil: the log is all
	now     func() time.Time
	mu      sync.Mutex
	seen    map[string]time.Time // of what is not written each time, by act, visitor and study
}

// lookTime is how long one look lasts in the book.
const lookTime = 10 * time.Minute

// write notes a view or act as it is asked for.
func (b *book) write(r *http.Request, who Visitor, act string, allowed bool) {
	if !allowed || !b.same(r, who, act) {
		b.note(r, Act{Name: act, Allowed: allowed, Visitor: who})
	}
}

// same reports whether the act belongs to a look that is in the book already.
func (b *book) same(r *http.Request, who Visitor, act string) bool {
	goesOn := act == pictureAct || r.Header.Get(renewal) != ""
	first := b.first(strings.Join([]string{act, who.Name, r.PathValue("uid")}, "\n"))
	return goesOn && !first
}

// done notes an act that came to its end.
func (b *book) done(r *http.Request, act, detail string) {
	b.note(r, Act{Name: act, Allowed: true, Visitor: visitor(r), Detail: detail})
}

func (b *book) note(r *http.Request, act Act) {
	act.Visitor.Name, act.Detail, act.StudyInstanceUID = clean(act.Visitor.Name), clean(act.Detail), clean(r.PathValue("uid"))
	act.Path, act.From, act.Time = clean(r.URL.Path), r.RemoteAddr, b.now()
	attrs := []any{
		"act", act.Name, "allowed", act.Allowed, "user", act.Visitor.Name, "role", act.Visitor.Role.String(),
		"study", act.StudyInstanceUID, "path", act.Path, "from", act.From,
	}
	if act.Detail != "" {
		attrs = append(attrs, "detail", act.Detail)
	}
	b.log.Info("audit", attrs...)
	if b.auditor != nil {
		b.auditor.Audit(r.Context(), act)
	}
}

func (b *book) first(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if at, ok := b.seen[key]; ok && now.Sub(at) < lookTime {
		return false
	}
	if b.seen == nil || len(b.seen) > 4096 { // forgetting writes a line more, never one less
		b.seen = map[string]time.Time{}
	}
	b.seen[key] = now
	return true
}

// clean keeps one line one line, and short.
func clean(s string) string {
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s[:min(len(s), 256)]), "?")
}
