package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage/audit"
	"neurotriage/config"
	"neurotriage/worklist"
)

// book is the daemon's log book: what is noted stands there when the call
// returns. An entry that could not be written is told in the log, loudly: work
// on patients goes on, and the administrator knows.
type book struct {
	log    *slog.Logger
	failed prometheus.Counter
	audit  *audit.Log // nil before the start and after the stop
}

func newBook(log *slog.Logger, registry prometheus.Registerer) (*book, error) {
	b := &book{log: log, failed: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "neurotriage", Subsystem: "audit", Name: "failures_total", Help: "Audit messages that could not be written.",
	})}
	return b, registry.Register(b.failed)
}

func (b *book) note(e audit.Event) {
	if b.audit == nil {
		return
	}
	if err := b.audit.Record(e); err != nil {
		b.failed.Inc()
		b.log.Error("an audit message is missing", "kind", string(e.Kind), "error", err)
	}
}

// Audit takes what people see and do on the pages.
func (b *book) Audit(_ context.Context, act worklist.Act) { b.note(actEvent(act)) }

// actEvent sorts an act of a page into the standard's kinds.
func actEvent(act worklist.Act) audit.Event {
	e := audit.Event{Kind: audit.Query, User: act.Visitor.Name, Address: act.From, Time: act.Time, Detail: act.Name}
	if act.Detail != "" {
		e.Detail += ": " + act.Detail
	}
	if act.StudyInstanceUID != "" {
		e.Studies = []audit.Study{{UID: act.StudyInstanceUID}}
		e.Kind = audit.Read
		if act.Detail != "" { // a verdict, an acknowledgement
			e.Kind = audit.Changed
		}
	}
	switch first, _, _ := strings.Cut(act.Name, " "); {
	case act.Name == "log in":
		e.Kind, e.Failed = audit.Login, !act.Allowed
	case act.Name == "log out":
		e.Kind = audit.Logout
	case !act.Allowed:
		e.Kind = audit.Refused
	case first == "replay", first == "replayed":
		e.Kind = audit.Changed
	}
	return e
}

// openBook opens the log book; the last thing that is written is the stop.
func (d *Daemon) openBook(context.Context) error {
	options, err := bookOptions(d.cfg)
	if err != nil {
		return err
	}
	options.Logger, options.Now = d.deps.Logger.With("component", "audit"), d.deps.Now
	if d.book.audit, err = audit.Open(options); err != nil {
		return err
	}
	d.stack.add("the log book", func(context.Context) error {
		d.book.note(audit.Event{Kind: audit.Stop})
		return d.book.audit.Close()
	})
	return d.book.audit.Record(audit.Event{Kind: audit.Start})
}

func bookOptions(cfg config.Config) (audit.Options, error) {
	host, err := os.Hostname()
	if err != nil {
		return audit.Options{}, fmt.Errorf("asking for this host's name: %w", err)
	}
	options := audit.Options{
		Folder: cfg.Audit.Folder, Keep: cfg.Audit.Keep, Source: cfg.Audit.Source, Process: fmt.Sprintf("neurotriage %d", os.Getpid()),
	}
	if options.Folder == "" {
		options.Folder = filepath.Join(cfg.StateDir, "audit")
	}
	if options.Source == "" {
		options.Source = host
	}
	if cfg.Audit.Syslog.Address == "" {
		return options, nil
	}
	options.Syslog = &audit.SyslogOptions{Address: cfg.Audit.Syslog.Address, Host: host}
	if !cfg.Audit.Syslog.Plain {
		tls := cfg.Audit.Syslog.TLS
		if options.Syslog.TLS, err = clientTLS(tls.CA, tls.Cert, tls.Key); err != nil {
			return options, fmt.Errorf("audit.syslog: %w", err)
		}
	}
	return options, nil
}
