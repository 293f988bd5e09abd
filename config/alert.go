package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Alert is who is told that a study was flagged, changed or waits too long.
type Alert struct {
	Patient      bool                        `json:"patient"`   // name patient and accession number
	Link         string                      `json:"link"`      // to a study's page; {study}, {finding}
	TimeZone     string                      `json:"time_zone"` // of quiet hours; empty: the machine's
	Destinations map[string]AlertDestination `json:"destinations"`
}

// AlertDestination is one place that alerts go to. Which fields count depends on
// the kind.
type AlertDestination struct {
	Kind   string   `json:"kind" config:"enum=webhook|mail|chat,default=webhook"`
	Alerts []string `json:"alerts" config:"enum=glioma_review|changed|overdue"` // empty: all

	After  time.Duration `json:"after" config:"min=0s,max=7d"`  // nobody has acknowledged for so long
	Repeat time.Duration `json:"repeat" config:"min=0s,max=7d"` // 0: no reminders

	QuietHours  []string      `json:"quiet_hours"`
	QuietBreaks []string      `json:"quiet_breaks" config:"enum=glioma_review|changed|overdue,default=glioma_review"`
	Burst       int           `json:"burst" config:"min=0,max=1000,default=10"`
	Interval    time.Duration `json:"interval" config:"min=0s,max=1d,default=1m"`

	// Of webhook and chat.
	URL        string `json:"url"`
	URLFile    string `json:"url_file" config:"path,file"`
	SecretFile string `json:"secret_file" config:"path,file"` // signs webhooks
	TokenFile  string `json:"token_file" config:"path,file"`
	// Of mail.
	Address      string   `json:"address"` // host:port
	Security     string   `json:"security" config:"enum=starttls|tls|none,default=starttls"`
	User         string   `json:"user"`
	PasswordFile string   `json:"password_file" config:"path,file"`
	From         string   `json:"from"`
	To           []string `json:"to"`

	TLS ClientTLS `json:"tls"`
}

// AlertSecrets are what an alert destination keeps in files; empty: not used.
type AlertSecrets struct{ URL, Secret, Token, Password string }

// Secrets reads the files of the destination by the name of its entry. URL is
// that of the entry where no file holds it.
func (d AlertDestination) Secrets(name string) (AlertSecrets, error) {
	s := AlertSecrets{URL: d.URL}
	for _, one := range []struct {
		key, path string
		into      *string
	}{
		{"url_file", d.URLFile, &s.URL}, {"secret_file", d.SecretFile, &s.Secret},
		{"token_file", d.TokenFile, &s.Token}, {"password_file", d.PasswordFile, &s.Password},
	} {
		if one.path == "" {
			continue
		}
		text, err := secretFile("alert.destinations."+name+"."+one.key, one.path)
		if err != nil {
			return s, err
		}
		*one.into = text
	}
	return s, nil
}

// alerts checks the section alert.
func (c *checker) alerts() {
	a := c.config.Alert
	if a.Link != "" && !strings.HasPrefix(a.Link, "https://") && !strings.HasPrefix(a.Link, "http://") {
		c.complain("alert.link", "allowed is an http or https address such as https://triage.example.org/studies/{study}")
	}
	if _, err := time.LoadLocation(a.TimeZone); err != nil {
		c.complain("alert.time_zone", "allowed is a name such as Europe/Berlin, or nothing for the machine's")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Destinations)) {
		c.alertDestination("alert.destinations."+name, a.Destinations[name])
	}
}

var quietHours = regexp.MustCompile(`(?i)^((sun|mon|tue|wed|thu|fri|sat)(-(sun|mon|tue|wed|thu|fri|sat))? )?` +
	`([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)

func (c *checker) alertDestination(section string, d AlertDestination) {
	switch d.Kind {
	case "webhook":
		c.needed(section, d.Kind, map[string]string{"url": d.URL + d.URLFile, "secret_file": d.SecretFile})
	case "chat":
		c.needed(section, d.Kind, map[string]string{"url_file": d.URLFile})
	case "mail":
		c.needed(section, d.Kind, map[string]string{"address": d.Address, "from": d.From, "to": strings.Join(d.To, ",")})
	}
	c.oneOf(section+".url", section+".url_file", d.URL, d.URLFile)
	switch {
	case d.Kind == "chat" && d.URL != "":
		c.complain(section+".url", "of kind chat the address is a secret; allowed is %s.url_file", section)
	case d.URL != "" && !webhookURL(d.URL):
		c.complain(section+".url", `allowed is an http or https address such as "https://hooks.example.org/triage", without user`)
	}
	if d.Address != "" && !hostPort(d.Address) {
		c.complain(section+".address", `allowed is host:port such as "mail.example.org:587"`)
	}
	for _, hours := range d.QuietHours {
		if !quietHours.MatchString(hours) {
			c.complain(section+".quiet_hours", `allowed are hours such as "22:00-06:30", "sat-sun 00:00-24:00" or "fri 18:00-08:00", not %q`, hours)
		}
	}
	c.both(section+".user", section+".password_file", d.User, d.PasswordFile)
	if d.User != "" && d.Security == "none" {
		c.complain(section+".security", "allowed with a login is starttls or tls, or everybody on the way would see the password")
	}
	c.both(section+".tls.cert", section+".tls.key", d.TLS.Cert, d.TLS.Key)
}

// webhookURL is an address that may have a query, in which services keep keys.
func webhookURL(text string) bool {
	bare, _, _ := strings.Cut(text, "?")
	return webURL(bare)
}
