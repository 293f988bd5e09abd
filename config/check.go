package config

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	rootName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	natsPrefix = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
)

// Check reports everything in the values that must not be, as a *FaultError.
// It opens nothing.
func (c Config) Check() error {
	check := checker{config: &c, all: c.keys()}
	check.values()
	check.paths()
	check.nats()
	check.http()
	check.listeners()
	check.dicomweb()
	check.archives()
	check.limits()
	check.pacs()
	check.alerts()
	check.audit()
	return check.faults.err()
}

type checker struct {
	config *Config
	all    []key
	faults complaints
}

// complain gives the key's value and origin itself.
func (c *checker) complain(path, format string, args ...any) {
	at := slices.IndexFunc(c.all, func(k key) bool { return k.path == path })
	k := c.all[at]
	value := k.mask(strings.Join(k.texts(c.config), ", "))
	c.faults.add(path, value, c.config.Origin(path), format, args...)
}

// values checks each value against its own tag, for configurations that Load
// has not made.
func (c *checker) values() {
	for _, k := range c.all {
		if _, err := k.parse(k.texts(c.config)); err != nil {
			c.complain(k.path, "allowed is %v", err)
		}
	}
	providers := c.config.ONNXRuntime.Providers
	if len(providers) == 0 {
		c.complain("onnxruntime.providers", "allowed is at least one of cuda, webgpu, cpu")
	}
	if doubled(providers) {
		c.complain("onnxruntime.providers", "allowed is each provider once")
	}
}

func doubled(list []string) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) < len(list)
}

func (c *checker) paths() {
	if c.config.StateDir == "" {
		c.complain("state_dir", "needed, since none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set")
	}
	for _, k := range c.all {
		if k.isPath && k.typ == typeString && strings.HasPrefix(k.get(c.config).String(), "~") {
			c.complain(k.path, "allowed is a path without ~, which nothing expands here")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.Roots)) {
		c.root(name, c.config.Roots[name])
	}
}

func (c *checker) root(name, path string) {
	origin := c.config.Origin("roots")
	if !rootName.MatchString(name) {
		c.faults.add("roots."+name, path, origin,
			"allowed are names of letters, digits, dots, dashes and underscores, at most 64, that begin with a letter or digit")
	}
	switch {
	case !filepath.IsAbs(path):
		c.faults.add("roots."+name, path, origin, "allowed is the absolute path of a folder")
	case filepath.Clean(path) == "/":
		c.faults.add("roots."+name, path, origin, "allowed is a folder of images; / would lay every file of the machine open to messages")
	}
}

func (c *checker) nats() {
	n := c.config.NATS
	for server := range strings.SplitSeq(n.URL, ",") {
		if n.URL != "" && !natsURL(strings.TrimSpace(server)) {
			c.complain("nats.url", `allowed are addresses such as "nats://nats.example.org:4222" or "tls://…", separated by commas`)
			break
		}
	}
	if n.Prefix != "" && !natsPrefix.MatchString(n.Prefix) {
		c.complain("nats.prefix", "allowed are small letters, digits, dashes and underscores, at most 32, without dots")
	}
	c.both("nats.tls.cert", "nats.tls.key", n.TLS.Cert, n.TLS.Key)
	c.serverTLS("nats.embedded.tls", n.Embedded.TLS)
	c.oneOf("nats.password", "nats.password_file", n.Password, n.PasswordFile)
	c.oneOf("nats.token", "nats.token_file", n.Token, n.TokenFile)
	c.both("nats.user", "nats.password_file", n.User, n.Password+n.PasswordFile)
	ways := 0
	for _, way := range []string{n.Creds, n.NKey, n.User, n.Token + n.TokenFile} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 {
		c.faults.add("nats", "", "", "allowed is one of creds, nkey, user and token; %d are set", ways)
	}
	if n.URL == "" && n.Creds+n.NKey != "" {
		c.faults.add("nats", "", "", "creds and nkey need nats.url; the embedded server knows user with password, and token")
	}
}

func natsURL(text string) bool {
	address, err := url.Parse(text)
	return err == nil && address.Hostname() != "" &&
		slices.Contains([]string{"nats", "tls", "ws", "wss"}, address.Scheme)
}

// both complains when one of two values is set that only make sense together.
func (c *checker) both(one, other, oneValue, otherValue string) {
	switch {
	case oneValue != "" && otherValue == "":
		c.complain(one, "needs %s too", other)
	case oneValue == "" && otherValue != "":
		c.complain(one, "missing, and %s needs it", other)
	}
}

func (c *checker) oneOf(one, other, oneValue, otherValue string) {
	if oneValue != "" && otherValue != "" {
		c.complain(other, "allowed is one of %s and %s, not both", one, other)
	}
}

func (c *checker) serverTLS(section string, tls ServerTLS) {
	c.both(section+".cert", section+".key", tls.Cert, tls.Key)
	if tls.ClientCA != "" && tls.Cert == "" {
		c.complain(section+".client_ca", "needs %s.cert and %s.key too", section, section)
	}
}

func (c *checker) http() {
	h := c.config.HTTP
	c.serverTLS("http.tls", h.TLS)
	c.both("http.auth.user", "http.auth.password_file", h.Auth.User, h.Auth.PasswordFile)
	c.access()
}

// listeners applies the rule that nothing listens beyond loopback to whoever
// asks, and the names that override it.
func (c *checker) listeners() {
	h, n := c.config.HTTP, c.config.NATS
	closed := h.TLS.Cert != "" && (h.TLS.ClientCA != "" || h.Auth != HTTPAuth{} || h.Access.OIDC.Issuer != "")
	c.listener("http", h.Listen, closed || bounded(h.Allow),
		"http.tls.cert and http.tls.key with one of http.auth, http.access.oidc and http.tls.client_ca, or http.allow with the networks that may connect (a network of length 0 is none)")
	if n.URL == "" {
		tls := n.Embedded.TLS
		login := n.User != "" || n.Token != "" || n.TokenFile != "" || tls.ClientCA != ""
		c.listener("nats.embedded", n.Embedded.Listen, tls.Cert != "" && login,
			"nats.embedded.tls.cert and .key with one of nats.user, nats.token and nats.embedded.tls.client_ca")
	}
	if doubled(c.config.Insecure.ListenBeyondLoopback) {
		c.complain("insecure.listen_beyond_loopback", "allowed is each name once")
	}
}

func (c *checker) listener(section, address string, safe bool, cure string) {
	host, port, err := net.SplitHostPort(address)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number > 65535 {
		c.complain(section+".listen", `allowed is host:port such as "127.0.0.1:8470", with a port from 0 (the system chooses) to 65535`)
		return
	}
	if safe || loopback(host) || slices.Contains(c.config.Insecure.ListenBeyondLoopback, section) {
		return
	}
	c.complain(section+".listen", "listens beyond loopback, which needs %s; or name %q in insecure.listen_beyond_loopback", cure, section)
}

// loopback reports whether only this machine can reach the host. A name other
// than localhost may resolve to anything, so it does not count.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

// bounded reports whether the list keeps anybody out.
func bounded(allow []netip.Prefix) bool {
	open := func(prefix netip.Prefix) bool { return prefix.Bits() == 0 }
	return len(allow) > 0 && !slices.ContainsFunc(allow, open)
}

func (c *checker) dicomweb() {
	for _, prefix := range c.config.DICOMweb.Allow {
		address, err := url.Parse(prefix)
		switch {
		case err != nil || address.Hostname() == "" || address.Scheme != "http" && address.Scheme != "https":
			c.complain("dicomweb.allow", `allowed are URLs such as "https://pacs.example.org/dicom-web/", not %q`, prefix)
		case address.User != nil || address.RawQuery != "" || address.Fragment != "":
			c.complain("dicomweb.allow", "allowed are URLs without user, query and fragment")
		case !strings.HasSuffix(address.Path, "/"):
			c.complain("dicomweb.allow", `allowed are URLs that end with a slash, not %q, which would also cover names that go on from there`, prefix)
		}
	}
}

func (c *checker) limits() {
	if c.config.Limits.FileBytes > c.config.Limits.StudyBytes {
		c.complain("limits.file_bytes", "allowed is at most limits.study_bytes, which is %v", c.config.Limits.StudyBytes)
	}
}

// CheckFiles opens every file that the configuration names, so that a missing
// certificate stops the daemon at its door. It is apart from Check because a
// client that reads the same configuration may not be allowed to read them all.
// Roots are not opened: a share that is not there yet is no configuration fault.
func (c Config) CheckFiles() error {
	check := checker{config: &c, all: c.keys()}
	for _, k := range check.all {
		if path := k.texts(&c); k.isFile && path[0] != "" {
			if err := readable(path[0]); err != nil {
				check.complain(k.path, "file cannot be read: %v", err)
			}
		}
	}
	return check.faults.err()
}

func readable(path string) error {
	info, err := os.Stat(path) // before opening, which would wait at a named pipe
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if err != nil {
		return errors.Unwrap(err)
	}
	file, err := os.Open(path)
	if err != nil {
		return errors.Unwrap(err)
	}
	return file.Close()
}
