package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"neurotriage/config"
)

// Addresses are where the daemon can be reached; they stand in
// <state_dir>/addresses.json while it runs.
type Addresses struct {
	NATS    string    `json:"nats"`
	HTTP    string    `json:"http"`
	DICOM   string    `json:"dicom,omitempty"` // host:port of the C-STORE receiver
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// Addresses are known once Start has returned.
func (d *Daemon) Addresses() Addresses { return d.addresses }

func (d *Daemon) addressFile() string { return filepath.Join(d.cfg.StateDir, "addresses.json") }

// openAddresses writes the address file whole or not at all: a reader must not
// see half an address.
func (d *Daemon) openAddresses(context.Context) error {
	d.addresses.NATS = d.bus.Health().Server
	if d.server != nil {
		d.addresses.NATS = d.server.URL()
	}
	d.addresses.PID, d.addresses.Version, d.addresses.Started = os.Getpid(), d.deps.Version, time.Now().UTC()
	text, err := json.MarshalIndent(d.addresses, "", "  ")
	if err != nil {
		return err
	}
	part := d.addressFile() + ".new"
	if err := os.WriteFile(part, append(text, '\n'), 0o644); err != nil { //nolint:gosec // addresses are no secret
		return fmt.Errorf("writing the address file: %w", err)
	}
	if err := os.Rename(part, d.addressFile()); err != nil {
		return fmt.Errorf("placing the address file: %w", err)
	}
	d.stack.add("the address file", func(context.Context) error { return os.Remove(d.addressFile()) })
	return nil
}

// openNotify tells systemd that the daemon is ready, and then, for as long as
// the work loop lives, that it is alive. Without systemd nothing happens.
func (d *Daemon) openNotify(context.Context) error {
	if _, err := systemd.SdNotify(false, systemd.SdNotifyReady); err != nil {
		return fmt.Errorf("telling systemd that the daemon is ready: %w", err)
	}
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("reading the watchdog's time: %w", err)
	}
	if every > 0 {
		d.background("the watchdog", func(ctx context.Context) { d.watchdog(ctx, every/2) })
	}
	d.stack.add("the service manager's view", func(context.Context) error {
		_, err := systemd.SdNotify(false, systemd.SdNotifyStopping)
		return err
	})
	return nil
}

func (d *Daemon) watchdog(ctx context.Context, every time.Duration) {
	for ; ctx.Err() == nil; sleep(ctx, every) {
		if alive, silence := d.pulse.alive(); !alive {
			d.log.Error("a worker hangs; the watchdog is left to bite", "silence", silence.Round(time.Second))
			continue
		}
		if _, err := systemd.SdNotify(false, systemd.SdNotifyWatchdog); err != nil {
			d.log.Warn("telling systemd that the daemon is alive", "err", err)
		}
	}
}

// housekeep keeps the gauge of the model true, which may change device, and
// gives memory back to the system after the start and whenever work has ended:
// a daemon that waits for hours should not hold what its largest study needed.
func (d *Daemon) housekeep(ctx context.Context) {
	const every = 2 * time.Second
	released := time.Time{}
	for ; ctx.Err() == nil; sleep(ctx, every) {
		d.meter.setModel(d.modelRef())
		if last := d.pulse.lastBeat(); d.pulse.idle() && (released.IsZero() || last.After(released)) {
			released = time.Now()
			if runner, ok := d.runner.(interface{ Trim() }); ok {
				runner.Trim()
			}
			debug.FreeOSMemory()
		}
	}
}

// Banner is what a person wants to know after the start: where to look.
func (d *Daemon) Banner() string {
	card, runtime := d.classifier.Model()
	lines := [][2]string{
		{"worklist", d.addresses.HTTP},
		{"health", d.addresses.HTTP + "readyz"},
		{"nats", d.addresses.NATS},
		{"state", d.cfg.StateDir},
		{"model", fmt.Sprintf("%s %s (%.19s…) on %s", card.Name, card.Version, card.Digest, runtime)},
		{"review at", fmt.Sprintf("p(glioma) >= %v", d.live.settings().Thresholds.GliomaReview)},
	}
	if d.addresses.DICOM != "" {
		lines = append(lines, [2]string{"dicom", d.cfg.PACS.Receive.AETitle + " at " + d.addresses.DICOM + secured(d.cfg.PACS.Receive.TLS)})
	}
	for _, place := range d.places {
		lines = append(lines, [2]string{"root", place.name + " = " + place.folder})
	}
	var text strings.Builder
	fmt.Fprintf(&text, "neurotriage %s is ready (%d ms)\n", d.deps.Version, d.ready.Milliseconds())
	for _, line := range lines {
		fmt.Fprintf(&text, "  %-10s %s\n", line[0], line[1])
	}
	text.WriteString("Research software: a finding orders a worklist, it is not a diagnosis.\n")
	return text.String()
}

func secured(tls config.ServerTLS) string {
	if tls.Cert == "" {
		return ""
	}
	return " (TLS)"
}
