package daemon_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/internal/kit"
)

// Thresholds and the log level follow the file; all else waits for a restart;
// a wrong file changes nothing.
func TestLiveConfiguration(t *testing.T) {
	h := newHouse(t)
	file := filepath.Join(t.TempDir(), "neurotriage.yaml")
	write := func(threshold, level, more string) {
		t.Helper()
		text := fmt.Sprintf("state_dir: %s\nroots: {incoming: %s}\nhttp: {listen: 127.0.0.1:0}\nnats: {embedded: {listen: 127.0.0.1:0}}\n"+
			"log: {level: %s}\nmodel: {thresholds: {glioma_review: %s}%s}\n", h.cfg.StateDir, h.root, level, threshold, more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0.1", "info", "")
	options := config.Options{File: file}
	cfg, err := config.Load(options)
	if err != nil {
		t.Fatal(err)
	}
	level := &slog.LevelVar{}
	d, err := daemon.New(cfg, daemon.Deps{
		OpenRunner: opener(&runner{}), Load: options, Level: level,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Stop() })
	c := connect(t, d.Addresses().NATS)
	threshold := func(name string) float64 {
		return c.outcome(c.submit(h.put(headStudy(name, 6, true))))[0].Thresholds.GliomaReview
	}
	if got := threshold("one"); got != 0.1 {
		t.Errorf("threshold %v at the start", got)
	}
	write("0.15", "debug", "")
	kit.Until(t, "the watch has seen the change", func() bool { return strings.Contains(d.Banner(), "0.15") })
	if got := threshold("two"); got != 0.15 {
		t.Errorf("threshold %v after the change", got)
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("level %s", level.Level())
	}
	if h.log.count("audit=true") == 0 {
		t.Errorf("the change left no audit line:\n%s", h.log)
	}
	write("0.9", "debug", "")
	if _, err := d.Reload(); err == nil || !strings.Contains(err.Error(), "accept_lower_recall") {
		t.Errorf("a threshold above the card's gives %v", err)
	}
	if !strings.Contains(d.Banner(), "0.15") {
		t.Errorf("a wrong file changed the threshold:\n%s", d.Banner())
	}
	write("0.9", "debug", ", accept_lower_recall: true, file: /other.onnx")
	change, err := d.Reload()
	if err != nil || len(change.NeedRestart) != 1 || change.NeedRestart[0] != "model.file" {
		t.Errorf("change %+v, %v", change, err)
	}
}

// systemd hears READY, then WATCHDOG while the loop lives, then STOPPING.
func TestServiceManager(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "40000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	d := newHouse(t).start(&runner{})
	heard := func() string {
		t.Helper()
		buffer := make([]byte, 256)
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := heard(); got != want {
			t.Errorf("systemd heard %q, want %q", got, want)
		}
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	for got := heard(); got != "STOPPING=1"; got = heard() {
		if got != "WATCHDOG=1" {
			t.Fatalf("systemd heard %q", got)
		}
	}
}
