package dimse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// Dial connects and requests an association. A rejection is a [Rejection], an
// abort an [Abort], both wrapped.
func Dial(ctx context.Context, o ClientOptions) (*Conn, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("request an association with %s: %w", o.Address, err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.AssociationTimeout)
	defer cancel()
	raw, err := o.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", o.Address, err)
	}
	c, err := o.open(ctx, raw)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("request an association with %s as %s at %s: %w", o.Called, o.Calling, o.Address, err)
	}
	return c, nil
}

// complete fills in defaults and says what cannot be.
func (o *ClientOptions) complete() error {
	o.AssociationTimeout = cmp.Or(o.AssociationTimeout, 30*time.Second)
	o.ResponseTimeout = cmp.Or(o.ResponseTimeout, 2*time.Minute)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.MaxPDU = cmp.Or(o.MaxPDU, defaultMaxPDU)
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	for _, title := range []string{o.Calling, o.Called} {
		if !validTitle(title) {
			return fmt.Errorf("AE title %q: 1 to 16 printable ASCII characters without backslash are allowed", title)
		}
	}
	switch {
	case len(o.Propose) == 0 || len(o.Propose) > maxContexts:
		return fmt.Errorf("%d proposals: 1 to %d are allowed", len(o.Propose), maxContexts)
	case o.MaxPDU < 4096 || o.MaxPDU > 16<<20:
		return fmt.Errorf("largest PDU of %d bytes: 4096 to %d are allowed", o.MaxPDU, 16<<20)
	case min(o.AssociationTimeout, o.ResponseTimeout, o.WriteTimeout) < 0:
		return errors.New("times have to be positive")
	case max(len(o.Username), len(o.Passcode)) > 1<<15:
		return errors.New("user name or passcode is too long")
	}
	for _, p := range o.Propose {
		for _, uid := range append([]string{p.SOPClass}, p.TransferSyntaxes...) {
			if !ValidUID(uid) {
				return fmt.Errorf("proposal of %q, which is not a UID", uid)
			}
		}
	}
	return nil
}

// request is our A-ASSOCIATE-RQ.
func (o *ClientOptions) request() *associate {
	rq := &associate{user: userItem{maxPDU: uint32(o.MaxPDU), classUID: ImplementationClassUID, version: ImplementationVersion}}
	rq.setTitles(o.Called, o.Calling)
	for i, p := range o.Propose {
		syntaxes := p.TransferSyntaxes
		if len(syntaxes) == 0 {
			syntaxes = plainSyntaxes()
		}
		rq.contexts = append(rq.contexts, contextItem{id: byte(2*i + 1), abstract: p.SOPClass, syntaxes: syntaxes})
	}
	switch {
	case o.Passcode != "":
		rq.user.identity = &identityItem{kind: identityPasscode, primary: o.Username, secondary: string(o.Passcode)}
	case o.Username != "":
		rq.user.identity = &identityItem{kind: identityName, primary: o.Username}
	}
	return rq
}

// open makes the connection an association (states 4 to 6).
func (o *ClientOptions) open(ctx context.Context, raw net.Conn) (*Conn, error) {
	conn := raw
	if o.TLS != nil {
		secure := tls.Client(raw, o.serverName())
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		conn = secure
	}
	c := &Conn{o: o, w: &wire{
		conn: conn, quick: quickAck(raw), buf: make([]byte, 16<<10), timeout: o.ResponseTimeout, maxPDU: o.MaxPDU, write: o.WriteTimeout,
	}}
	stop := context.AfterFunc(ctx, c.w.interrupt)
	defer stop()
	rq := o.request()
	if err := c.w.send(rq.append(nil, pduAssociateRQ)); err != nil {
		return nil, c.cause(ctx, err)
	}
	ac, err := c.response()
	if err != nil {
		return nil, c.cause(ctx, err)
	}
	if err := c.agree(rq, ac); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return c, nil
}

// serverName names the server that its certificate has to be for.
func (o *ClientOptions) serverName() *tls.Config {
	if o.TLS.ServerName != "" || o.TLS.InsecureSkipVerify {
		return o.TLS
	}
	config := o.TLS.Clone()
	config.ServerName, _, _ = net.SplitHostPort(o.Address)
	return config
}

// response reads the answer to our request (state 5).
func (c *Conn) response() (*associate, error) {
	kind, length, err := c.w.next(forever, false)
	if err != nil {
		return nil, broken(err)
	}
	switch kind {
	case pduAssociateAC:
		body, err := c.w.body(length, maxAssociate)
		if err != nil {
			return nil, broken(err)
		}
		return parseAssociate(body)
	case pduAssociateRJ:
		body, err := c.w.body(length, 4)
		if err != nil || len(body) != 4 {
			return nil, cmp.Or(broken(err), violated(abortInvalidValue, "a rejection of %d bytes", len(body)))
		}
		return nil, Rejection(body[1])<<16 | Rejection(body[2])<<8 | Rejection(body[3])
	}
	return nil, c.w.control(kind, length)
}

// agree reads what the peer accepted out of its answer.
func (c *Conn) agree(rq, ac *associate) error {
	if ac.user.maxPDU > 0 && ac.user.maxPDU < leastPDU {
		return violated(abortInvalidValue, "a maximum PDU length of %d bytes", ac.user.maxPDU)
	}
	for _, answer := range ac.contexts {
		if answer.result != contextAccepted || int(answer.id/2) >= len(rq.contexts) {
			continue
		}
		proposed := rq.contexts[answer.id/2]
		if len(answer.syntaxes) != 1 || !slices.Contains(proposed.syntaxes, answer.syntaxes[0]) {
			return violated(abortInvalidValue, "%s accepted in a transfer syntax that was not proposed", proposed.abstract)
		}
		c.contexts[answer.id/2] = &accepted{proposed.abstract, answer.syntaxes[0]}
	}
	c.out = newOutbox(c.w, sendBuffer, ac.user.maxPDU, c.o.MaxPDU)
	c.peer = Association{Calling: c.o.Calling, Called: c.o.Called, Remote: c.w.conn.RemoteAddr().String(),
		ImplementationClassUID: ac.user.classUID, ImplementationVersion: ac.user.version}
	if secure, ok := c.w.conn.(*tls.Conn); ok {
		c.peer.TLSSubject = secure.ConnectionState().PeerCertificates[0].Subject.String()
	}
	return nil
}

// sendBuffer is what is written at once: a usual object with its command.
const sendBuffer = 256 << 10
