package events

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// EmbeddedOptions says where the embedded server listens and stores. Beyond
// loopback, give it credentials and TLS: without them everybody may publish.
type EmbeddedOptions struct {
	Host     string // default 127.0.0.1
	Port     int    // 0: any free one
	Dir      string // JetStream's; locked against a second daemon
	User     string // with Password: what every client must show
	Password string
	Token    string
	TLS      *tls.Config
	Logger   *slog.Logger // default: silent
}

// Server is a NATS server with JetStream inside this process.
type Server struct {
	nats *server.Server
	lock *os.File
	stop sync.Once
}

// storeLimit is what JetStream may reserve. The streams' own limits bound what
// is used; the default limit, a share of the free disk, would make a small disk
// refuse the reservations of the media buckets at the start.
const storeLimit = 1 << 40

// Embedded starts a server that confirms a write only after it is synced to the
// disk, and waits until it takes connections. A port that is taken is an error:
// a stranger's server is never joined.
func Embedded(ctx context.Context, opts EmbeddedOptions) (*Server, error) {
	opts.Host = or(opts.Host, "127.0.0.1")
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the jetstream directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(opts.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	nats, err := startServer(ctx, opts)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Server{nats: nats, lock: lock}, nil
}

func startServer(ctx context.Context, opts EmbeddedOptions) (*server.Server, error) {
	if err := portIsFree(ctx, opts.Host, opts.Port); err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName: "neurotriage", Host: opts.Host, Port: opts.Port, NoSigs: true,
		JetStream: true, StoreDir: opts.Dir, SyncAlways: true, JetStreamMaxStore: storeLimit,
		JetStreamMaxMemory: 64 << 20, DisableJetStreamBanner: true,
		Username: opts.User, Password: opts.Password, Authorization: opts.Token,
		TLS: opts.TLS != nil, TLSConfig: opts.TLS, TLSTimeout: 5,
	}
	if opts.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	nats, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configuring the embedded nats server: %w", err)
	}
	log := &serverLog{log: opts.Logger.With("component", "nats-server")}
	nats.SetLoggerV2(log, false, false, false)
	nats.Start()
	deadline := time.Now().Add(30 * time.Second) // recovering a large store takes seconds
	for !nats.ReadyForConnections(50 * time.Millisecond) {
		fatal := log.fatal()
		if fatal == nil && ctx.Err() == nil && time.Now().Before(deadline) {
			continue
		}
		nats.Shutdown()
		nats.WaitForShutdown()
		return nil, fmt.Errorf("starting the embedded nats server with jetstream in %s: %w",
			opts.Dir, errors.Join(fatal, ctx.Err(), errors.New("it did not get ready")))
	}
	return nats, nil
}

func portIsFree(ctx context.Context, host string, port int) error {
	if port == 0 {
		return nil
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("the embedded nats server cannot listen on %s: %w; stop what listens there, "+
			"choose another nats.embedded.listen (port 0 takes any free one), or set nats.url to use that server", address, err)
	}
	return listener.Close()
}

// URL is where other programs reach the server.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Stop ends the server and releases its directory. It may be called twice.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
		_ = s.lock.Close() // releases the lock; nothing was written since
	})
}

// serverLog passes the server's own words on. Fatalf must return: the server
// calls it and expects the process to end, which is not its decision here.
type serverLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	dead error
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = errors.Join(l.dead, fmt.Errorf(format, v...))
	l.log.Error(fmt.Sprintf(format, v...))
}
func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}
