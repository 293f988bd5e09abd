package dimse

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
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
type Conn struct {
	o        *ClientOptions
	w        *wire
	out      *outbox
	peer     Association
	contexts contexts
	room     []byte // for command sets
	last     uint16 // message id
	reports  []Commitment
	err      error // why the association is gone
	once     sync.Once
}

// Peer says who answered.
func (c *Conn) Peer() Association { return c.peer }

// Accepted lists the transfer syntaxes that the peer took for the SOP class, in
// the order of the proposals.
func (c *Conn) Accepted(sopClass string) []string {
	var syntaxes []string
	for _, a := range c.contexts {
		if a != nil && a.class == sopClass && !slices.Contains(syntaxes, a.syntax) {
			syntaxes = append(syntaxes, a.syntax)
		}
	}
	return syntaxes
}

// context finds the presentation context for an operation; an empty syntax
// stands for any.
func (c *Conn) context(sopClass, syntax string) (id byte, agreed *accepted, err error) {
	for i, a := range c.contexts {
		if a != nil && a.class == sopClass && (syntax == "" || a.syntax == syntax) {
			return byte(2*i + 1), a, nil
		}
	}
	if syntax != "" {
		return 0, nil, fmt.Errorf("%w for SOP class %s in transfer syntax %s", ErrNotAccepted, sopClass, syntax)
	}
	return 0, nil, fmt.Errorf("%w for SOP class %s", ErrNotAccepted, sopClass)
}

// Echo sends C-ECHO and waits for the answer.
func (c *Conn) Echo(ctx context.Context) error {
	id, _, err := c.context(Verification, "")
	if err != nil {
		return fmt.Errorf("C-ECHO: %w", err)
	}
	rq := command{context: id, field: fieldEcho, class: Verification, datasetType: noDataset}
	return c.operate(ctx, "C-ECHO", &rq, nil)
}

// Store sends one object and waits for the answer. nil means that the peer has
// taken it, a warning included; a failure is a *StatusError. An error of
// object.Data ends the association, since half an object cannot be called back.
func (c *Conn) Store(ctx context.Context, object Object) error {
	id, _, err := c.context(object.SOPClassUID, object.TransferSyntaxUID)
	if err == nil && !ValidUID(object.SOPInstanceUID) {
		return fmt.Errorf("C-STORE: SOP instance UID %q is none", object.SOPInstanceUID)
	}
	if err != nil {
		return fmt.Errorf("C-STORE: %w", err)
	}
	rq := command{context: id, field: fieldStore, class: object.SOPClassUID, instance: object.SOPInstanceUID,
		priority: uint16(object.Priority), datasetType: withDataset}
	return c.operate(ctx, "C-STORE", &rq, object.Data)
}

// Commit asks the peer to take responsibility for objects (N-ACTION, PS3.4
// J.3.2). nil means that it will report; the report comes by Committed on this
// association or by an association of the peer's to a Server.
func (c *Conn) Commit(ctx context.Context, transactionUID string, objects []SOPRef) error {
	id, agreed, err := c.context(StorageCommitment, "")
	if err != nil {
		return fmt.Errorf("storage commitment: %w", err)
	}
	if !ValidUID(transactionUID) || len(objects) == 0 {
		return fmt.Errorf("storage commitment of %d objects as transaction %q: a UID and an object are needed", len(objects), transactionUID)
	}
	data := appendRequest(nil, agreed.syntax == ExplicitVRLittleEndian, transactionUID, objects)
	rq := command{context: id, field: fieldAction, class: StorageCommitment, instance: commitmentInstance, kind: actionRequest, datasetType: withDataset}
	return c.operate(ctx, "storage commitment", &rq, bytes.NewReader(data))
}

// Committed waits for the next report on this association. One that came during
// another operation is returned at once.
func (c *Conn) Committed(ctx context.Context) (Commitment, error) {
	if _, _, err := c.context(StorageCommitment, ""); err != nil {
		return Commitment{}, fmt.Errorf("wait for a storage commitment report: %w", err)
	}
	err := c.during(ctx, func() error {
		for len(c.reports) == 0 {
			if _, err := c.message(true); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Commitment{}, fmt.Errorf("wait for a storage commitment report: %w", err)
	}
	report := c.reports[0]
	c.reports = c.reports[1:]
	return report, nil
}

// Abort ends the association at once. It may be called at any time, more than
// once and after Release, and so fits a defer.
func (c *Conn) Abort() error {
	c.once.Do(func() {
		c.w.interrupt()
		c.w.lastWords(appendShort(nil, pduAbort, 0, 0, 0))
		c.w.conn.Close()
	})
	return nil
}
