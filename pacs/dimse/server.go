package dimse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ServerOptions say whom a server answers, what it takes, and where limits lie.
// A zero value of a limit or a time means the default named beside it.
type ServerOptions struct {
	// AETitles are the called titles that are answered; empty: every title.
	AETitles []string

	// Accept decides on each association, once its request has been understood; nil
	// accepts all. A [Rejection] (wrapped or not) is sent as it is, any other error
	// as RejectNotPermitted.
	Accept func(ctx context.Context, peer Association) error

	// SOPClasses says which SOP classes are taken by C-STORE; nil: none.
	SOPClasses func(uid string) bool

	// TransferSyntaxes are what is taken for storage, the most wanted first; empty:
	// explicit and implicit VR little endian.
	TransferSyntaxes []string

	// Store takes one object. It is called by the association's own goroutine, one
	// object after the other, and calls of different associations run at once. data
	// is the dataset as it arrives, without file header; a read error is the
	// association's end or [ErrObjectTooLarge], and then nothing may be kept. What
	// Store leaves unread is read and dropped. The peer gets the returned status
	// once Store has returned, so a callee that syncs before it returns success has
	// promised the object. With an error, a status of success becomes
	// StatusProcessingFailure, and the error is logged.
	Store func(ctx context.Context, request StoreRequest, data io.Reader) (Status, error)

	// Committed takes a result of storage commitment that the peer reports on an
	// association of its own (PS3.4 J.3.3); nil: such associations are not taken. An
	// error makes the peer hear StatusProcessingFailure and report again.
	Committed func(ctx context.Context, peer Association, result Commitment) error

	// Opened comes when an association is accepted, Closed when it has ended, after
	// its last Store returned. Refused comes instead of both when a request is
	// rejected or is not understood; the peer's titles may then be empty.
	Opened  func(peer Association)
	Closed  func(peer Association, end Ended)
	Refused func(peer Association, reason error)

	MaxAssociations int   // at once, 64; more are rejected as RejectLimit
	MaxObject       int64 // bytes of one dataset, 2 GiB; larger ones are answered with StatusOutOfResources
	MaxPDU          int   // bytes of a P-DATA-TF PDU that we take, 131072

	AssociationTimeout time.Duration // from connection to accepted association, TLS included (the ARTIM timer), 15 s
	IdleTimeout        time.Duration // between messages, 2 min
	PDUTimeout         time.Duration // for the next bytes within a message, 30 s
	WriteTimeout       time.Duration // for each answer, 30 s
	MinRate            int           // bytes a second that a message must keep up beyond its first PDUTimeout, 4096

	// TLS makes every connection TLS; see [SecureTLS]. nil: plain TCP.
	TLS *tls.Config

	Logger *slog.Logger // nil: nothing is logged
}

// StoreRequest is a C-STORE-RQ (PS3.7 9.3.1.1). All three UIDs are valid as
// [ValidUID] has it, and the SOP class is the presentation context's.
type StoreRequest struct {
	Association       Association
	SOPClassUID       string
	SOPInstanceUID    string
	TransferSyntaxUID string
	MessageID         uint16
	Priority          Priority
}

// Priority of a message (PS3.7 9.3.1.1).
type Priority uint16

// Priorities by their values on the wire.
const (
	PriorityMedium Priority = 0
	PriorityHigh   Priority = 1
	PriorityLow    Priority = 2
)

// ErrObjectTooLarge is what reading a dataset beyond MaxObject gives.
var ErrObjectTooLarge = errors.New("object is larger than the limit")

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("dimse server is closed")

// spareConnections are those that may stand beside MaxAssociations: they are on
// their way to a rejection or to their end.
const spareConnections = 32

// Server is a service class provider. It is safe for concurrent use.
type Server struct {
	o       ServerOptions
	ctx     context.Context // of every Store
	cancel  context.CancelFunc
	buffers sync.Pool // of *[]byte, for reading

	mu           sync.Mutex
	closed       bool
	listeners    map[net.Listener]struct{}
	connections  map[*acceptor]struct{}
	associations int
	running      sync.WaitGroup
}

// NewServer checks the options and makes a server that serves nothing yet.
func NewServer(o ServerOptions) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &Server{o: o, listeners: map[net.Listener]struct{}{}, connections: map[*acceptor]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.buffers.New = func() any { b := make([]byte, o.MaxPDU+readAhead); return &b }
	return s, nil
}

// readAhead is how much the read buffer holds beyond a whole PDU: the command
// before it and a part of the next PDU, so that an object of a usual size takes
// one or two reads.
const readAhead = 64 << 10

// complete fills in defaults and says what cannot be.
func (o *ServerOptions) complete() error {
	o.MaxAssociations = cmp.Or(o.MaxAssociations, 64)
	o.MaxObject = cmp.Or(o.MaxObject, 2<<30)
	o.MaxPDU = cmp.Or(o.MaxPDU, defaultMaxPDU)
	o.AssociationTimeout = cmp.Or(o.AssociationTimeout, 15*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 2*time.Minute)
	o.PDUTimeout = cmp.Or(o.PDUTimeout, 30*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.MinRate = cmp.Or(o.MinRate, 4096)
	if o.SOPClasses == nil {
		o.SOPClasses = func(string) bool { return false }
	}
	if len(o.TransferSyntaxes) == 0 {
		o.TransferSyntaxes = plainSyntaxes()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Store == nil {
		o.Store = func(context.Context, StoreRequest, io.Reader) (Status, error) { return StatusClassNotSupported, nil }
	}
	for _, title := range o.AETitles {
		if !validTitle(title) {
			return fmt.Errorf("AE title %q: 1 to 16 printable ASCII characters without backslash are allowed", title)
		}
	}
	if o.MaxPDU < 4096 || o.MaxPDU > 16<<20 {
		return fmt.Errorf("largest PDU of %d bytes: 4096 to %d are allowed", o.MaxPDU, 16<<20)
	}
	if o.MaxAssociations < 1 || o.MaxObject < 1 || o.MaxObject > 1<<50 || o.MinRate < 1 {
		return errors.New("the limits of associations, object size and rate have to be positive, and the object size at most 1 PiB")
	}
	if min(o.AssociationTimeout, o.IdleTimeout, o.PDUTimeout, o.WriteTimeout) < 0 {
		return errors.New("times have to be positive")
	}
	return nil
}

const defaultMaxPDU = 128 << 10

func plainSyntaxes() []string { return []string{ExplicitVRLittleEndian, ImplicitVRLittleEndian} }

// Serve answers associations until Shutdown and then returns ErrServerClosed. It
// closes the listener. Several listeners can be served at once.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.listen(l) {
		return ErrServerClosed
	}
	defer s.unlisten(l)
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(conn)
		case s.isClosed():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept connections on %s: %w", l.Addr(), err)
		default: // the process is out of files, say: it passes
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.o.Logger.Error("accept a connection; trying again", "address", l.Addr().String(), "pause", pause, "error", err)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		}
	}
}

func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) unlisten(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// start serves the connection in a goroutine of its own, or closes it when there
// are too many.
func (s *Server) start(conn net.Conn) {
	a := newAcceptor(s, conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.connections) >= s.o.MaxAssociations+spareConnections {
		conn.Close()
		return
	}
	s.connections[a] = struct{}{}
	s.running.Go(func() {
		defer s.forget(a)
		a.run()
	})
}

func (s *Server) forget(a *acceptor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, a)
}

// enter takes one of MaxAssociations places, which leave gives back.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.associations >= s.o.MaxAssociations {
		return false
	}
	s.associations++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.associations--
}

// Shutdown closes the listeners, lets associations finish what they are doing,
// aborts each when it has been idle for a second, and all others when the context
// ends; then it returns the context's error. Otherwise it returns nil, when every
// association has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		l.Close()
	}
	for a := range s.connections {
		a.w.drain()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.running.Wait()
		s.cancel()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for a := range s.connections {
		a.w.interrupt()
	}
	s.mu.Unlock()
	select { // a callee that minds its context is soon done
	case <-done:
	case <-time.After(drainGrace):
	}
	return fmt.Errorf("shut the DICOM server down: %w", ctx.Err())
}
