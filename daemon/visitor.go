package daemon

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"neurotriage/config"
	"neurotriage/worklist"
)

// proxy knows visitors from the headers of a reverse proxy.
type proxy struct {
	access config.HTTPAccess
}

// errNotProxy says that a request did not come through the proxy.
var errNotProxy = errors.New("the request did not come from a proxy of http.access.proxies")

// visitor tells who asks. Without a user header in the configuration everybody
// is anonymous and may do all: the listener is on loopback then, or behind
// http.auth or http.allow.
func (p proxy) visitor(r *http.Request) (worklist.Visitor, error) {
	if p.access.UserHeader == "" {
		return worklist.Visitor{Name: "anonymous", Role: worklist.Admin}, nil
	}
	if !p.trusted(r.RemoteAddr) {
		return worklist.Visitor{}, errors.Join(worklist.ErrNoVisitor, errNotProxy)
	}
	// Two values mean that the proxy added its own beside one of the visitor's.
	names := r.Header.Values(p.access.UserHeader)
	if len(names) != 1 || strings.TrimSpace(names[0]) == "" {
		return worklist.Visitor{}, worklist.ErrNoVisitor
	}
	name := strings.TrimSpace(names[0])
	return worklist.Visitor{Name: name, Role: p.role(name, p.groups(r))}, nil
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
func (p proxy) role(name string, groups []string) worklist.Role {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(entry string) bool {
			group, isGroup := strings.CutPrefix(entry, "@")
			return entry == "*" || !isGroup && entry == name || isGroup && group != "" && slices.Contains(groups, group)
		})
	}
	switch {
	case in(p.access.Admins):
		return worklist.Admin
	case in(p.access.Readers):
		return worklist.Reader
	case in(p.access.Viewers):
		return worklist.Viewer
	}
	return 0
}
