package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"neurotriage/config"
	"neurotriage/worklist"
	"neurotriage/worklist/login"
)

// proxy knows visitors from the headers of a reverse proxy.
type proxy struct {
	access config.HTTPAccess
}

// errNotProxy says that a request did not come through the proxy.
var errNotProxy = errors.New("the request did not come from a proxy of http.access.proxies")

// visitor tells who asks.
func (p proxy) visitor(r *http.Request) (worklist.Visitor, error) {
	if !p.trusted(r.RemoteAddr) {
		return worklist.Visitor{}, errors.Join(worklist.ErrNoVisitor, errNotProxy)
	}
	// Two values mean that the proxy added its own beside one of the visitor's.
	names := r.Header.Values(p.access.UserHeader)
	if len(names) != 1 || strings.TrimSpace(names[0]) == "" {
		return worklist.Visitor{}, worklist.ErrNoVisitor
	}
	name := strings.TrimSpace(names[0])
	return worklist.Visitor{Name: name, Role: role(p.access, name, p.groups(r))}, nil
}

func (p proxy) trusted(remote string) bool {
	from, err := netip.ParseAddrPort(remote)
	return err == nil && slices.ContainsFunc(p.access.Proxies, func(network netip.Prefix) bool { return network.Contains(from.Addr().Unmap()) })
}

func (p proxy) groups(r *http.Request) []string {
	if p.access.GroupHeader == "" {
		return nil
	}
	values := r.Header.Values(p.access.GroupHeader)
	if len(values) != 1 {
		return nil
	}
	groups := strings.Split(values[0], ",")
	for i := range groups {
		groups[i] = strings.TrimSpace(groups[i])
	}
	return groups
}

// role is the highest that a list gives to the user, or to a group of theirs.
func role(access config.HTTPAccess, name string, groups []string) worklist.Role {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(entry string) bool {
			group, isGroup := strings.CutPrefix(entry, "@")
			return entry == "*" || !isGroup && entry == name || isGroup && group != "" && slices.Contains(groups, group)
		})
	}
	switch {
	case in(access.Admins):
		return worklist.Admin
	case in(access.Readers):
		return worklist.Reader
	case in(access.Viewers):
		return worklist.Viewer
	}
	return 0
}

// visitors tells who asks, in the way that is configured.
type visitors struct {
	visitor func(*http.Request) (worklist.Visitor, error)
	login   *login.Gate // nil: nobody logs in with the daemon
}

// openVisitors chooses the way. Without one everybody is anonymous and may do
// all: the listener is on loopback then, or behind http.auth or http.allow.
func (d *Daemon) openVisitors(keeper doorkeeper) (visitors, error) {
	access := d.cfg.HTTP.Access
	switch {
	case access.OIDC.Issuer != "":
		gate, err := d.openLogin(access)
		if err != nil {
			return visitors{}, fmt.Errorf("http.access.oidc: %w", err)
		}
		return visitors{login: gate, visitor: func(r *http.Request) (worklist.Visitor, error) {
			if keeper.token != "" && keeper.knows(r) {
				return worklist.Visitor{Name: "token", Role: worklist.Viewer}, nil // a program
			}
			return gate.Visitor(r)
		}}, nil
	case access.UserHeader != "":
		return visitors{visitor: proxy{access}.visitor}, nil
	}
	return visitors{visitor: func(*http.Request) (worklist.Visitor, error) {
		return worklist.Visitor{Name: "anonymous", Role: worklist.Admin, Anonymous: true}, nil
	}}, nil
}

func (d *Daemon) openLogin(access config.HTTPAccess) (*login.Gate, error) {
	o := access.OIDC
	options := login.Options{
		Issuer: o.Issuer, ClientID: o.ClientID, RedirectURL: o.RedirectURL, Scopes: o.Scopes, UserClaim: o.UserClaim, RoleClaim: o.RoleClaim,
		Lifetime: o.Session, Now: d.deps.Now, Groups: groupsOf(access),
		Role: func(name string, groups []string) worklist.Role { return role(access, name, groups) },
	}
	var err error
	if o.SessionKeyFile != "" {
		options.Keys, err = login.Keys(o.SessionKeyFile)
	} else {
		options.Keys, err = login.OwnKeys(filepath.Join(d.cfg.StateDir, "session.key"))
	}
	if err != nil {
		return nil, err
	}
	if options.ClientSecret, err = o.Secret(); err != nil {
		return nil, err
	}
	if options.Client, err = login.Client(o.CA); err != nil {
		return nil, err
	}
	return login.New(options)
}

// groupsOf lists the groups that a role hangs on.
func groupsOf(access config.HTTPAccess) []string {
	var groups []string
	for _, entry := range slices.Concat(access.Viewers, access.Readers, access.Admins) {
		if group, ok := strings.CutPrefix(entry, "@"); ok {
			groups = append(groups, group)
		}
	}
	return groups
}

// known keeps out whom nobody knows, where people log in; the acts of programs
// that watch the daemon are not written into the log book.
func (v visitors) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, err := v.visitor(r); v.login != nil && (err != nil || who.Role < worklist.Viewer) {
			http.Error(w, "authentication is needed: a session, or the token of http.auth", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
