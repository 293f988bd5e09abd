package worklist

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Cookies. The token protects forms where a browser does not tell where a
// request comes from: only our own pages can repeat what the cookie says.
const (
	themeCookie = "neurotriage_theme"
	tokenCookie = "neurotriage_form"
)

// cookie is Lax, not Strict: who comes back from a login provider, or by a link
// of the archive, brings it along, and a form from elsewhere does not.
func cookie(r *http.Request, name, value string) *http.Cookie {
	return &http.Cookie{Name: cookieName(r, name), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure(r)}
}

func secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// cookieName carries the prefix by which a browser takes the cookie from this
// host alone, where there is TLS.
func cookieName(r *http.Request, name string) string {
	if secure(r) {
		return "__Host-" + name
	}
	return name
}

// theme is what the visitor chose; dark unless it is light.
func theme(r *http.Request) string {
	if c, err := r.Cookie(cookieName(r, themeCookie)); err == nil && c.Value == "light" {
		return "light"
	}
	return "dark"
}

// token gives the visitor's form token, and hands out a new one where there is none.
func token(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(cookieName(r, tokenCookie)); err == nil && len(c.Value) >= 26 {
		return c.Value
	}
	value := rand.Text()
	http.SetCookie(w, cookie(r, tokenCookie, value))
	return value
}

// genuine wraps what changes something: the form must carry the token.
func genuine(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(cookieName(r, tokenCookie))
		if err != nil || len(c.Value) < 26 || subtle.ConstantTimeCompare([]byte(c.Value), []byte(r.PostFormValue("token"))) != 1 {
			http.Error(w, "This form is too old, or did not come from this page. Go back, reload, and try again.", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// ours is the address if it is one of our pages, else the list.
func ours(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

func (b *Board) setTheme(w http.ResponseWriter, r *http.Request) {
	value := "dark"
	if r.PostFormValue("theme") == "light" {
		value = "light"
	}
	c := cookie(r, themeCookie, value)
	c.MaxAge = 365 * 24 * 60 * 60
	http.SetCookie(w, c)
	http.Redirect(w, r, ours(r.PostFormValue("back")), http.StatusSeeOther)
}
