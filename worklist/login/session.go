package login

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"neurotriage/worklist"
)

// What cookies are sealed for, and are called.
const (
	sessionPurpose = "session"
	attemptPurpose = "attempt"
	cookieStem     = "neurotriage_"
)

// session is what the cookie of somebody who is logged in says.
type session struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Groups []string  `json:"groups,omitempty"`
	Until  time.Time `json:"until"`
}

// left remembers sessions that were logged out, until their end.
type left struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (l *left) add(s session, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[string]time.Time{}
	}
	for id, end := range l.until {
		if end.Before(now) {
			delete(l.until, id)
		}
	}
	l.until[s.ID] = s.Until
}

func (l *left) has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.until[id]
	return ok
}

// cookieName carries the prefix by which a browser takes the cookie from this
// host alone, over TLS alone, where there is TLS.
func (g *Gate) cookieName(purpose string) string {
	if g.secure {
		return "__Host-" + cookieStem + purpose
	}
	return cookieStem + purpose
}

// set hands out a cookie. Lax, not Strict: the visitor comes back from the
// provider, which is another site.
func (g *Gate) set(w http.ResponseWriter, purpose, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: g.cookieName(purpose), Value: value, Path: "/", HttpOnly: true, Secure: g.secure, SameSite: http.SameSiteLaxMode,
		MaxAge: max(1, int(life.Seconds())),
	})
}

func (g *Gate) forget(w http.ResponseWriter, purpose string) {
	http.SetCookie(w, &http.Cookie{
		Name: g.cookieName(purpose), Path: "/", HttpOnly: true, Secure: g.secure, SameSite: http.SameSiteLaxMode, MaxAge: -1,
	})
}

// read opens a cookie of the request.
func (g *Gate) read(r *http.Request, purpose string, value any) bool {
	found := r.CookiesNamed(g.cookieName(purpose))
	return len(found) == 1 && g.seals.open(purpose, found[0].Value, value) == nil
}

// begin starts a session.
func (g *Gate) begin(w http.ResponseWriter, name string, groups []string) error {
	s := session{ID: rand.Text(), Name: name, Groups: groups, Until: g.now().Add(g.options.Lifetime)}
	sealed, err := g.seals.close(sessionPurpose, s)
	if err == nil {
		g.set(w, sessionPurpose, sealed, g.options.Lifetime)
	}
	return err
}

// session is the request's, when it is one that still holds.
func (g *Gate) session(r *http.Request) (session, bool) {
	var s session
	ok := g.read(r, sessionPurpose, &s) && g.now().Before(s.Until) && !g.left.has(s.ID)
	return s, ok
}

// Visitor tells who asks, or worklist.ErrNoVisitor. What the person may do
// follows the lists in force, not those of the time of the login.
func (g *Gate) Visitor(r *http.Request) (worklist.Visitor, error) {
	s, ok := g.session(r)
	if !ok {
		return worklist.Visitor{}, worklist.ErrNoVisitor
	}
	return worklist.Visitor{Name: s.Name, Role: g.options.Role(s.Name, s.Groups)}, nil
}
