package config

import (
	"maps"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// PACS is the way of studies in, from other systems of the hospital, and of
// findings back.
type PACS struct {
	Receive Receive          `json:"receive"`
	Watch   map[string]Watch `json:"watch"`

	Destinations map[string]Destination `json:"destinations"`
}

// Receive is the C-STORE and STOW-RS receiver and the depot behind both, where
// images wait until their study is complete.
type Receive struct {
	Listen     string         `json:"listen"`      // host:port; empty: no C-STORE
	AETitle    string         `json:"ae_title"`    // our own
	AlsoCalled []string       `json:"also_called"` // further titles that senders may call; *: any
	TLS        ServerTLS      `json:"tls"`
	Allow      []netip.Prefix `json:"allow"` // networks that may connect; empty: any
	SOPClasses []string       `json:"sop_classes"`
	STOW       bool           `json:"stow"`

	Dir  string `json:"dir" config:"path"` // empty: <state_dir>/received
	Root string `json:"root"`              // what events call it
	Sync bool   `json:"sync"`

	MaxAssociations int           `json:"max_associations" config:"min=1,max=1000"`
	IdleTimeout     time.Duration `json:"idle_timeout" config:"min=1s,max=1h"`
	MinFree         Size          `json:"min_free"` // of the disk, for new associations

	Quiet       time.Duration     `json:"quiet" config:"min=1s,max=7d"`
	Keep        time.Duration     `json:"keep" config:"min=1h"`
	KeepBytes   Size              `json:"keep_bytes" config:"min=1MB"`
	OnlySources bool              `json:"only_sources"`
	Sources     map[string]Source `json:"sources"`
}

// Source is a sender with rules of its own. An association belongs to the first
// source, by name, whose titles and networks both match.
type Source struct {
	AETitles []string       `json:"ae_titles"` // calling; empty: any
	Networks []netip.Prefix `json:"networks"`  // empty: any
	Quiet    time.Duration  `json:"quiet" config:"min=0s,max=7d"`
	Series   []string       `json:"series"` // patterns of series descriptions
}

// Watch is a root whose studies are announced when they lie still.
type Watch struct {
	Root  string        `json:"root"` // a name of Roots
	Quiet time.Duration `json:"quiet" config:"min=1s,max=7d,default=60s"`
}

func defaultPACS() PACS {
	return PACS{
		Receive: Receive{
			Listen: "127.0.0.1:11112", AETitle: "NEUROTRIAGE", AlsoCalled: []string{}, Allow: []netip.Prefix{},
			SOPClasses: []string{}, STOW: true, Root: "received", Sync: true,
			MaxAssociations: 64, IdleTimeout: 5 * time.Minute, MinFree: gigabyte,
			Quiet: 30 * time.Second, Keep: 7 * day, KeepBytes: 50 * gigabyte, Sources: map[string]Source{},
		},
		Watch: map[string]Watch{}, Destinations: map[string]Destination{},
	}
}

// ReceivedDir is the folder of received images.
func (c Config) ReceivedDir() string {
	if c.PACS.Receive.Dir != "" {
		return c.PACS.Receive.Dir
	}
	return filepath.Join(c.StateDir, "received")
}

func (c *checker) pacs() {
	r := c.config.PACS.Receive
	c.serverTLS("pacs.receive.tls", r.TLS)
	if !aeTitle(r.AETitle) {
		c.complain("pacs.receive.ae_title", aeTitleAllowed)
	}
	for _, title := range r.AlsoCalled {
		if title != "*" && !aeTitle(title) {
			c.complain("pacs.receive.also_called", aeTitleAllowed+", or *")
		}
	}
	for _, uid := range r.SOPClasses {
		if uid != "*" && !uidText(uid) {
			c.complain("pacs.receive.sop_classes", "allowed are UIDs of SOP classes such as 1.2.840.10008.5.1.4.1.1.2, or *, not %q", uid)
		}
	}
	if r.Listen != "" {
		c.listener("pacs.receive", r.Listen, r.TLS.ClientCA != "" || bounded(r.Allow) || r.onlyKnownNetworks(),
			"pacs.receive.tls with client_ca, or pacs.receive.allow with the networks that may connect, "+
				"or pacs.receive.only_sources with networks for every source")
	}
	if r.OnlySources && len(r.Sources) == 0 {
		c.complain("pacs.receive.only_sources", "needs pacs.receive.sources; without any, nobody could send")
	}
	c.depot(r)
	for _, name := range slices.Sorted(maps.Keys(r.Sources)) {
		c.source("pacs.receive.sources."+name, r.Sources[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.PACS.Watch)) {
		c.watched("pacs.watch."+name, c.config.PACS.Watch[name])
	}
	c.destinations()
}

// depot checks that the folder of received images is a root of its own.
func (c *checker) depot(r Receive) {
	_, taken := c.config.Roots[r.Root]
	switch {
	case !rootName.MatchString(r.Root):
		c.complain("pacs.receive.root", "allowed is a name as in roots: letters, digits, dots, dashes and underscores")
	case taken:
		c.complain("pacs.receive.root", "allowed is a name that roots has not; received images are a root without being named there")
	}
	if filepath.Clean(c.config.ReceivedDir()) == "/" {
		c.complain("pacs.receive.dir", "allowed is a folder of its own, not /")
	}
}

func (c *checker) source(section string, s Source) {
	for _, title := range s.AETitles {
		if !aeTitle(title) {
			c.complain(section+".ae_titles", aeTitleAllowed)
		}
	}
	if strings.HasSuffix(section, ".others") {
		c.complain(section+".ae_titles", "the name others is taken: it stands for all senders that no entry matches")
	}
	if len(s.AETitles)+len(s.Networks) == 0 {
		c.complain(section+".ae_titles", "needed, or %s.networks: a source without either would be everybody", section)
	}
	for _, pattern := range s.Series {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			c.complain(section+".series", `allowed are patterns of series descriptions such as "*T1*POST*", not %q`, pattern)
		}
	}
}

func (c *checker) watched(section string, w Watch) {
	if _, known := c.config.Roots[w.Root]; !known {
		c.complain(section+".root", "allowed is a name of roots, which has %q", slices.Sorted(maps.Keys(c.config.Roots)))
	}
}

func (r Receive) onlyKnownNetworks() bool {
	for _, source := range r.Sources {
		if !bounded(source.Networks) {
			return false
		}
	}
	return r.OnlySources
}

const aeTitleAllowed = "allowed are AE titles of 1 to 16 characters without backslash and without blanks at either end"

// aeTitle follows PS3.5 6.2, VR AE.
func aeTitle(title string) bool {
	for _, r := range title {
		if r < ' ' || r > '~' || r == '\\' {
			return false
		}
	}
	return title != "" && len(title) <= 16 && strings.TrimSpace(title) == title
}

// uidText is a syntax check of PS3.5 9.1, no more.
func uidText(uid string) bool {
	for part := range strings.SplitSeq(uid, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return len(uid) <= 64
}
