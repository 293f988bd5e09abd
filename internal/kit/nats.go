package kit

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSServer is a real NATS server with JetStream inside the test's process. It
// can be stopped and started again on the same port and store.
type NATSServer struct {
	URL     string
	options server.Options
	running *server.Server
}

// NATS starts a server that ends with the test. The funcs change its options.
func NATS(t testing.TB, change ...func(*server.Options)) *NATSServer {
	t.Helper()
	s := &NATSServer{options: server.Options{
		ServerName: "kit", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		NoLog: true, NoSigs: true, DisableJetStreamBanner: true, JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 64 << 20,
	}}
	for _, fn := range change {
		fn(&s.options)
	}
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

// Start starts a stopped server; it is on the port that it had.
func (s *NATSServer) Start(t testing.TB) {
	t.Helper()
	options := s.options // the server fills it in
	running, err := server.NewServer(&options)
	if err != nil {
		t.Fatalf("configuring the nats server: %v", err)
	}
	running.Start()
	if !running.ReadyForConnections(30 * time.Second) {
		running.Shutdown()
		t.Fatal("the nats server did not get ready")
	}
	s.running, s.URL = running, running.ClientURL()
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if s.options.Port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
}

// Stop stops the server; its store stays.
func (s *NATSServer) Stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

// Wipe removes what a stopped server stored.
func (s *NATSServer) Wipe(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.options.StoreDir, "jetstream")); err != nil {
		t.Fatal(err)
	}
}

// Client connects as another program would, and ends with the test.
func (s *NATSServer) Client(t testing.TB, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(s.URL, options...)
	if err != nil {
		t.Fatalf("connecting to %s: %v", s.URL, err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// untilTime is long beyond need: a machine that others use may stall for seconds.
const untilTime = time.Minute

// Until waits for what no event tells, and fails the test after untilTime.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(untilTime)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after %s still not so: %s", untilTime, what)
		}
	}
}
