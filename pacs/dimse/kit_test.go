package dimse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// generous is how long a test waits for what has to happen: CI is slow.
const generous = 2 * time.Minute

const (
	mrImage  = "1.2.840.10008.5.1.4.1.1.4"
	ctImage  = "1.2.840.10008.5.1.4.1.1.2"
	findRoot = "1.2.840.10008.5.1.4.1.2.2.1"
	moveRoot = "1.2.840.10008.5.1.4.1.2.2.2"
	jpegLS   = "1.2.840.10008.1.2.4.80"
	htj2k    = "1.2.840.10008.1.2.4.201"
)

// shelf is a callee that keeps what it gets, and an account of the callbacks.
type shelf struct {
	mu       sync.Mutex
	objects  map[string][]byte
	requests []StoreRequest
	opened   []Association
	refused  chan error
	closed   chan Ended
	results  chan Commitment
}

func newShelf() *shelf {
	return &shelf{objects: map[string][]byte{}, refused: make(chan error, 4096), closed: make(chan Ended, 4096), results: make(chan Commitment, 16)}
}

func (s *shelf) store(_ context.Context, r StoreRequest, data io.Reader) (Status, error) {
	var b bytes.Buffer
	if _, err := io.Copy(&b, data); err != nil {
		return StatusSuccess, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[r.SOPInstanceUID] = b.Bytes()
	s.requests = append(s.requests, r)
	return StatusSuccess, nil
}

func (s *shelf) object(uid string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[uid]
	return b, ok
}

// options are a server's that puts everything of MR on the shelf.
func (s *shelf) options(t testing.TB) ServerOptions {
	return ServerOptions{
		SOPClasses: func(uid string) bool { return uid == mrImage },
		Store:      s.store,
		Opened:     func(a Association) { s.mu.Lock(); s.opened = append(s.opened, a); s.mu.Unlock() },
		Closed:     func(_ Association, e Ended) { s.closed <- e },
		Refused:    func(_ Association, err error) { s.refused <- err },
		Logger:     logger(t),
	}
}

// logger shows the log with the test's output and fails the test on a panic of
// the callee, which the server would survive.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic")) {
		w.t.Errorf("%s", p)
	} else if testing.Verbose() {
		w.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// serve starts a server on a port of its own and returns its address. The test's
// end shuts it down.
func serve(t testing.TB, o ServerOptions) (string, *Server) {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), generous)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v, want ErrServerClosed", err)
		}
	})
	return l.Addr().String(), s
}

// dial requests an association for MR storage and verification.
func dial(t testing.TB, address string, change func(*ClientOptions)) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), clientOptions(address, change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Abort() })
	return c
}

func clientOptions(address string, change func(*ClientOptions)) ClientOptions {
	o := ClientOptions{Address: address, Calling: "SENDER", Called: "NEUROTRIAGE", Propose: []Proposal{
		{SOPClass: Verification}, {SOPClass: mrImage, TransferSyntaxes: []string{ExplicitVRLittleEndian}},
	}}
	if change != nil {
		change(&o)
	}
	return o
}

func mr(uid string, data []byte) Object {
	return Object{SOPClassUID: mrImage, SOPInstanceUID: uid, TransferSyntaxUID: ExplicitVRLittleEndian, Data: bytes.NewReader(data)}
}

// pattern is n bytes that tell where they come from.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// quiet is a log that shows nothing but panics.
type quiet struct{ t testing.TB }

func (q quiet) logger() *slog.Logger { return slog.New(slog.NewTextHandler(q, nil)) }

func (q quiet) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic")) {
		q.t.Errorf("%s", p)
	}
	return len(p), nil
}

func (s *shelf) waitClosed(t testing.TB) Ended {
	t.Helper()
	select {
	case e := <-s.closed:
		return e
	case <-time.After(generous):
		t.Fatal("the association did not end")
	}
	return Ended{}
}

func (s *shelf) waitRefused(t testing.TB) error {
	t.Helper()
	select {
	case err := <-s.refused:
		return err
	case <-time.After(generous):
		t.Fatal("nothing was refused")
	}
	return nil
}
