package config

import (
	"net/url"
	"regexp"
	"strings"
	"time"
)

// OIDC is the provider that people log in with; without an issuer there is none.
type OIDC struct {
	Issuer           string        `json:"issuer"`
	ClientID         string        `json:"client_id"`
	ClientSecretFile string        `json:"client_secret_file" config:"path,file"` // empty: a public client
	RedirectURL      string        `json:"redirect_url"`                          // ends with /login/callback
	CA               string        `json:"ca" config:"path,file"`                 // PEM; empty: the system's
	Scopes           []string      `json:"scopes"`                                // beside openid
	UserClaim        string        `json:"user_claim"`
	RoleClaim        string        `json:"role_claim"`                      // holds groups; dots lead into objects
	Session          time.Duration `json:"session" config:"min=5m,max=24h"` // until people log in again
	SessionKeyFile   string        `json:"session_key_file" config:"path,file"`
}

// callback is where the provider sends people back to.
const callback = "/login/callback"

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// access checks who may say who the visitors are, and where a study is opened.
func (c *checker) access() {
	a := c.config.HTTP.Access
	for key, name := range map[string]string{"http.access.user_header": a.UserHeader, "http.access.group_header": a.GroupHeader} {
		if name != "" && !headerName.MatchString(name) {
			c.complain(key, "allowed is the name of a header, such as X-Remote-User")
		}
	}
	switch {
	case a.UserHeader == "" && a.GroupHeader != "", a.UserHeader == "" && a.OIDC.Issuer == "" && len(a.Proxies)+len(a.Readers)+len(a.Admins) > 0:
		c.complain("http.access.user_header", "this, or http.access.oidc.issuer, is needed for the rest of http.access: without it everybody is anonymous")
	case a.UserHeader != "" && a.OIDC.Issuer != "":
		c.complain("http.access.user_header", "allowed is one of this and http.access.oidc.issuer, not both")
	case a.UserHeader != "" && !bounded(a.Proxies):
		c.complain("http.access.user_header", "needs http.access.proxies with the networks of the proxy, or anybody could claim to be anybody")
	}
	c.oidc()
	if v := c.config.HTTP.Viewer; v != "" && (!strings.HasPrefix(v, "https://") && !strings.HasPrefix(v, "http://") || !strings.Contains(v, "{study}")) {
		c.complain("http.viewer", "allowed is an http or https address that holds {study}")
	}
}

// oidc checks that a login can work, and that nobody on the way can read it.
func (c *checker) oidc() {
	o := c.config.HTTP.Access.OIDC
	const section = "http.access.oidc."
	if o.Issuer == "" {
		if o.ClientID+o.ClientSecretFile+o.RedirectURL+o.SessionKeyFile+o.CA != "" {
			c.complain(section+"issuer", "needed for the rest of http.access.oidc")
		}
		return
	}
	const private = "https, or http on this machine's own loopback"
	if issuer, err := url.Parse(o.Issuer); err != nil || !guarded(issuer) || issuer.RawQuery+issuer.Fragment != "" {
		c.complain(section+"issuer", "allowed is an address such as https://login.example.org/realms/hospital, with %s", private)
	}
	if back, err := url.Parse(o.RedirectURL); err != nil || !guarded(back) || back.Path != callback || back.RawQuery+back.Fragment != "" {
		c.complain(section+"redirect_url", "allowed is this daemon's address as browsers know it with the path %s, with %s", callback, private)
	}
	for key, value := range map[string]string{"client_id": o.ClientID, "user_claim": o.UserClaim, "role_claim": o.RoleClaim} {
		if value == "" {
			c.complain(section+key, "needed with http.access.oidc.issuer")
		}
	}
	if c.config.HTTP.Auth.User != "" {
		c.complain("http.auth.user", "allowed with http.access.oidc is token_file alone, for programs: people log in with the provider")
	}
}

// guarded reports whether nobody between can read what goes to the address.
func guarded(address *url.URL) bool {
	return address.Hostname() != "" && address.User == nil &&
		(address.Scheme == "https" || address.Scheme == "http" && loopback(address.Hostname()))
}
