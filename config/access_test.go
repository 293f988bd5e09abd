package config_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"neurotriage/config"
)

// TestLogin lists what a login provider's settings must satisfy.
func TestLogin(t *testing.T) {
	sound := config.OIDC{Issuer: "https://login.example.org/realms/h", ClientID: "neurotriage", RedirectURL: "https://triage.example.org/login/callback"}
	const section = "http.access.oidc."
	cases := []struct {
		name   string
		change func(*config.HTTP)
		want   []string // keys that are complained of
	}{
		{"all that is needed", func(*config.HTTP) {}, nil},
		{"with roles", func(h *config.HTTP) { h.Access.Readers, h.Access.Admins = []string{"@radiology"}, []string{"roe"} }, nil},
		{"a provider on loopback", func(h *config.HTTP) { h.Access.OIDC.Issuer = "http://127.0.0.1:8080/realms/h" }, nil},
		{"beyond loopback with tls", func(h *config.HTTP) {
			h.Listen, h.TLS = "0.0.0.0:8470", config.ServerTLS{Cert: "/c", Key: "/k"}
		}, nil},
		{"beyond loopback without", func(h *config.HTTP) { h.Listen = "0.0.0.0:8470" }, []string{"http.listen"}},
		{"programs by token", func(h *config.HTTP) { h.Auth.TokenFile = "/t" }, nil},
		{"two ways for people", func(h *config.HTTP) { h.Auth.User, h.Auth.PasswordFile = "u", "/p" }, []string{"http.auth.user"}},
		{"a proxy beside it", func(h *config.HTTP) {
			h.Access.UserHeader, h.Access.Proxies = "X-User", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		}, []string{"http.access.user_header"}},
		{"no issuer", func(h *config.HTTP) { h.Access.OIDC.Issuer = "" }, []string{section + "issuer"}},
		{"an issuer that can be overheard", func(h *config.HTTP) { h.Access.OIDC.Issuer = "http://login.example.org" }, []string{section + "issuer"}},
		{"an issuer with a question", func(h *config.HTTP) { h.Access.OIDC.Issuer += "?a=b" }, []string{section + "issuer"}},
		{"no client", func(h *config.HTTP) { h.Access.OIDC.ClientID = "" }, []string{section + "client_id"}},
		{"back to somewhere else", func(h *config.HTTP) { h.Access.OIDC.RedirectURL = "https://triage.example.org/" }, []string{section + "redirect_url"}},
		{"back without tls", func(h *config.HTTP) { h.Access.OIDC.RedirectURL = "http://triage.example.org/login/callback" }, []string{section + "redirect_url"}},
		{"nameless visitors", func(h *config.HTTP) { h.Access.OIDC.UserClaim = "" }, []string{section + "user_claim"}},
		{"a session for ever", func(h *config.HTTP) { h.Access.OIDC.Session = 1 << 60 }, []string{section + "session"}},
		{"a role that there is none", func(h *config.HTTP) { h.Access.Identity = []string{"nurse"} }, []string{"http.access.identity"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			all := config.Default()
			all.StateDir = "/state"
			defaults := all.HTTP.Access.OIDC
			oidc := sound
			oidc.Scopes, oidc.UserClaim, oidc.RoleClaim, oidc.Session = defaults.Scopes, defaults.UserClaim, defaults.RoleClaim, defaults.Session
			all.HTTP.Access.OIDC = oidc
			c.change(&all.HTTP)
			var keys []string
			if fault, ok := errors.AsType[*config.FaultError](all.Check()); ok {
				for _, complaint := range fault.Complaints {
					keys = append(keys, complaint.Key)
				}
			}
			if !slices.Equal(keys, c.want) {
				t.Errorf("complaints about %v, want %v", keys, c.want)
			}
		})
	}
}
