package config_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage/config"
)

// card is the glioma review threshold of the model that these tests have.
const card = 0.17

// running is a Live whose file can be rewritten and whose Apply checks the
// threshold, as the daemon's does.
type running struct {
	*config.Live
	file    string
	log     *safeBuffer
	applied chan config.Config
}

func start(t *testing.T, file string, env ...string) running {
	t.Helper()
	options := config.Options{File: file, Env: append(env, home...)}
	started, err := config.Load(options)
	if err != nil {
		t.Fatal(err)
	}
	r := running{file: file, log: new(safeBuffer), applied: make(chan config.Config, 16)}
	r.Live = config.NewLive(config.LiveOptions{
		Load: options, Started: started, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		Apply: func(c config.Config) error {
			if _, _, err := c.Model.Threshold(card); err != nil {
				return err
			}
			r.applied <- c
			return nil
		},
	})
	return r
}

// await waits for Apply with the level. Its deadline is below the interval at
// which Watch looks without an event.
func (r running) await(t *testing.T, level string) {
	t.Helper()
	select {
	case got := <-r.applied:
		if got.Log.Level != level {
			t.Errorf("level %q was applied, want %q", got.Log.Level, level)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("level %q was not applied; log: %s", level, r.log)
	}
}

// safeBuffer is a log that is written and read at once.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestReload(t *testing.T) {
	cases := []struct {
		name, before, after string
		env                 []string
		applied             []config.KeyChange
		restart             []string
		fault               string // part of the error
		log                 string // part of the log
	}{
		{name: "nothing changed", before: "log: {level: info}", after: "log: {level: info}"},
		{name: "a comment more", before: "log: {level: info}", after: "# c\n\nlog: {level: info}"},
		{name: "level", before: "log: {level: info}", after: "log: {level: debug}",
			applied: []config.KeyChange{{Key: "log.level", Old: "info", New: "debug", Origin: "FILE:1"}},
			log:     `msg="configuration changed" audit=true key=log.level old=info new=debug by=FILE:1`},
		{name: "level taken out", before: "log: {level: debug}", after: "",
			applied: []config.KeyChange{{Key: "log.level", Old: "debug", New: "info", Origin: "default"}}},
		{name: "threshold", before: "", after: "model: {thresholds: {glioma_review: 0.1}}",
			applied: []config.KeyChange{{Key: "model.thresholds.glioma_review", Old: "", New: "0.1", Origin: "FILE:1"}},
			log:     `key=model.thresholds.glioma_review old="the model card's" new=0.1`},
		{name: "threshold above the card's", before: "", after: "model: {thresholds: {glioma_review: 0.3}}",
			fault: "above the model card's 0.17", log: `level=ERROR msg="configuration not reloaded"`},
		{name: "threshold above the card's, accepted", before: "", after: "model: {accept_lower_recall: true, thresholds: {glioma_review: 0.3}}",
			applied: []config.KeyChange{
				{Key: "model.thresholds.glioma_review", Old: "", New: "0.3", Origin: "FILE:1"},
				{Key: "model.accept_lower_recall", Old: "false", New: "true", Origin: "FILE:1"},
			}},
		{name: "acceptance taken back", before: "model: {accept_lower_recall: true, thresholds: {glioma_review: 0.3}}",
			after: "model: {thresholds: {glioma_review: 0.3}}", fault: "above the model card's 0.17"},
		{name: "needs a restart", before: "", after: "nats: {url: 'nats://n:1'}\nwork: {max_attempts: 3}",
			restart: []string{"nats.url", "work.max_attempts"}, log: `needs a restart" keys="[nats.url work.max_attempts]"`},
		{name: "both kinds at once", before: "", after: "log: {level: warn, format: json}",
			applied: []config.KeyChange{{Key: "log.level", Old: "info", New: "warn", Origin: "FILE:1"}}, restart: []string{"log.format"}},
		{name: "a fault keeps all as it was", before: "", after: "log: {level: debug}\nwork: {max_attempts: 0}", fault: "work.max_attempts"},
		{name: "not yaml", before: "", after: "log: [", fault: "not YAML"},
		{name: "the environment stays stronger", before: "", after: "log: {level: debug}", env: []string{"NEUROTRIAGE_LOG_LEVEL=warn"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, write(t, c.before), c.env...)
			before := r.Config()
			if err := os.WriteFile(r.file, []byte(c.after), 0o600); err != nil {
				t.Fatal(err)
			}
			change, err := r.Reload()
			for i := range change.Applied {
				change.Applied[i].Origin = strings.ReplaceAll(change.Applied[i].Origin, r.file, "FILE")
			}
			if !reflect.DeepEqual(change.Applied, c.applied) || !slices.Equal(change.NeedRestart, c.restart) {
				t.Errorf("change %+v, want applied %+v and restart %v", change, c.applied, c.restart)
			}
			if (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, want %q", err, c.fault)
			}
			if c.fault != "" && !reflect.DeepEqual(r.Config(), before) {
				t.Errorf("running configuration changed: %+v", r.Config())
			}
			if wantCalls := min(len(c.applied), 1); len(r.applied) != wantCalls {
				t.Errorf("Apply was called %d times, want %d", len(r.applied), wantCalls)
			}
			if log := strings.ReplaceAll(r.log.String(), r.file, "FILE"); !strings.Contains(log, c.log) {
				t.Errorf("log %q, want %q in it", log, c.log)
			}
			for _, key := range c.restart {
				if got := r.Config().Origin(key); got != "default" {
					t.Errorf("%s waits for a restart and claims to come from %s", key, got)
				}
			}
		})
	}
}

func TestReloadKeepsFaultsTyped(t *testing.T) {
	r := start(t, write(t, ""))
	if err := os.WriteFile(r.file, []byte("nonsense: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := r.Reload()
	var fault *config.FaultError
	if !errors.As(err, &fault) {
		t.Errorf("error %v, want a *FaultError in it", err)
	}
}

// TestWatch changes the file in the ways that editors, configuration tools and
// Kubernetes do.
func TestWatch(t *testing.T) {
	const debug = "log: {level: debug}"
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name    string
		prepare func(t *testing.T, folder string) (file string)
		change  func(t *testing.T, folder string)
	}{
		{"written in place",
			func(t *testing.T, folder string) string {
				file := filepath.Join(folder, "c.yaml")
				must(t, os.WriteFile(file, nil, 0o600))
				return file
			},
			func(t *testing.T, folder string) {
				must(t, os.WriteFile(filepath.Join(folder, "c.yaml"), []byte(debug), 0o600))
			}},
		{"renamed over",
			func(t *testing.T, folder string) string {
				file := filepath.Join(folder, "c.yaml")
				must(t, os.WriteFile(file, nil, 0o600))
				return file
			},
			func(t *testing.T, folder string) {
				must(t, os.WriteFile(filepath.Join(folder, ".c.yaml.new"), []byte(debug), 0o600))
				must(t, os.Rename(filepath.Join(folder, ".c.yaml.new"), filepath.Join(folder, "c.yaml")))
			}},
		{"symlink swapped above it",
			func(t *testing.T, folder string) string {
				must(t, os.MkdirAll(filepath.Join(folder, "..1"), 0o700))
				must(t, os.WriteFile(filepath.Join(folder, "..1", "c.yaml"), nil, 0o600))
				must(t, os.Symlink("..1", filepath.Join(folder, "..data")))
				must(t, os.Symlink("..data/c.yaml", filepath.Join(folder, "c.yaml")))
				return filepath.Join(folder, "c.yaml")
			},
			func(t *testing.T, folder string) {
				must(t, os.MkdirAll(filepath.Join(folder, "..2"), 0o700))
				must(t, os.WriteFile(filepath.Join(folder, "..2", "c.yaml"), []byte(debug), 0o600))
				must(t, os.Symlink("..2", filepath.Join(folder, "..data_new")))
				must(t, os.Rename(filepath.Join(folder, "..data_new"), filepath.Join(folder, "..data")))
			}},
		{"link to a file elsewhere",
			func(t *testing.T, folder string) string {
				must(t, os.MkdirAll(filepath.Join(folder, "far"), 0o700))
				must(t, os.MkdirAll(filepath.Join(folder, "near"), 0o700))
				must(t, os.WriteFile(filepath.Join(folder, "far", "c.yaml"), nil, 0o600))
				must(t, os.Symlink("../far/c.yaml", filepath.Join(folder, "near", "c.yaml")))
				return filepath.Join(folder, "near", "c.yaml")
			},
			func(t *testing.T, folder string) {
				must(t, os.WriteFile(filepath.Join(folder, "far", "c.yaml"), []byte(debug), 0o600))
			}},
		{"removed and written anew",
			func(t *testing.T, folder string) string {
				file := filepath.Join(folder, "c.yaml")
				must(t, os.WriteFile(file, nil, 0o600))
				return file
			},
			func(t *testing.T, folder string) {
				must(t, os.Remove(filepath.Join(folder, "c.yaml")))
				must(t, os.WriteFile(filepath.Join(folder, "c.yaml"), []byte(debug), 0o600))
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			r := start(t, c.prepare(t, folder))
			// What changes before Watch begins is seen too. Waiting for it proves that
			// the second change is seen by its event.
			must(t, os.WriteFile(r.file, []byte("log: {level: warn}"), 0o600))
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Watch(ctx) }()
			r.await(t, "warn")
			c.change(t, folder)
			r.await(t, "debug")
			stop()
			if err := <-ended; err != nil {
				t.Errorf("Watch ended with %v", err)
			}
			if got := r.Config().Log.Level; got != "debug" {
				t.Errorf("level in force is %q, want debug", got)
			}
		})
	}
}

func TestWatchKeepsGoingAfterABadFile(t *testing.T) {
	r := start(t, write(t, ""))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Watch(ctx) }()
	if err := os.WriteFile(r.file, []byte("log: {level: loud}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(r.log.String(), "not reloaded"); {
		if time.Now().After(deadline) {
			t.Fatal("the bad file was not noticed")
		}
		time.Sleep(5 * time.Millisecond) // the log has no event to wait for
	}
	if err := os.WriteFile(r.file, []byte("log: {level: warn}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.await(t, "warn")
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Watch ended with %v", err)
	}
}

func TestWatchWithoutFile(t *testing.T) {
	r := start(t, "")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Watch(ctx); err != nil {
		t.Errorf("Watch ended with %v", err)
	}
}
