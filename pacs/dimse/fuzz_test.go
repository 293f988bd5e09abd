package dimse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"testing"
	"time"
)

// largest bounds the inputs of fuzzing.
const largest = 64 << 10

// FuzzAssociate: what parses can be written, and then reads the same.
func FuzzAssociate(f *testing.F) {
	for _, g := range associateGoldens {
		f.Add(unhex(f, g.text)[pduHeader:])
	}
	f.Add(request(nil)[pduHeader:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > largest {
			t.Skip("too large")
		}
		first, err := parseAssociate(b)
		if err != nil || first.context != applicationContext {
			return
		}
		first.version = 1
		first.user.answered = false
		if id := first.user.identity; id != nil && id.kind != identityPasscode {
			id.secondary = ""
		}
		second, err := parseAssociate(first.append(nil, pduAssociateRQ)[pduHeader:])
		if err != nil {
			t.Fatalf("what was written does not parse: %v", err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("read %+v, written and read %+v", first, second)
		}
	})
}

// FuzzCommand: parsing never fails but by a violation.
func FuzzCommand(f *testing.F) {
	for _, g := range commandGoldens {
		f.Add(unhex(f, g.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxCommand {
			t.Skip("too large")
		}
		c, err := parseCommand(b, mrImage)
		if err != nil {
			if _, ok := errors.AsType[*violation](err); !ok {
				t.Fatalf("error %v is no violation", err)
			}
			return
		}
		answer := c.answer(StatusUnrecognized)
		if _, err := parseCommand(answer.append(nil), mrImage); err != nil {
			t.Fatalf("the answer does not parse: %v", err)
		}
	})
}

// FuzzReport feeds the reader of storage commitment reports.
func FuzzReport(f *testing.F) {
	for _, explicit := range []bool{false, true} {
		for _, undefined := range []bool{false, true} {
			f.Add(appendReport(explicit, undefined, report), explicit)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, explicit bool) {
		if len(b) > largest {
			t.Skip("too large")
		}
		c, err := parseCommitment(b, explicit)
		if err == nil && !ValidUID(c.TransactionUID) {
			t.Fatalf("transaction UID %q passed", c.TransactionUID)
		}
	})
}

// FuzzSession lets a server hear any bytes: it ends every connection, keeps only
// whole objects with good names, and says only what is a PDU.
func FuzzSession(f *testing.F) {
	f.Add(session())
	f.Add(request(nil))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	var fault error // of the input at hand
	s, err := NewServer(ServerOptions{
		SOPClasses: func(string) bool { return true },
		Store: func(_ context.Context, r StoreRequest, data io.Reader) (Status, error) {
			if !ValidUID(r.SOPInstanceUID) || r.TransferSyntaxUID == "" || r.SOPClassUID == "" {
				fault = fmt.Errorf("request %+v", r)
			}
			n, err := io.Copy(io.Discard, data)
			if n > largest {
				fault = fmt.Errorf("%d bytes of a dataset", n)
			}
			return StatusSuccess, err
		},
		Committed: func(context.Context, Association, Commitment) error { return nil },
		Closed: func(_ Association, end Ended) {
			if end.How == Crashed {
				fault = end.Err
			}
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > largest {
			t.Skip("too large")
		}
		script := &scripted{in: bytes.NewReader(b)}
		newAcceptor(s, script).run()
		if fault != nil || !script.closed || s.associations != 0 {
			t.Fatalf("fault %v, closed %v, %d places taken", fault, script.closed, s.associations)
		}
		for script.out.Len() > 0 {
			if kind, _, err := readPDU(&script.out); err != nil || kind < pduAssociateAC || kind > pduAbort {
				t.Fatalf("the server says PDU %02XH, %v", kind, err)
			}
		}
	})
}

// scripted is a connection whose peer has said everything already.
type scripted struct {
	in     *bytes.Reader
	out    bytes.Buffer
	closed bool
}

func (s *scripted) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *scripted) Close() error                     { s.closed = true; return nil }
func (s *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
