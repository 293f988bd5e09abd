package events

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"neurotriage"
)

// Options says how to reach NATS and what to keep there. The zero value of a
// field means its default; only a URL or a Server is required.
type Options struct {
	URL    string  // nats://host:port, several separated by commas
	Server *Server // the embedded server; then URL is not used

	Prefix   string // "site1" makes site1.imaging…, SITE1_TRIAGE, site1_triage_worklist
	Instance string // names this daemon in heartbeats; default host name and process id
	Version  string // of the program, semantic; shown by the micro service

	Creds    string // path of a .creds file
	NKey     string // path of an nkey seed file
	User     string
	Password string
	Token    string
	CA       string // path of a PEM file with the authorities that the server is checked against
	Cert     string // path of the client certificate, PEM; needs Key
	Key      string // path of its key, PEM

	Retention    Retention
	MaxAttempts  int           // told faults until gave_up, and a third of the crashes; default 5
	OverdueAfter time.Duration // without a finding, from the announcement on; default 15 minutes
	AckWait      time.Duration // until the server delivers an untouched job again; default 15 s
	ScanEvery    time.Duration // between looks at the waiting announcements; default 2 s
	HeartbeatGap time.Duration // between heartbeat events; default 10 s
	CallTimeout  time.Duration // of one exchange with the server; default 10 s

	// Media makes the objects that are stored beside a finding before it is
	// published. Equal readings must give equal objects. Default [SliceTable].
	Media func(neurotriage.Reading) ([]Media, error)

	Logger     *slog.Logger          // default: silent
	Registerer prometheus.Registerer // default: metrics are kept and not shown
}

// Retention bounds what is kept in NATS. Sizes are bytes.
type Retention struct {
	Findings   time.Duration // findings, alerts, dead letters, worklist; default 90 days
	Media      time.Duration // pictures, reports, uploads; default 14 days
	MediaBytes int64         // of pictures and of uploads, each; default 20 GB
	QueueBytes int64         // of waiting announcements, new ones are refused beyond; default 256 MiB
}

const day = 24 * time.Hour

var prefixPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

func (o Options) withDefaults() Options {
	o.MaxAttempts = or(o.MaxAttempts, 5)
	o.OverdueAfter = or(o.OverdueAfter, 15*time.Minute)
	o.AckWait = or(o.AckWait, 15*time.Second)
	o.ScanEvery = or(o.ScanEvery, 2*time.Second)
	o.HeartbeatGap = or(o.HeartbeatGap, 10*time.Second)
	o.CallTimeout = or(o.CallTimeout, 10*time.Second)
	o.Version = or(o.Version, "0.0.0")
	o.Retention.Findings = or(o.Retention.Findings, 90*day)
	o.Retention.Media = or(o.Retention.Media, 14*day)
	o.Retention.MediaBytes = or(o.Retention.MediaBytes, 20_000_000_000)
	o.Retention.QueueBytes = or(o.Retention.QueueBytes, 256<<20)
	if o.Media == nil {
		o.Media = SliceTable
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Instance == "" {
		host, _ := os.Hostname()
		o.Instance = fmt.Sprintf("%s-%d", or(host, "localhost"), os.Getpid())
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.URL == "" && o.Server == nil:
		return errors.New("nats: neither a url nor an embedded server is given")
	case o.Prefix != "" && !prefixPattern.MatchString(o.Prefix):
		return fmt.Errorf("nats prefix %q: only 1 to 32 of a-z, 0-9, _ and - are allowed", o.Prefix)
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("nats: a client certificate needs both its cert and its key file")
	case o.Creds != "" && o.NKey != "":
		return errors.New("nats: creds and nkey exclude each other; a creds file holds its own nkey")
	case o.MaxAttempts < 1:
		return fmt.Errorf("nats max_attempts %d: at least 1 is needed", o.MaxAttempts)
	}
	return nil
}

// or gives value, or fallback if value is zero.
func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
