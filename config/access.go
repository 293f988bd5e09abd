package config

import (
	"regexp"
	"strings"
)

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
	case a.UserHeader == "" && (a.GroupHeader != "" || len(a.Proxies)+len(a.Readers)+len(a.Admins) > 0):
		c.complain("http.access.user_header", "needed for the rest of http.access: without it everybody is anonymous")
	case a.UserHeader != "" && !bounded(a.Proxies):
		c.complain("http.access.user_header", "needs http.access.proxies with the networks of the proxy, or anybody could claim to be anybody")
	}
	if v := c.config.HTTP.Viewer; v != "" && (!strings.HasPrefix(v, "https://") && !strings.HasPrefix(v, "http://") || !strings.Contains(v, "{study}")) {
		c.complain("http.viewer", "allowed is an http or https address that holds {study}")
	}
}
