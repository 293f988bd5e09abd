package dimse

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// In these tests time is synctest's: it passes when everybody waits, at once.

// patient are options with times that are easy to tell apart.
func patient(t testing.TB, shelf *shelf) ServerOptions {
	o := shelf.options(t)
	o.AssociationTimeout, o.IdleTimeout, o.PDUTimeout, o.WriteTimeout = 20*time.Second, 60*time.Second, 10*time.Second, 7*time.Second
	o.MinRate = 1000
	return o
}

// pipe serves one connection that a test holds the other end of.
func pipe(t testing.TB, o ServerOptions) (*raw, *Server) {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	s.start(theirs)
	t.Cleanup(func() {
		ours.Close()
		s.running.Wait()
		s.cancel()
	})
	return &raw{t, ours}, s
}

// associated is a peer in state 6.
func associated(t testing.TB, o ServerOptions) (*raw, *Server) {
	t.Helper()
	r, s := pipe(t, o)
	r.say(request(nil))
	if got := words(r.hear()); got != "accept" {
		t.Fatal(got)
	}
	return r, s
}

func TestPeersThatKeepSilentOrDawdle(t *testing.T) {
	rq := request(nil)
	start := commandPDU(3, storeRQ)
	dribble := func(r *raw, b []byte, pause time.Duration) { // until the server has enough
		for i := range b {
			if _, err := r.conn.Write(b[i : i+1]); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
	cases := []struct {
		name      string
		associate bool
		play      func(r *raw)  // runs beside the test
		want      time.Duration // until the server ends it
		how       string
	}{
		{"nothing at all", false, func(*raw) {}, 20 * time.Second, "refused"},
		{"half a request", false, func(r *raw) { r.say(rq[:50]) }, 20 * time.Second, "refused"},
		{"a request byte by byte", false, func(r *raw) { dribble(r, rq, time.Second) }, 20 * time.Second, "refused"},
		{"idle", true, func(*raw) {}, 60 * time.Second, TimedOut},
		{"idle after an echo", true, func(r *raw) {
			time.Sleep(50 * time.Second)
			r.say(commandPDU(1, echoRQ))
			r.hear()
		}, 110 * time.Second, TimedOut},
		{"half a PDU header", true, func(r *raw) { r.say(start[:3]) }, 10 * time.Second, TimedOut},
		{"half a command", true, func(r *raw) { r.say(start[:50]) }, 10 * time.Second, TimedOut},
		{"a command byte by byte", true, func(r *raw) { dribble(r, start, 900*time.Millisecond) }, 10 * time.Second, TimedOut},
		{"no dataset", true, func(r *raw) { r.say(start) }, 10 * time.Second, TimedOut},
		{"half a fragment", true, func(r *raw) { r.say(slices.Concat(start, data(3, 0, make([]byte, 1000))[:500])) }, 10 * time.Second, TimedOut},
		// 4 s between PDUs of 100 bytes keep each PDU's time, but not the rate of
		// 1000 bytes a second. The dataset begins with 10 s and earns 0.25 s by the
		// command and 0.112 s by each PDU: 11.x s is the end, within the third pause.
		{"a dataset drop by drop", true, func(r *raw) {
			r.say(start)
			for {
				if _, err := r.conn.Write(data(3, 0, make([]byte, 100))); err != nil {
					return
				}
				time.Sleep(4 * time.Second)
			}
		}, 11 * time.Second, TimedOut},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shelf := newShelf()
				open := pipe
				if c.associate {
					open = associated
				}
				r, s := open(t, patient(t, shelf))
				began := time.Now()
				played := make(chan struct{})
				go func() { defer close(played); c.play(r) }()
				how := "refused"
				var err error
				select {
				case err = <-shelf.refused:
				case end := <-shelf.closed:
					how, err = end.How, end.Err
				}
				took := time.Since(began)
				if how != c.how || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ended as %s by %v, want %s", how, err, c.how)
				}
				// Writing the A-ABORT to a peer that does not read takes a second.
				if took < c.want || took > c.want+2*time.Second {
					t.Errorf("it took %v, want %v", took, c.want)
				}
				r.conn.Close()
				s.running.Wait()
				<-played
			})
		})
	}
}

// TestASlowCalleeIsNotTheSendersFault: the time that storing takes uses up none of
// the peer's.
func TestASlowCalleeIsNotTheSendersFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		o := patient(t, shelf)
		o.Store = func(_ context.Context, _ StoreRequest, from io.Reader) (Status, error) {
			b := make([]byte, 1000)
			for {
				time.Sleep(time.Minute)
				switch _, err := io.ReadFull(from, b); err {
				case nil:
				case io.EOF:
					time.Sleep(time.Hour)
					return StatusSuccess, nil
				default:
					return StatusSuccess, err
				}
			}
		}
		r, _ := associated(t, o)
		go func() {
			r.say(commandPDU(3, storeRQ))
			for range 20 {
				r.say(data(3, 0, make([]byte, 5000)))
			}
			r.say(data(3, flagLast, make([]byte, 1000)))
		}()
		if kind, body := r.hear(); kind != pduData {
			t.Fatalf("%s instead of an answer", words(kind, body))
		}
		go r.say(releaseRQ)
		if got := words(r.hear()); got != "release" {
			t.Error(got)
		}
		r.conn.Close()
		if end := <-shelf.closed; end.How != Released || end.Objects != 1 || end.Bytes != 101_000 {
			t.Errorf("ended as %+v", end)
		}
	})
}

// TestAPeerThatDoesNotRead holds no association longer than WriteTimeout.
func TestAPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		r, _ := associated(t, patient(t, shelf))
		began := time.Now()
		r.say(commandPDU(1, echoRQ))
		end := <-shelf.closed
		if took := time.Since(began); took < 7*time.Second || took > 9*time.Second || end.How != TimedOut {
			t.Errorf("ended as %+v after %v, want %v", end, took, 7*time.Second)
		}
	})
}

// TestTheEndWaitsForThePeer, but not for ever: after our last PDU the peer has the
// ARTIM timer's time to close (PS3.8 state 13), and the place is free at once.
func TestTheEndWaitsForThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		r, s := associated(t, patient(t, shelf))
		began := time.Now()
		r.say(releaseRQ)
		r.hear()
		<-shelf.closed
		if took := time.Since(began); took > 0 {
			t.Errorf("the association ended after %v", took)
		}
		s.mu.Lock()
		free := s.associations == 0
		s.mu.Unlock()
		if !free {
			t.Error("the place is still taken")
		}
		s.running.Wait()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the connection ended after %v, want 5s", took)
		}
	})
}

// TestClientWaits says how long a client waits for a peer that says nothing.
func TestClientWaits(t *testing.T) {
	cases := []struct {
		name string
		call func(ctx context.Context, c *Conn) error
		ctx  time.Duration
		want time.Duration
		err  error
	}{
		{"for an answer", func(ctx context.Context, c *Conn) error { return c.Echo(ctx) }, time.Hour, 30 * time.Second, os.ErrDeadlineExceeded},
		{"as long as the context", func(ctx context.Context, c *Conn) error { return c.Echo(ctx) }, 3 * time.Second, 3 * time.Second, context.DeadlineExceeded},
		{"for a release", func(ctx context.Context, c *Conn) error { return c.Release(ctx) }, time.Hour, 30 * time.Second, os.ErrDeadlineExceeded},
		{"for a report, as long as the context", func(ctx context.Context, c *Conn) error { _, err := c.Committed(ctx); return err },
			time.Hour, time.Hour, context.DeadlineExceeded},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, r := fakePeer(t)
				go io.Copy(io.Discard, r.conn)
				ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
				defer cancel()
				began := time.Now()
				err := c.call(ctx, conn)
				if took := time.Since(began); !errors.Is(err, c.err) || took != c.want {
					t.Errorf("error %v after %v, want %v after %v", err, took, c.err, c.want)
				}
				if err := conn.Echo(t.Context()); err == nil {
					t.Error("the association is used further")
				}
				r.conn.Close()
			})
		})
	}
}

// TestDialWaits says how long Dial waits.
func TestDialWaits(t *testing.T) {
	for _, ctxTime := range []time.Duration{time.Hour, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go io.Copy(io.Discard, theirs)
			ctx, cancel := context.WithTimeout(t.Context(), ctxTime)
			defer cancel()
			began := time.Now()
			_, err := Dial(ctx, clientOptions("x:1", func(o *ClientOptions) {
				o.DialContext = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
				o.AssociationTimeout = 11 * time.Second
			}))
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != min(ctxTime, 11*time.Second) {
				t.Errorf("error %v after %v", err, took)
			}
		})
	}
}

// fakePeer is an association whose other end the test plays.
func fakePeer(t testing.TB) (*Conn, *raw) {
	t.Helper()
	ours, theirs := net.Pipe()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if _, body, err := readPDU(theirs); err == nil {
			rq, _ := parseAssociate(body)
			o := ServerOptions{SOPClasses: func(uid string) bool { return uid == mrImage },
				Committed: func(context.Context, Association, Commitment) error { return nil }}
			o.complete()
			ac, _, _ := o.negotiate(rq)
			theirs.Write(ac.append(nil, pduAssociateAC))
		}
	}()
	c, err := Dial(t.Context(), clientOptions("x:1", func(o *ClientOptions) {
		o.Propose = append(o.Propose, Proposal{SOPClass: StorageCommitment})
		o.DialContext = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
		o.ResponseTimeout = 30 * time.Second
	}))
	if err != nil {
		t.Fatal(err)
	}
	<-answered
	t.Cleanup(func() { c.Abort(); theirs.Close() })
	return c, &raw{t, theirs}
}
