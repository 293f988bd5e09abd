package dimse

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestShutdownLetsTheObjectAtHandFinish, answers it, and then ends the association
// when no other message comes.
func TestShutdownLetsTheObjectAtHandFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		r, s := associated(t, shelf.options(t))
		r.say(commandPDU(3, storeRQ))
		synctest.Wait()
		stopped := make(chan error, 1)
		began := time.Now()
		go func() { stopped <- s.Shutdown(t.Context()) }()
		synctest.Wait()
		time.Sleep(20 * time.Second) // a slow peer, but within its time
		r.say(data(3, flagLast, pattern(100)))
		if got := words(r.hear()); got != "data" {
			t.Fatalf("%s instead of an answer", got)
		}
		time.Sleep(900 * time.Millisecond) // and one more at once
		r.say(commandPDU(1, echoRQ))
		r.hear()
		if got := words(r.hear()); got != "abort 0 0" {
			t.Errorf("heard %q", got)
		}
		r.conn.Close()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 20*time.Second+900*time.Millisecond+drainGrace {
			t.Errorf("it took %v", took)
		}
		if end := <-shelf.closed; end.How != Stopped || end.Objects != 1 {
			t.Errorf("ended as %+v", end)
		}
	})
}

// TestShutdownOfTheIdle takes a second, and of what has not begun too.
func TestShutdownOfTheIdle(t *testing.T) {
	for name, open := range map[string]func(testing.TB, ServerOptions) (*raw, *Server){"association": associated} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shelf := newShelf()
				r, s := open(t, shelf.options(t))
				synctest.Wait()
				go io.Copy(io.Discard, r.conn)
				began := time.Now()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 2*drainGrace {
					t.Errorf("it took %v", took)
				}
				r.conn.Close()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Errorf("a second time: %v", err)
				}
			})
		})
	}
}

// TestShutdownEndsWithItsContext, whatever peers and callees do.
func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		o := shelf.options(t)
		o.Store = func(ctx context.Context, _ StoreRequest, _ io.Reader) (Status, error) {
			<-ctx.Done()
			return StatusSuccess, ctx.Err()
		}
		r, s := associated(t, o)
		r.say(commandPDU(3, storeRQ))
		go io.Copy(io.Discard, r.conn)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > 5*time.Second+2*drainGrace {
			t.Errorf("it took %v", took)
		}
		if end := <-shelf.closed; end.How != Stopped || end.Objects != 0 {
			t.Errorf("ended as %+v", end)
		}
		r.conn.Close()
	})
}

// TestServeEnds with its listener, and says why.
func TestServeEnds(t *testing.T) {
	s, err := NewServer(ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	l.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) || errors.Is(err, ErrServerClosed) {
		t.Errorf("after its listener closed, Serve returns %v", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); !errors.Is(err, ErrServerClosed) {
		t.Errorf("after Shutdown, Serve returns %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

// faulty is a listener that fails some times before it has a connection.
type faulty struct {
	net.Listener
	failures int
	conns    chan net.Conn
}

func (f *faulty) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("too many open files")
	}
	conn, ok := <-f.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (f *faulty) Addr() net.Addr { return &net.TCPAddr{} }
func (f *faulty) Close() error   { return nil }

// TestAcceptTriesAgain when the process is out of files for a while.
func TestAcceptTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		l := &faulty{failures: 20, conns: make(chan net.Conn, 1)}
		l.conns <- theirs
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		r := &raw{t, ours}
		r.say(request(nil))
		if got := words(r.hear()); got != "accept" {
			t.Error(got)
		}
		ours.Close()
		close(l.conns)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
