package daemon

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"neurotriage/config"
)

func TestRootParts(t *testing.T) {
	well, empty := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(well, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, folder string
		ok           bool
		word         string
	}{
		{"well", well, true, well},
		{"empty may be new", empty, true, "is the share mounted?"},
		{"gone", filepath.Join(well, "gone"), false, "mount the share"},
		{"a file", filepath.Join(well, "x"), false, "mount the share"},
	}
	for _, c := range cases {
		part := (&place{name: "incoming", folder: c.folder}).part()
		if part.OK != c.ok || !strings.Contains(part.Detail+part.Cure, c.word) || (part.Cause == "") != c.ok {
			t.Errorf("%s: %+v", c.name, part)
		}
	}
}

// A worker that hangs turns /healthz red; one that is paused only /readyz.
func TestAliveAndReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Daemon{pulse: newPulse(), disk: disk{dir: "/", free: func(string) (uint64, error) { return 1 << 40, nil }}}
		d.gate = newGate(slog.New(slog.DiscardHandler), nil, func(bool) {})
		d.cfg.Work = config.Work{StudiesAtOnce: 2}
		alive := func() int {
			answer := httptest.NewRecorder()
			d.serveAlive(answer, nil)
			return answer.Code
		}
		if got := alive(); got != http.StatusOK || !d.workPart().OK {
			t.Errorf("status %d at rest, %+v", got, d.workPart())
		}
		d.gate.shut(errors.New("root away"))
		if part := d.workPart(); part.OK || !strings.Contains(part.Cause, "root away") || part.Cure == "" || alive() != http.StatusOK {
			t.Errorf("paused: %+v, alive %d", part, alive())
		}
		d.pulse.beat(0)
		time.Sleep(stallLimit)
		if part := d.workPart(); part.OK || !strings.Contains(part.Cause, "silent for 10m") || alive() != http.StatusServiceUnavailable {
			t.Errorf("hanging: %+v, alive %d", part, alive())
		}
		if health := d.Health(); health.Ready {
			t.Error("ready without NATS and model")
		}
	})
}

func TestDiskCheck(t *testing.T) {
	odd := errors.New("stale handle")
	cases := []struct {
		name string
		free uint64
		err  error
		want string
	}{
		{"room", leastFree, nil, ""},
		{"no room", leastFree - 1, nil, "has 255 MB left"},
		{"no disk", 0, odd, "stale handle"},
	}
	for _, c := range cases {
		d := disk{dir: "/state", least: leastFree, free: func(string) (uint64, error) { return c.free, c.err }}
		err := d.check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if f, ok := errors.AsType[*fault](err); err != nil && (!ok || f.over() == nil) {
			t.Errorf("%s: the fault is over while it lasts", c.name)
		}
	}
	if _, err := freeBytes(t.TempDir()); err != nil {
		t.Errorf("the real disk: %v", err)
	}
}
