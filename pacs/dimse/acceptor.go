package dimse

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"
)

// acceptor is one connection of a Server, from its first byte to its last. It
// is the state machine of PS3.8 9.2 for the acceptor: each method is a state, and
// events that have no place in it abort.
type acceptor struct {
	s        *Server
	w        *wire
	raw      net.Conn
	peer     Association
	contexts *contexts
	out      *outbox
	room     []byte // for command sets
	data     dataset
	end      Ended
}

func newAcceptor(s *Server, conn net.Conn) *acceptor {
	return &acceptor{s: s, raw: conn, peer: Association{ID: rand.Text()[:12], Remote: conn.RemoteAddr().String()}, w: &wire{
		conn: conn, quick: quickAck(conn), buf: make([]byte, 4096), timeout: s.o.PDUTimeout, rate: s.o.MinRate, maxPDU: s.o.MaxPDU, write: s.o.WriteTimeout,
	}}
}

// run is the connection's whole life.
func (a *acceptor) run() {
	defer func() { a.w.conn.Close() }()
	ctx, cancel := context.WithCancel(a.s.ctx)
	defer cancel()
	if err := a.open(ctx); err != nil {
		a.refuse(err)
		return
	}
	buffer := a.s.buffers.Get().(*[]byte)
	defer a.s.buffers.Put(buffer)
	a.enlarge(*buffer)
	if a.s.o.Opened != nil {
		a.s.o.Opened(a.peer)
	}
	began := time.Now()
	err := a.guarded(ctx)
	cancel()
	words := a.farewell(err)
	a.end.Lasted = time.Since(began)
	a.s.leave()
	if a.s.o.Closed != nil {
		a.s.o.Closed(a.peer, a.end)
	}
	if words {
		a.w.discard(a.artim())
	}
}

// artim is how long we wait for the peer to close (PS3.8 9.1.5). A peer that has
// not closed by then has had its chance.
func (a *acceptor) artim() time.Duration { return min(a.s.o.AssociationTimeout, 5*time.Second) }

// enlarge replaces the small buffer that served the association request.
func (a *acceptor) enlarge(buffer []byte) {
	w := a.w
	w.w = copy(buffer, w.buf[w.r:w.w])
	w.r, w.buf = 0, buffer
}

// open takes TLS and the association request (states 2 and 3) and sends the
// answer. Its time is AssociationTimeout in all: the ARTIM timer.
func (a *acceptor) open(ctx context.Context) error {
	a.w.until = time.Now().Add(a.s.o.AssociationTimeout)
	if a.s.o.TLS != nil {
		if err := a.handshake(ctx); err != nil {
			return err
		}
	}
	rq, err := a.request()
	if err != nil {
		return err
	}
	a.w.until = time.Time{}
	if err := a.s.o.judge(rq); err != nil {
		return err
	}
	if !a.s.enter() {
		return RejectLimit
	}
	if err := a.establish(ctx, rq); err != nil {
		a.s.leave()
		return err
	}
	return nil
}

func (a *acceptor) handshake(ctx context.Context) error {
	conn := tls.Server(a.raw, a.s.o.TLS)
	ctx, cancel := context.WithDeadline(ctx, a.w.until)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	a.w.mu.Lock()
	a.w.conn = conn
	a.w.mu.Unlock()
	if state := conn.ConnectionState(); len(state.VerifiedChains) > 0 {
		a.peer.TLSSubject = state.PeerCertificates[0].Subject.String()
	}
	return nil
}

// request reads the A-ASSOCIATE-RQ (state 2).
func (a *acceptor) request() (*associate, error) {
	kind, length, err := a.w.next(a.s.o.AssociationTimeout, false)
	if err != nil {
		return nil, err
	}
	if kind != pduAssociateRQ {
		if err := a.w.control(kind, length); !errors.Is(err, errReleaseRequested) {
			return nil, err
		}
		return nil, violated(abortUnexpected, "a release without an association")
	}
	body, err := a.w.body(length, maxAssociate)
	if err != nil {
		return nil, broken(err)
	}
	rq, err := parseAssociate(body)
	if err != nil {
		return nil, err
	}
	p := &a.peer
	p.Calling, p.Called = rq.calling(), rq.called()
	p.ImplementationClassUID, p.ImplementationVersion = rq.user.classUID, rq.user.version
	if id := rq.user.identity; id != nil && (id.kind == identityName || id.kind == identityPasscode) {
		p.Username, p.Passcode = id.primary, Secret(id.secondary)
	}
	return rq, nil
}

// establish asks Accept and sends the A-ASSOCIATE-AC (state 3).
func (a *acceptor) establish(ctx context.Context, rq *associate) error {
	if a.s.o.Accept != nil {
		err := a.s.o.Accept(ctx, a.peer)
		a.peer.Passcode = ""
		if err != nil {
			return &refusal{rejection(err), err}
		}
	}
	a.peer.Passcode = ""
	ac, agreed, err := a.s.o.negotiate(rq)
	if err != nil {
		return err
	}
	a.contexts = agreed
	a.out = newOutbox(a.w, 1024, rq.user.maxPDU, a.s.o.MaxPDU)
	return a.w.send(ac.append(nil, pduAssociateAC))
}

// refusal is a rejection with what Accept had to say about it.
type refusal struct {
	rejection Rejection
	cause     error
}

func (r *refusal) Error() string { return r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

// refuse ends a connection that did not become an association.
func (a *acceptor) refuse(err error) {
	a.peer.Passcode = ""
	if errors.Is(err, io.EOF) { // somebody looked whether the port is open
		a.s.o.Logger.Debug("connection closed without a request", "remote", a.peer.Remote)
		return
	}
	r, isRejection := errors.AsType[Rejection](err)
	if f, ok := errors.AsType[*refusal](err); ok {
		r, isRejection = f.rejection, true
	}
	words := true
	switch _, isViolation := errors.AsType[*violation](err); {
	case isRejection:
		result, source, reason := r.bytes()
		a.w.lastWords(appendShort(nil, pduAssociateRJ, result, source, reason))
	case isViolation:
		a.w.lastWords(appendShort(nil, pduAbort, 0, 0, 0)) // action AA-1 names the user as the source
	default:
		words = false
	}
	a.s.o.Logger.Warn("association refused", "peer", a.peer, "reason", err)
	if a.s.o.Refused != nil {
		a.s.o.Refused(a.peer, err)
	}
	if words {
		a.w.discard(a.artim())
	}
}

// guarded serves and turns a panic of the callee into an error: what one peer
// sends must not end the others' associations.
func (a *acceptor) guarded(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			a.s.o.Logger.Error("panic while serving an association", "peer", a.peer, "panic", r, "stack", string(debug.Stack()))
			err = &crash{r}
		}
	}()
	return a.serve(ctx)
}

type crash struct{ cause any }

func (c *crash) Error() string { return fmt.Sprintf("the callee panicked: %v", c.cause) }

// serve answers messages until the association ends (state 6).
func (a *acceptor) serve(ctx context.Context) error {
	for {
		a.w.startMessage()
		b, id, err := a.w.command(a.room, a.s.o.IdleTimeout, true)
		if err != nil {
			return err
		}
		a.room = b
		agreed := a.contexts.get(id)
		if agreed == nil {
			return violated(abortInvalidValue, "a command in presentation context %d, which is not agreed on", id)
		}
		c, err := parseCommand(b, agreed.class)
		if err != nil {
			return err
		}
		c.context = id
		if err := a.handle(ctx, &c, agreed); err != nil {
			return err
		}
	}
}

// farewell says how the association ended and sends the last PDU, if the state
// asks for one.
func (a *acceptor) farewell(err error) (words bool) {
	a.end.Err = err
	v, isViolation := errors.AsType[*violation](err)
	_, isAbort := errors.AsType[Abort](err)
	_, isCrash := errors.AsType[*crash](err)
	abort := func(source, reason byte) { a.w.lastWords(appendShort(nil, pduAbort, 0, source, reason)) }
	switch {
	case errors.Is(err, errReleaseRequested):
		a.end.How, a.end.Err = Released, nil
		a.w.lastWords(appendShort(nil, pduReleaseRP, 0, 0, 0))
		return true
	case isAbort:
		a.end.How = Aborted
		return false
	case isCrash:
		a.end.How = Crashed
		abort(0, 0)
	case isViolation:
		a.end.How = Violated
		abort(2, v.reason)
	case errors.Is(err, os.ErrDeadlineExceeded) && !a.w.isDraining():
		a.end.How = TimedOut
		abort(2, abortUnspecified)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errInterrupted):
		a.end.How = Stopped
		abort(0, 0)
	default:
		a.end.How = Lost
		return false
	}
	return true
}
