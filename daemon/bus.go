package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/dicomio"
	"neurotriage/events"
)

// openBus starts the embedded server, if the configuration names no other, and
// connects to it.
func (d *Daemon) openBus(ctx context.Context) error {
	options, err := d.busOptions()
	if err != nil {
		return err
	}
	if d.cfg.NATS.URL == "" {
		server, err := d.serverOptions(options)
		if err != nil {
			return err
		}
		if d.server, err = events.Embedded(ctx, server); err != nil {
			return err
		}
		d.stack.add("the embedded nats server", func(context.Context) error { d.server.Stop(); return nil })
		options.Server = d.server
	}
	if d.tune != nil {
		d.tune(&options)
	}
	if d.bus, err = events.Connect(ctx, options); err != nil {
		return err
	}
	d.stack.add("the connection to nats", func(context.Context) error { d.bus.Close(); return nil })
	if err := d.bus.Prepare(ctx); err != nil {
		return err
	}
	return d.bus.Start(ctx, func() any { return d.Health() })
}

func (d *Daemon) busOptions() (events.Options, error) {
	n := d.cfg.NATS
	user, password, err := n.Login()
	token, tokenErr := n.Bearer()
	return events.Options{
		URL: n.URL, Prefix: n.Prefix, Version: d.deps.Version,
		Creds: n.Creds, NKey: n.NKey, User: user, Password: password, Token: token,
		CA: n.TLS.CA, Cert: n.TLS.Cert, Key: n.TLS.Key,
		Retention: events.Retention{
			Findings: n.Retention.Findings, Media: n.Retention.Media,
			MediaBytes: int64(n.Retention.MediaBytes), QueueBytes: int64(n.Retention.WorkBytes),
		},
		MaxAttempts: d.cfg.Work.MaxAttempts, OverdueAfter: d.cfg.Work.OverdueAfter, HeartbeatGap: n.Heartbeat,
		Media: illustrator{log: d.log, version: d.deps.Version}.media, Logger: d.deps.Logger, Registerer: d.deps.Registry,
	}, errors.Join(err, tokenErr)
}

func (d *Daemon) serverOptions(client events.Options) (events.EmbeddedOptions, error) {
	host, portText, err := net.SplitHostPort(d.cfg.NATS.Embedded.Listen)
	if err != nil {
		return events.EmbeddedOptions{}, fmt.Errorf("nats.embedded.listen: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return events.EmbeddedOptions{}, fmt.Errorf("nats.embedded.listen: port %q is no number", portText)
	}
	secure, err := serverTLS(d.cfg.NATS.Embedded.TLS)
	return events.EmbeddedOptions{
		Host: host, Port: port, Dir: filepath.Join(d.cfg.StateDir, "jetstream"),
		User: client.User, Password: client.Password, Token: client.Token, TLS: secure, Logger: d.deps.Logger,
	}, err
}

// serverTLS is nil when no certificate is configured.
func serverTLS(c config.ServerTLS) (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	pair, err := keyPair(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{Certificates: pair, MinVersion: tls.VersionTLS12}
	if c.ClientCA == "" {
		return secure, nil
	}
	secure.ClientAuth = tls.RequireAndVerifyClientCert
	secure.ClientCAs, err = authorities(c.ClientCA, "clients")
	return secure, err
}

// keyPair reads a certificate with its key.
func keyPair(cert, key string) ([]tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s and its key: %w", cert, err)
	}
	return []tls.Certificate{pair}, nil
}

// authorities reads a PEM file of those whose word for somebody is believed.
func authorities(file, whose string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of %s: %w", whose, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the authorities of %s: %s holds no certificate", whose, file)
	}
	return pool, nil
}

func (d *Daemon) fetch(ctx context.Context, bucket, name string, w io.Writer, limit int64) (int64, error) {
	return d.bus.Fetch(ctx, bucket, name, w, limit)
}

func limits(c config.Limits) dicomio.Limits {
	return dicomio.Limits{
		FileBytes: int64(c.FileBytes), HeaderBytes: int64(c.HeaderBytes), StudyBytes: int64(c.StudyBytes), Files: c.Files,
		FramePixels: c.FramePixels, Frames: c.Frames, StudyFrames: c.StudyFrames, ZipRatio: c.ZipRatio,
	}
}

// surroundings asks after what every job needs, for the gate's probe.
func (d *Daemon) surroundings(context.Context) error {
	return errors.Join(d.disk.check(), d.bus.Health().Err(), d.runnerHealth())
}

// runnerHealth asks runners that can say so.
func (d *Daemon) runnerHealth() error {
	if runner, ok := d.runner.(interface{ Health() error }); ok {
		return runner.Health()
	}
	return nil
}

// inbox puts the verdicts of this room into the words of events, which cannot
// know them.
type inbox struct{ events *events.Inbox }

func (i inbox) Next(ctx context.Context) (neurotriage.Job, error) { return i.events.Next(ctx) }

func (i inbox) Settle(ctx context.Context, job neurotriage.Job, outcome Outcome) error {
	switch outcome.Verdict {
	case Done:
		return i.events.Ack(ctx, job)
	case Terminate:
		return i.events.Terminate(ctx, job, outcome.Reason)
	case HandBack:
		return i.events.HandBack(ctx, job, outcome.Delay, outcome.Reason, outcome.Counts)
	}
	return fmt.Errorf("settling event %s: verdict %d is unknown", job.EventID, outcome.Verdict)
}
