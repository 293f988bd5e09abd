package dimse

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
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

// Server is a service class provider. It is safe for concurrent use.
type Server struct{ o ServerOptions }

// NewServer checks the options and makes a server that serves nothing yet.
func NewServer(o ServerOptions) (*Server, error) { return &Server{o: o}, nil }

// Serve answers associations until Shutdown and then returns ErrServerClosed. It
// closes the listener. Several listeners can be served at once.
func (s *Server) Serve(l net.Listener) error { return errors.ErrUnsupported }

// Shutdown closes the listeners, lets associations finish what they are doing,
// aborts those that are idle, and all others when the context ends. It returns
// when every association has ended.
func (s *Server) Shutdown(ctx context.Context) error { return errors.ErrUnsupported }
