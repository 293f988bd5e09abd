package worklist

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Role is what a visitor may do; each holds the ones before it.
type Role int

// The roles.
const (
	Viewer Role = iota + 1 // sees findings and pictures
	Reader                 // assesses findings, and sees who the patient is
	Admin                  // sees operations, replays dead letters, exports
)

func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Reader:
		return "reader"
	case Admin:
		return "admin"
	}
	return "nobody"
}

// Visitor is who asks.
type Visitor struct {
	Name string
	Role Role
}

// CanRead and CanRun say what the pages offer.
func (v Visitor) CanRead() bool { return v.Role >= Reader }

// CanRun reports whether operations are shown.
func (v Visitor) CanRun() bool { return v.Role >= Admin }

// ErrNoVisitor says that a request does not tell who asks.
var ErrNoVisitor = errors.New("nobody is logged in")

// anonymous is everybody where no access control is configured, which is
// possible on loopback or behind the daemon's one password only.
func anonymous(*http.Request) (Visitor, error) { return Visitor{Name: "anonymous", Role: Admin}, nil }

type visitorKey struct{}

func visitor(r *http.Request) Visitor {
	v, _ := r.Context().Value(visitorKey{}).(Visitor)
	return v
}

// allow runs a handler for visitors of a role, and writes the act into the log
// book whether it was allowed or not.
func (b *Board) allow(role Role, act string, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := b.options.Visitor(r)
		allowed := err == nil && who.Role >= role
		b.book.write(r, who, act, allowed)
		switch {
		case err != nil:
			http.Error(w, "Nobody is logged in: the daemon takes visitors from its access proxy only.", http.StatusUnauthorized)
		case !allowed:
			http.Error(w, "This needs the role "+role.String()+"; "+who.Name+" has "+who.Role.String()+".", http.StatusForbidden)
		default:
			handler(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, who)))
		}
	}
}

// pictureAct is the one act that is not written each time: a viewer asks for a
// hundred slices while a person looks once.
const pictureAct = "see pixels"

// book is the log book of views and acts: one line each.
type book struct {
	log  *slog.Logger
	now  func() time.Time
	mu   sync.Mutex
	seen map[string]time.Time // of pictureAct, by visitor and study
}

// lookTime is how long one look at the slices of a study lasts in the book.
const lookTime = 10 * time.Minute

func (b *book) write(r *http.Request, who Visitor, act string, allowed bool) {
	study := r.PathValue("uid")
	if act == pictureAct && allowed && !b.first(who.Name+" "+study) {
		return
	}
	b.log.Info("audit", "act", act, "allowed", allowed, "user", clean(who.Name), "role", who.Role.String(), "study", clean(study),
		"path", clean(r.URL.Path), "from", r.RemoteAddr)
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

// Guard lets visitors of any role through to what stands beside the pages, such
// as the list for programs.
func (o Options) Guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if o.Visitor == nil {
			next(w, r)
			return
		}
		switch who, err := o.Visitor(r); {
		case err != nil:
			http.Error(w, "nobody is logged in", http.StatusUnauthorized)
		case who.Role < Viewer:
			http.Error(w, "this needs the role viewer", http.StatusForbidden)
		default:
			next(w, r)
		}
	}
}
