package dicomweb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ErrNotAllowed marks a URL or an address that the Guard keeps a client from.
var ErrNotAllowed = errors.New("not allowed")

const dialTime = 10 * time.Second

// Guard says which URLs and addresses a client may reach. Names that a URL holds
// may lead anywhere, and elsewhere a moment later; so each address is judged
// when it is dialled, and the one that was judged is the one that is dialled.
type Guard struct {
	// Allow are URL prefixes, each ending with a slash. Empty: none.
	Allow []string
	// Networks are private ones that names may lead to. Without them a name leads
	// to public addresses only. An address that stands in Allow itself needs no
	// entry here, and localhost none for loopback.
	Networks []netip.Prefix
	// Inside are names that may lead to private networks (RFC 1918, RFC 4193)
	// though Networks does not say so, since an administrator named them as hosts
	// of the house. Loopback and link-local addresses stay closed to them.
	Inside []string
	// AnyAddress lets names lead anywhere: for URLs that an administrator chose,
	// not a message.
	AnyAddress bool
	// Lookup resolves names; default: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Check judges a URL. What it says of it leaves out all but scheme and host.
func (g *Guard) Check(asked *url.URL) error {
	if plain(asked) && slices.ContainsFunc(g.Allow, func(prefix string) bool { return covers(prefix, asked) }) {
		return nil
	}
	return fmt.Errorf("%s://%s: %w: no allowed prefix covers this url", asked.Scheme, asked.Host, ErrNotAllowed)
}

// plain refuses what could pass for the beginning of another address: a user
// part, a path that climbs, or one that hides a slash or a dot.
func plain(u *url.URL) bool {
	raw := strings.ToLower(u.EscapedPath())
	return u.User == nil && u.Host != "" && u.Fragment == "" && u.Opaque == "" &&
		!strings.Contains(u.Path, "..") && !strings.ContainsAny(u.Path, "\\\x00") &&
		!strings.Contains(raw, "%2e") && !strings.Contains(raw, "%2f") && !strings.Contains(raw, "%5c") && !strings.Contains(raw, "%25")
}

func covers(prefix string, asked *url.URL) bool {
	allowed, err := url.Parse(prefix)
	return err == nil && origin(allowed) == origin(asked) &&
		strings.HasPrefix(strings.TrimSuffix(asked.Path, "/")+"/", strings.TrimSuffix(allowed.Path, "/")+"/")
}

// origin is scheme, host and port, spelled in one way (RFC 6454 4).
func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	switch {
	case port == "" && scheme == "https":
		port = "443"
	case port == "" && scheme == "http":
		port = "80"
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// dial connects to an allowed address of the host.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := g.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var failures []error
	dialer := net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}
	for _, one := range addresses {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(one.String(), port))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// addresses gives those of the host that may be reached.
func (g *Guard) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{literal}, nil // written so in the URL, which Check has covered
	}
	lookup := g.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	found, err := lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", host, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("resolving %s: no address", host)
	}
	allowed := slices.DeleteFunc(slices.Clone(found), func(a netip.Addr) bool { return !g.reachable(host, a.Unmap()) })
	if len(allowed) == 0 {
		return nil, fmt.Errorf("%s leads to %s: %w: this is no public address; add its network to those that may be reached if it is meant",
			host, found[0].Unmap(), ErrNotAllowed)
	}
	return allowed, nil
}

func (g *Guard) reachable(host string, address netip.Addr) bool {
	inside := func(name string) bool { return strings.EqualFold(name, host) }
	return g.AnyAddress || public(address) || address.IsPrivate() && slices.ContainsFunc(g.Inside, inside) || strings.EqualFold(host, "localhost") && address.IsLoopback() ||
		slices.ContainsFunc(g.Networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// special are networks that are not the public internet's though netip does not
// say so (IANA special-purpose registries), and those that carry an IPv4
// address inside, which could be a private one.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
}

func public(address netip.Addr) bool {
	return address.IsGlobalUnicast() && !address.IsPrivate() &&
		!slices.ContainsFunc(special, func(n netip.Prefix) bool { return n.Contains(address) })
}
