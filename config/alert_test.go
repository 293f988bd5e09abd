package config_test

import (
	"strings"
	"testing"

	"neurotriage/config"
)

// TestAlerts writes one destination each; what is complained about is named.
func TestAlerts(t *testing.T) {
	const hook = "kind: webhook, url: 'https://x/', secret_file: /s"
	const mail = "kind: mail, address: 'mail:587', from: a@b, to: [c@d]"
	cases := []struct {
		name, entry string
		want        string // part of the only complaint; empty: right
	}{
		{"webhook", hook, ""},
		{"webhook by a file", "url_file: /u, secret_file: /s, token_file: /t", ""},
		{"webhook with a query", "url: 'https://x/?key=1', secret_file: /s", ""},
		{"webhook without url", "secret_file: /s", ".url: needed by kind webhook"},
		{"webhook without secret", "url: 'https://x/'", ".secret_file: needed by kind webhook"},
		{"two addresses", hook + ", url_file: /u", "not both"},
		{"a url that is none", "url: x, secret_file: /s", ".url"},
		{"mail", mail, ""},
		{"mail with a login", mail + ", user: u, password_file: /p", ""},
		{"mail to nobody", "kind: mail, address: 'mail:587', from: a@b", ".to: needed by kind mail"},
		{"mail from nobody", "kind: mail, address: 'mail:587', to: [c@d]", ".from: needed by kind mail"},
		{"mail without a port", "kind: mail, address: mail, from: a@b, to: [c@d]", "host:port"},
		{"a password in the open", mail + ", user: u, password_file: /p, security: none", ".security"},
		{"a user without password", mail + ", user: u", "password_file"},
		{"chat", "kind: chat, url_file: /u", ""},
		{"chat with a secret in the open", "kind: chat, url: 'slack://x', url_file: ''", "url_file"},
		{"rules", hook + ", alerts: [glioma_review], after: 10m, repeat: 15m, quiet_hours: ['22:00-06:30', 'Sat-Sun 00:00-24:00'], quiet_breaks: [], burst: 0", ""},
		{"an alert that is none", hook + ", alerts: [fire]", ".alerts"},
		{"hours that are none", hook + ", quiet_hours: [night]", ".quiet_hours"},
		{"a day that is none", hook + ", quiet_hours: ['someday 22:00-06:30']", ".quiet_hours"},
		{"an hour that is none", hook + ", quiet_hours: ['22:00-26:30']", ".quiet_hours"},
		{"a time before now", hook + ", after: -1m", ".after"},
		{"certificate without key", hook + ", tls: {cert: /c}", "tls.key"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Load(config.Options{File: write(t, "alert: {destinations: {d: {"+c.entry+"}}}"), Env: home})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), "alert.destinations.d") || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v\nwant a complaint with %q", err, c.want)
			}
		})
	}
	for name, section := range map[string]string{"alert.link": "link: 'triage/{study}'", "alert.time_zone": "time_zone: Atlantis"} {
		if _, err := config.Load(config.Options{File: write(t, "alert: {"+section+"}"), Env: home}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAlertDefaults guards what the documentation promises of an entry that sets
// nothing.
func TestAlertDefaults(t *testing.T) {
	c, err := config.Load(config.Options{File: write(t, "alert: {destinations: {d: {url: 'https://x/', secret_file: /s}}}"), Env: home})
	if err != nil {
		t.Fatal(err)
	}
	d := c.Alert.Destinations["d"]
	if len(d.QuietBreaks) != 1 || d.QuietBreaks[0] != "glioma_review" || d.After != 0 || d.Burst != 10 || d.Interval.String() != "1m0s" || c.Alert.Patient {
		t.Errorf("%+v", d)
	}
}

func TestAlertSecrets(t *testing.T) {
	file := write(t, "hush\n")
	got, err := config.AlertDestination{URL: "https://x/", SecretFile: file, TokenFile: file, PasswordFile: file}.Secrets("d")
	if want := (config.AlertSecrets{URL: "https://x/", Secret: "hush", Token: "hush", Password: "hush"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = (config.AlertDestination{URLFile: file}).Secrets("d"); err != nil || got.URL != "hush" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err = (config.AlertDestination{SecretFile: file + "x"}).Secrets("d"); err == nil || !strings.Contains(err.Error(), "alert.destinations.d.secret_file") {
		t.Error(err)
	}
}
