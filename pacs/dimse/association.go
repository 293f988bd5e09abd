package dimse

import (
	"log/slog"
	"time"
)

// Association says who is at the other end. It is a value and stays readable
// after the association has ended.
type Association struct {
	ID      string // ours, different for every association of every server
	Calling string // the peer's AE title, as it claims; blanks around it removed
	Called  string // the AE title it asked for
	Remote  string // address and port of the peer

	// TLSSubject is the distinguished name in the certificate that the peer has
	// proven, empty without TLS or without a client certificate.
	TLSSubject string

	// Username and Passcode come from the user identity item (PS3.7 D.3.3.7). They
	// are what the peer claims: Accept has to check them. The passcode is removed
	// once Accept has returned.
	Username string
	Passcode Secret

	ImplementationClassUID string // of the peer's software
	ImplementationVersion  string
}

// LogValue leaves out what is empty and never shows the passcode.
func (a Association) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("id", a.ID), slog.String("calling", a.Calling), slog.String("called", a.Called),
		slog.String("remote", a.Remote)}
	if a.TLSSubject != "" {
		attrs = append(attrs, slog.String("tls_subject", a.TLSSubject))
	}
	if a.Username != "" {
		attrs = append(attrs, slog.String("user", a.Username))
	}
	return slog.GroupValue(attrs...)
}

// Secret is text that formats as stars. Convert it to a string to compare it.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString keeps %#v from showing the text.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps JSON from showing the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// How an association ended.
const (
	Released = "released"  // in good order, by A-RELEASE
	Aborted  = "aborted"   // by the peer's A-ABORT
	TimedOut = "timed_out" // the peer was silent or too slow
	Lost     = "lost"      // the connection broke
	Violated = "violated"  // the peer broke the protocol, and we aborted
	Stopped  = "stopped"   // we aborted, since the server is shutting down
	Crashed  = "crashed"   // the callee panicked, and we aborted
)

// Ended is the account of an association.
type Ended struct {
	How     string        // Released, Aborted, …
	Err     error         // the cause, nil when released
	Objects int           // C-STOREs answered with success or a warning
	Failed  int           // C-STOREs answered with a failure
	Bytes   int64         // of datasets received
	Lasted  time.Duration // since the association was accepted
}
