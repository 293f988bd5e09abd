package worklist

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
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
	Name      string
	Role      Role
	Anonymous bool // nobody knows who it is, and nobody asks
}

// CanRead and CanRun say what the pages offer.
func (v Visitor) CanRead() bool { return v.Role >= Reader }

// CanRun reports whether operations are shown.
func (v Visitor) CanRun() bool { return v.Role >= Admin }

// ErrNoVisitor says that a request does not tell who asks.
var ErrNoVisitor = errors.New("nobody is logged in")

// anonymous is everybody where no access control is configured, which is
// possible on loopback or behind the daemon's one password only.
func anonymous(*http.Request) (Visitor, error) {
	return Visitor{Name: "anonymous", Role: Admin, Anonymous: true}, nil
}

// ErrNoRole says that somebody is logged in who may do nothing here.
var ErrNoRole = errors.New("this person has no role here")

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
		case err != nil && b.options.Login != nil && byPerson(r):
			http.Redirect(w, r, "/login?"+url.Values{"to": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
		case err != nil && b.options.Login != nil:
			http.Error(w, "Nobody is logged in: log in at /login.", http.StatusUnauthorized)
		case err != nil:
			http.Error(w, "Nobody is logged in: the daemon takes visitors from its access proxy only.", http.StatusUnauthorized)
		case !allowed:
			http.Error(w, "This needs the role "+role.String()+"; "+who.Name+" has "+who.Role.String()+".", http.StatusForbidden)
		default:
			handler(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, who)))
		}
	}
}

// byPerson tells a page that a person opens from what scripts and programs ask for.
func byPerson(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// Guard lets visitors of any role through to what stands beside the pages, such
// as the list for programs, and writes the act into the log book.
func (b *Board) Guard(act string, next http.HandlerFunc) http.HandlerFunc {
	return b.allow(Viewer, act, next)
}
