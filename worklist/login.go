package worklist

import (
	"errors"
	"net/http"
	"net/url"
)

// Login lets visitors log in and out. Where there is none they are known by
// other means, or are all anonymous.
type Login interface {
	// Start sends the visitor to where people log in; to is the page they want.
	// again asks for a login anew, whoever is logged in there.
	Start(w http.ResponseWriter, r *http.Request, to string, again bool) error
	// Finish takes them back, and gives who came and what they want to see. An
	// error that wraps ErrNoRole has the name with it.
	Finish(w http.ResponseWriter, r *http.Request) (who Visitor, to string, err error)
	// End ends the session here, and gives the address where the one there can be
	// ended, or nothing.
	End(w http.ResponseWriter, r *http.Request) string
}

// loginPage is what login.html shows.
type loginPage struct {
	page
	Start     string // address that begins a login
	Fault     string
	Out       bool   // the visitor has just left
	Elsewhere string // where to leave the provider, too
}

func (b *Board) routeLogin(mux *http.ServeMux) {
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		b.serveLogin(w, r, http.StatusOK, loginPage{}, false)
	})
	mux.HandleFunc("GET /login/start", b.startLogin)
	mux.HandleFunc("GET /login/callback", b.finishLogin)
	mux.HandleFunc("POST /logout", genuine(b.logout))
}

func (b *Board) serveLogin(w http.ResponseWriter, r *http.Request, status int, p loginPage, again bool) {
	start := url.Values{"to": {ours(r.URL.Query().Get("to"))}}
	if again {
		start.Set("again", "yes")
	}
	p.page, p.Start = b.page(w, r, "Log in"), "/login/start?"+start.Encode()
	p.Model = nil // nothing for those whom nobody knows
	b.renderWith(w, status, "login.html", p)
}

func (b *Board) startLogin(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if err := b.options.Login.Start(w, r, ours(query.Get("to")), query.Get("again") != ""); err != nil {
		b.options.Logger.Error("a login cannot begin", "error", err)
		b.serveLogin(w, r, http.StatusBadGateway, loginPage{Fault: "The login provider does not answer. Try again in a minute; the worklist goes on meanwhile."}, false)
	}
}

func (b *Board) finishLogin(w http.ResponseWriter, r *http.Request) {
	who, to, err := b.options.Login.Finish(w, r)
	b.book.write(r, who, "log in", err == nil)
	switch {
	case errors.Is(err, ErrNoRole):
		b.serveLogin(w, r, http.StatusForbidden, loginPage{Fault: who.Name + " is known, but has no role here. Ask who runs neurotriage, or log in as somebody else."}, true)
	case err != nil:
		b.options.Logger.Warn("a login did not succeed", "error", err, "from", r.RemoteAddr)
		b.serveLogin(w, r, http.StatusForbidden, loginPage{Fault: "The login did not succeed. Try again; the daemon's log says why."}, false)
	default:
		http.Redirect(w, r, ours(to), http.StatusSeeOther)
	}
}

// logout answers with a page, not with a way to the provider: a form of ours may
// lead to no other site.
func (b *Board) logout(w http.ResponseWriter, r *http.Request) {
	who, err := b.options.Visitor(r)
	b.book.write(r, who, "log out", err == nil)
	elsewhere := b.options.Login.End(w, r)
	b.serveLogin(w, r, http.StatusOK, loginPage{Out: true, Elsewhere: elsewhere}, true)
}
