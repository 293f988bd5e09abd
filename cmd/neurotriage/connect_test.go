package main

import (
	"os"
	"path/filepath"
	"testing"

	"neurotriage/config"
)

func TestSemantic(t *testing.T) {
	cases := []struct{ version, want string }{
		{"1.2.3", "1.2.3"},
		{"v1.2.3", "1.2.3"},
		{"v1.2.3-4-gdeadbee-dirty", "1.2.3-4-gdeadbee-dirty"},
		{"deadbee", "0.0.0+deadbee"},
		{"deadbee-dirty", "0.0.0+deadbee-dirty"},
		{"unknown", "0.0.0+unknown"},
		{"v1.2", "0.0.0+1-2"},
	}
	for _, c := range cases {
		if got := semantic(c.version); got != c.want {
			t.Errorf("semantic(%q) = %q, want %q", c.version, got, c.want)
		}
	}
}

// Which server a client speaks to when --nats does not say.
func TestNATSAddress(t *testing.T) {
	cases := []struct {
		name, setting, file, want string
	}{
		{"nothing is known", "", "", fallbackNATS},
		{"a daemon runs here", "", `{"nats": "nats://127.0.0.1:5555"}`, "nats://127.0.0.1:5555"},
		{"the configuration names one", "nats://hospital:4222", `{"nats": "nats://127.0.0.1:5555"}`, "nats://hospital:4222"},
		{"half an address file", "", `{"nats": "nats://127`, fallbackNATS},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			settings, err := config.Load(config.Options{Env: b.environ})
			if err != nil {
				t.Fatal(err)
			}
			settings.NATS.URL = c.setting
			if c.file != "" {
				if err := os.MkdirAll(settings.StateDir, 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, settings.StateDir, "addresses.json", []byte(c.file))
			}
			options, err := b.app().busOptions(settings)
			if err != nil || options.URL != c.want {
				t.Errorf("%q, %v, want %q", options.URL, err, c.want)
			}
		})
	}
}

func TestSecretsAreReadFromFiles(t *testing.T) {
	b := newBench(t)
	file := write(t, t.TempDir(), "password", []byte("hush\n"))
	settings, err := config.Load(config.Options{Env: b.environ, Flags: map[string]string{"nats.user": "u", "nats.password_file": file}})
	if err != nil {
		t.Fatal(err)
	}
	options, err := b.app().busOptions(settings)
	if err != nil || options.User != "u" || options.Password != "hush" {
		t.Errorf("user %q, password %q, %v", options.User, options.Password, err)
	}
	if err := os.Remove(filepath.Clean(file)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.app().busOptions(settings); err == nil {
		t.Error("a missing password file goes unnoticed")
	}
}
