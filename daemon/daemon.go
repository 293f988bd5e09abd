// Package daemon is the engine room: it wires the other rooms together, runs
// the work loop, and answers for its health.
//
// [New] wires and starts nothing; [Daemon.Start] takes the state directory, the
// connection to NATS, the model and the listener, in that order, and then takes
// work; [Daemon.Stop] undoes it in reverse, within the configured time, and may
// be called twice. Two daemons can live in one process.
//
// Promises: a job is settled only after everything it led to is stored; a study
// that cannot be read ends in a refused finding and a dead letter, never in
// silence; a fault of the surroundings costs no study an attempt; a stop hands
// back at once what is not finished. DESIGN.md tells how.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/config"
	"neurotriage/dicomio"
	"neurotriage/events"
	"neurotriage/pacs"
)

// RunnerOptions is what the configuration says about the model and its runtime.
type RunnerOptions struct {
	File      string   // ONNX file; empty: the embedded model
	Library   string   // ONNX Runtime's shared library; empty: found in the usual places
	Providers []string // of cuda, webgpu, cpu in the order to try
	Threads   int      // callers at once on the CPU; 0: one a core
	Logger    *slog.Logger
}

// OpenRunner opens a model; the card comes with its digest. The daemon closes
// the runner. It is handed in because only cmd may know ONNX Runtime.
type OpenRunner func(ctx context.Context, options RunnerOptions) (classifier.Runner, neurotriage.Model, error)

// Deps are what a daemon needs from outside. OpenRunner is required.
type Deps struct {
	OpenRunner OpenRunner
	Logger     *slog.Logger         // default: silent
	Level      *slog.LevelVar       // of Logger, follows log.level; default: not changed
	Registry   *prometheus.Registry // shown at /metrics; default: one of its own
	Load       config.Options       // how cfg was loaded, so that it can be loaded again
	Now        func() time.Time     // default: time.Now
	Version    string               // of the program
}

// Daemon is one running (or not yet running) daemon.
type Daemon struct {
	cfg  config.Config
	deps Deps
	log  *slog.Logger

	disk    disk
	meter   *meter
	pulse   *pulse
	gate    *gate
	live    *live
	library *library
	engine  *engine
	places  []*place
	book    *book
	in      receiving

	commitments *pacs.Commitments
	couriers    atomic.Pointer[map[string]*pacs.Courier] // by destination; made by Start

	// Made by Start.
	server     *events.Server
	bus        *events.Bus
	runner     classifier.Runner
	classifier *classifier.Classifier
	config     *config.Live
	addresses  Addresses
	ready      time.Duration // from the start

	fatal chan error            // what ends Run; room for one
	tune  func(*events.Options) // test hook; nil in production

	mu      sync.Mutex
	state   runState
	stack   cleanups
	stopErr error
}

type runState int

const (
	fresh runState = iota
	running
	stopped
)

// New wires a daemon without starting anything. Its errors are mistakes of the
// caller or of the configuration.
func New(cfg config.Config, deps Deps) (*Daemon, error) {
	if deps.OpenRunner == nil {
		return nil, errors.New("wiring the daemon: nothing that opens a model was handed in")
	}
	if cfg.StateDir == "" {
		return nil, errors.New("wiring the daemon: state_dir is empty")
	}
	if cfg.Privacy.PatientInEvents {
		const key = "privacy.patient_in_events"
		return nil, &config.FaultError{Complaints: []config.Complaint{{
			Key: key, Value: "true", Origin: cfg.Origin(key), Allowed: "false: events of this version have no place for the patient",
		}}}
	}
	deps = deps.withDefaults()
	log := deps.Logger.With("component", "daemon")
	d := &Daemon{cfg: cfg, deps: deps, log: log, pulse: newPulse(), commitments: pacs.NewCommitments(), fatal: make(chan error, 1)}
	d.stack.log = log
	d.disk = disk{dir: cfg.StateDir, least: leastFree, free: freeBytes}
	var err error
	if d.meter, err = newMeter(deps.Registry, deps.Version); err != nil {
		return nil, fmt.Errorf("registering the metrics of the daemon: %w", err)
	}
	if d.book, err = newBook(deps.Logger.With("component", "audit"), deps.Registry); err != nil {
		return nil, fmt.Errorf("registering the metrics of the log book: %w", err)
	}
	d.gate = newGate(log, d.surroundings, func(paused bool) { d.meter.paused.Set(number(paused)) })
	d.live = &live{log: log, level: deps.Level, meter: d.meter}
	d.places = placesOf(roots(cfg))
	web, err := newWeb(cfg.DICOMweb, limits(cfg.Limits))
	if err != nil {
		return nil, fmt.Errorf("wiring the daemon: %w", err)
	}
	d.library = &library{
		places: d.places, web: web, fetch: d.fetch,
		most:    int64(cfg.Limits.StudyBytes),
		spool:   spool{dir: filepath.Join(cfg.StateDir, "spool"), guard: d.disk.check},
		options: dicomio.Options{Limits: limits(cfg.Limits)},
	}
	d.engine = &engine{
		reader: d.library, gate: d.gate, policy: policy{
			maxAttempts: cfg.Work.MaxAttempts, grace: cfg.Work.NotFoundGrace, now: deps.Now, jitter: about,
		},
		settings: d.live.settings, guard: d.disk.check, meter: d.meter, pulse: d.pulse, book: d.book,
		log: log, workers: cfg.Work.StudiesAtOnce,
	}
	return d, nil
}

func (d Deps) withDefaults() Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Registry == nil {
		d.Registry = prometheus.NewRegistry()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Version == "" {
		d.Version = "0.0.0"
	}
	return d
}

// Start brings the daemon up; ctx bounds the start only. When anything fails,
// what was started is stopped again.
func (d *Daemon) Start(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != fresh {
		return errors.New("starting the daemon: it was started before")
	}
	d.state = running
	began := time.Now()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"the state directory", d.openState},
		{"the log book", d.openBook},
		{"nats", d.openBus},
		{"the model", d.openModel},
		{"the live configuration", d.openConfig},
		{"the destinations", d.openCouriers},
		{"the alerts", d.openAlerts},
		{"the receiver", d.openDepot},
		{"the work loop", d.openWork},
		{"the http listener", d.openHTTP},
		{"the C-STORE listener", d.openReceiver},
		{"the watched roots", d.openWatches},
		{"the address file", d.openAddresses},
		{"the service manager", d.openNotify},
	} {
		err := ctx.Err()
		if err == nil {
			err = step.do(ctx)
		}
		if err != nil {
			d.state = stopped
			return errors.Join(fmt.Errorf("starting %s: %w", step.what, err), d.undo())
		}
	}
	d.ready = time.Since(began)
	card, runtime := d.classifier.Model()
	d.log.Info("ready", "took", d.ready.Round(time.Millisecond), "http", d.addresses.HTTP, "nats", d.addresses.NATS,
		"model", card.Name, "version", card.Version, "digest", card.Digest, "runtime", runtime, "state_dir", d.cfg.StateDir)
	return nil
}

// Stop hands back what is in work and undoes the start in reverse, within
// work.shutdown_timeout. A second call waits for the first and gives its error.
func (d *Daemon) Stop() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == running {
		d.state = stopped
		d.stopErr = d.undo()
		d.log.Info("stopped", "err", d.stopErr)
	}
	return d.stopErr
}

// undo runs the clean-ups. They get nine tenths of the time, the rest is for
// those that come after one that hangs.
func (d *Daemon) undo() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), d.cfg.Work.ShutdownTimeout*9/10,
		fmt.Errorf("work.shutdown_timeout of %s is used up", d.cfg.Work.ShutdownTimeout))
	defer cancel()
	return d.stack.run(ctx)
}

// Run starts the daemon, works until ctx ends or the daemon cannot go on, and
// stops it. An end by ctx is no error.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.Start(ctx); err != nil {
		return err
	}
	return d.Wait(ctx)
}

// Wait is the rest of Run, for a caller that prints the banner in between.
func (d *Daemon) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-d.fatal:
	}
	return errors.Join(err, d.Stop())
}

// fail ends Run; the first error counts.
func (d *Daemon) fail(err error) {
	select {
	case d.fatal <- err:
	default:
	}
}

// openState takes the state directory.
func (d *Daemon) openState(context.Context) error {
	lock, err := lockState(d.cfg.StateDir)
	if err != nil {
		return err
	}
	d.stack.add("the lock of the state directory", func(context.Context) error { return lock.Close() })
	// A stale file of a killed daemon would send clients to somebody else's port.
	if err := os.Remove(d.addressFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a leftover address file: %w", err)
	}
	if err := d.library.spool.clean(); err != nil {
		return err
	}
	return d.disk.check()
}

// openModel opens the runner and the classifier over it.
func (d *Daemon) openModel(ctx context.Context) error {
	runner, card, err := d.deps.OpenRunner(ctx, RunnerOptions{
		File: d.cfg.Model.File, Library: d.cfg.ONNXRuntime.Library, Providers: d.cfg.ONNXRuntime.Providers,
		Threads: d.cfg.ONNXRuntime.Threads, Logger: d.deps.Logger.With("component", "onnx"),
	})
	if err != nil {
		return err
	}
	d.stack.add("the model", func(context.Context) error { return runner.Close() })
	d.runner = runner
	if d.classifier, err = classifier.New(card, runner, classifier.Options{Now: d.deps.Now}); err != nil {
		return err
	}
	d.live.card = card.Thresholds.GliomaReview
	d.library.options.IntendedUse = card.IntendedUse
	d.engine.classifier = d.classifier
	return d.live.start(d.cfg)
}

// openConfig follows the configuration file for the keys that may change.
func (d *Daemon) openConfig(context.Context) error {
	d.config = config.NewLive(config.LiveOptions{
		Load: d.deps.Load, Started: d.cfg, Logger: d.deps.Logger.With("component", "config"), Apply: d.live.set,
	})
	d.background("the watch of the configuration", func(ctx context.Context) {
		if err := d.config.Watch(ctx); err != nil {
			d.log.Warn("the configuration is not watched; a reload signal still works", "err", err)
		}
	})
	return nil
}

// Reload reads the configuration again, as SIGHUP asks; see config.Live.
func (d *Daemon) Reload() (config.Change, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != running {
		return config.Change{}, errors.New("reloading the configuration: the daemon does not run")
	}
	return d.config.Reload()
}

// openWork starts the gate and the workers. Two contexts, because a stop ends
// reading at once and lets what is read be stored.
func (d *Daemon) openWork(context.Context) error {
	d.engine.inbox, d.engine.outlet = inbox{d.bus.Inbox()}, d.bus.Outlet()
	d.background("the gate", d.gate.run)
	d.background("the housekeeping", d.housekeep)
	ctx, stopReading := context.WithCancel(context.Background())
	final, stopStoring := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.engine.run(ctx, final)
	}()
	d.stack.add("the work loop", func(ctx context.Context) error {
		defer stopStoring()
		stopReading()
		patience := d.cfg.Work.ShutdownTimeout / 2 // for storing; then even that is cut short
		timer := time.AfterFunc(patience, stopStoring)
		defer timer.Stop()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("a worker is still busy; the server will deliver its study again: %w", context.Cause(ctx))
		}
	})
	return nil
}

// background runs fn until the stop comes to its name.
func (d *Daemon) background(name string, fn func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn(ctx)
	}()
	d.stack.add(name, func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
