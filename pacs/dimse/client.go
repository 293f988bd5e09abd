package dimse

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// ClientOptions say where to connect, as whom, and for what. A zero time means
// the default named beside it.
type ClientOptions struct {
	Address string // host:port
	Calling string // our AE title
	Called  string // theirs

	// Propose becomes one presentation context each, 128 at most.
	Propose []Proposal

	TLS *tls.Config // nil: plain TCP; see [SecureTLS]

	Username string // user identity to claim; empty: none
	Passcode Secret

	// DialContext opens the connection; nil: net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	AssociationTimeout time.Duration // for connection, TLS and association together, 30 s
	ResponseTimeout    time.Duration // for the answer to a message, 2 min
	WriteTimeout       time.Duration // for each write, 30 s
	MaxPDU             int           // bytes of a P-DATA-TF PDU, the most we send and take, 131072; the peer's limit counts too
}

// Proposal asks for a SOP class in any one of the transfer syntaxes. Propose one
// for each transfer syntax when objects cannot be converted: the peer chooses
// one transfer syntax of each proposal.
type Proposal struct {
	SOPClass         string
	TransferSyntaxes []string // empty: explicit and implicit VR little endian
}

// Object is what Store sends.
type Object struct {
	SOPClassUID       string
	SOPInstanceUID    string
	TransferSyntaxUID string
	Priority          Priority
	Data              io.Reader // the dataset, without file header
}

// ErrNotAccepted is the error of an operation whose SOP class (and transfer
// syntax) the peer has not accepted for this association.
var ErrNotAccepted = errors.New("no presentation context accepted")

// ErrReleased is the error of an operation on an association that has ended in
// good order.
var ErrReleased = errors.New("association is released")

// Conn is an association that we have requested. Its methods are for one
// goroutine at a time, save Abort. After an error that is neither a *StatusError
// nor ErrNotAccepted the association is gone.
type Conn struct{}

// Dial connects and requests an association. A rejection is a [Rejection], an
// abort an [Abort], both wrapped.
func Dial(ctx context.Context, o ClientOptions) (*Conn, error) { return nil, errors.ErrUnsupported }

// Peer says who answered.
func (c *Conn) Peer() Association { return Association{} }

// Accepted lists the transfer syntaxes that the peer took for the SOP class, in
// the order of the proposals.
func (c *Conn) Accepted(sopClass string) []string { return nil }

// Echo sends C-ECHO and waits for the answer.
func (c *Conn) Echo(ctx context.Context) error { return errors.ErrUnsupported }

// Store sends one object and waits for the answer. nil means that the peer has
// taken it, a warning included; a failure is a *StatusError. An error of
// object.Data ends the association, since half an object cannot be called back.
func (c *Conn) Store(ctx context.Context, object Object) error { return errors.ErrUnsupported }

// Commit asks the peer to take responsibility for objects (N-ACTION, PS3.4
// J.3.2). nil means that it will report; the report comes by Committed on this
// association or by an association of the peer's to a Server.
func (c *Conn) Commit(ctx context.Context, transactionUID string, objects []SOPRef) error {
	return errors.ErrUnsupported
}

// Committed waits for the next report on this association.
func (c *Conn) Committed(ctx context.Context) (Commitment, error) {
	return Commitment{}, errors.ErrUnsupported
}

// Release ends the association in good order and closes the connection.
func (c *Conn) Release(ctx context.Context) error { return errors.ErrUnsupported }

// Abort ends the association at once. It may be called at any time, more than
// once and after Release, and so fits a defer.
func (c *Conn) Abort() error { return nil }
