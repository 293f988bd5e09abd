package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// alertFile is a configuration with a webhook that answers with the status.
func alertFile(t *testing.T, status int) (path string, got *[]string) {
	got = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		*got = append(*got, string(text))
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	secret := write(t, dir, "secret", []byte("0123456789abcdef"))
	return write(t, dir, "neurotriage.yaml", []byte(`alert:
  destinations:
    hook: {url: "`+server.URL+`", secret_file: `+secret+`, quiet_hours: ["00:00-23:59"], repeat: 15m}
    lost: {url: "http://127.0.0.1:1/", secret_file: `+secret+`, alerts: [overdue]}
`)), got
}

func TestAlertTest(t *testing.T) {
	path, got := alertFile(t, http.StatusNoContent)
	refusing, _ := alertFile(t, http.StatusTeapot)
	cases := []struct {
		name string
		file string
		args []string
		code int
		says string
	}{
		{"taken, in quiet hours too", path, []string{"hook"}, exitDone, "hook  took the message"},
		{"nobody there", path, []string{"lost"}, exitFailed, "127.0.0.1:1"},
		{"one of two", path, []string{"--all"}, exitFailed, "hook  took the message"},
		{"refused", refusing, []string{"hook"}, exitFailed, "418"},
		{"unknown", path, []string{"phone"}, exitUsage, "there are hook, lost"},
		{"nobody named", path, nil, exitUsage, "--all"},
		{"none configured", write(t, t.TempDir(), "empty.yaml", nil), []string{"hook"}, exitUsage, "no alert.destinations"},
	}
	for _, c := range cases {
		r := newBench(t).run(append([]string{"alert", "test", "--config", c.file}, c.args...)...)
		if r.want(t, c.code); !strings.Contains(r.out+r.err, c.says) {
			t.Errorf("%s: %q %q, want %q", c.name, r.out, r.err, c.says)
		}
	}
	if len(*got) != 2 || !strings.Contains((*got)[0], "This is a test by an administrator") {
		t.Errorf("the webhook got %q", *got)
	}
}

func TestAlertList(t *testing.T) {
	path, _ := alertFile(t, http.StatusOK)
	r := newBench(t).run("alert", "list", "--config", path)
	r.want(t, exitDone)
	for _, part := range []string{"hook", "webhook", "at once", "15m", "00:00-23:59", "overdue"} {
		if !strings.Contains(r.out, part) {
			t.Errorf("the list lacks %q:\n%s", part, r.out)
		}
	}
	if r := newBench(t).run("alert", "list"); !strings.Contains(r.want(t, exitDone).err, "alert.destinations") {
		t.Errorf("without any: %q", r.err)
	}
}

func TestDoctorLooksAtAlerts(t *testing.T) {
	path, got := alertFile(t, http.StatusOK)
	report := checkDoctor(t, newBench(t), exitFailed, append(anyFile(t), "--config", path)...)
	levels := map[string]level{}
	for _, d := range report.Checks {
		if d.Name == "alerts" {
			name, _, _ := strings.Cut(strings.ReplaceAll(d.Detail, ":", " "), " ")
			levels[name] = d.Level
		}
	}
	if levels["hook"] != fine || levels["lost"] != broken || len(*got) > 0 {
		t.Errorf("%v, %d messages", levels, len(*got))
	}
}
