package dicomweb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"time"

	"neurotriage"
)

// Depot keeps what comes in.
type Depot interface {
	// Store reads one Part 10 file to its end and returns once it is kept. A
	// *Rejection says why it is not; any other error is a processing failure.
	Store(ctx context.Context, from Incoming, object io.Reader) (Kept, error)
}

// Incoming says where an object comes from.
type Incoming struct {
	Transfer string // another one for each request
	Remote   string // address and port of the sender
	Study    string // that the URL names; the object has to belong to it. Empty: any
	User     string // of the login, empty: none
}

// Kept names an object that is kept.
type Kept struct {
	SOPClassUID, SOPInstanceUID, StudyInstanceUID string
	Warning                                       uint16 // (0008,1196), 0: none
}

// Rejection is the error for an object that is not kept.
type Rejection struct {
	SOPClassUID, SOPInstanceUID string // as far as they could be read
	Reason                      uint16 // (0008,1197)
	Err                         error
}

func (r *Rejection) Error() string { return r.Err.Error() }

// Unwrap gives the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// Reasons of a rejection (PS3.18 I.2.2, PS3.4 B.2.3).
const (
	ReasonProcessing    = 0x0110
	ReasonClass         = 0x0122 // SOP class not supported
	ReasonNotAuthorized = 0x0124
	ReasonResources     = 0xA700 // no room
	ReasonMismatch      = 0xA900 // of another study than the URL says, or of another class
	ReasonUnreadable    = 0xC000
)

// ReceiverOptions say what a receiver does with what it gets. Depot is required.
type ReceiverOptions struct {
	Depot   Depot
	Objects int                            // in one request; default 100,000
	Still   time.Duration                  // without a byte coming in, after which a transfer ends; default 1 min
	Begun   func(Incoming)                 // told before the first object; nil: nobody
	Ended   func(from Incoming, err error) // told after the last one; nil: nobody
	Logger  *slog.Logger
}

// Receiver takes what is stored by STOW-RS (PS3.18 10.5). It is to be mounted
// for POST at {service}/studies and at {service}/studies/{study}.
type Receiver struct{ opts ReceiverOptions }

// NewReceiver makes a receiver.
func NewReceiver(opts ReceiverOptions) *Receiver {
	if opts.Objects <= 0 {
		opts.Objects = 100_000
	}
	if opts.Still <= 0 {
		opts.Still = stillTime
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Receiver{opts}
}

// ServeHTTP answers a store request after its last object.
func (s *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answerType, ok := acceptable(r.Header.Values("Accept"))
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	study := r.PathValue("study")
	switch {
	case !ok:
		http.Error(w, "answers are "+typeJSON+" or "+typeXML, http.StatusNotAcceptable)
		return
	case err != nil || kind != typeRelated || params["boundary"] == "" || params["type"] != "" && params["type"] != typeDICOM:
		http.Error(w, "objects are taken as "+typeRelated+`; type="`+typeDICOM+`"`, http.StatusUnsupportedMediaType)
		return
	case study != "" && neurotriage.CheckUID(study) != nil:
		http.Error(w, "the url names no study: "+neurotriage.CheckUID(study).Error(), http.StatusBadRequest)
		return
	}
	user, _, _ := r.BasicAuth()
	from := Incoming{Transfer: rand.Text(), Remote: r.RemoteAddr, Study: study, User: user}
	body := &patient{r.Body, http.NewResponseController(w), s.opts.Still}
	if s.opts.Begun != nil {
		s.opts.Begun(from)
	}
	outcome, err := s.receive(r.Context(), from, multipart.NewReader(body, params["boundary"]))
	if s.opts.Ended != nil {
		s.opts.Ended(from, err)
	}
	if err != nil {
		s.opts.Logger.Warn("a transfer by STOW-RS broke off", "remote", from.Remote, "kept", len(outcome.kept), "err", err)
		http.Error(w, "the transfer broke off, or is no multipart body; what was kept until then stays", http.StatusBadRequest)
		return
	}
	outcome.write(w, answerType)
}

// receive stores one object after the other. One that is rejected does not keep
// the next from being stored.
func (s *Receiver) receive(ctx context.Context, from Incoming, parts *multipart.Reader) (outcome, error) {
	var o outcome
	for {
		part, err := parts.NextRawPart()
		switch {
		case err == io.EOF: //nolint:errorlint // the end; one inside another error is a body cut off
			return o, nil
		case err != nil:
			return o, err
		case o.count() == s.opts.Objects:
			return o, fmt.Errorf("more than %d objects in one request", s.opts.Objects)
		}
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind != "" && kind != typeDICOM {
			o.failed = append(o.failed, Rejection{Reason: ReasonUnreadable, Err: fmt.Errorf("a part of type %q", kind)})
			continue
		}
		kept, err := s.opts.Depot.Store(ctx, from, part)
		if err == nil {
			o.kept = append(o.kept, kept)
			continue
		}
		if _, broke := io.Copy(io.Discard, part); broke != nil {
			return o, errors.Join(broke, err)
		}
		rejection := &Rejection{Reason: ReasonProcessing, Err: err}
		errors.As(err, &rejection)
		o.failed = append(o.failed, *rejection)
		s.opts.Logger.Warn("an object is not kept", "remote", from.Remote, "sop_instance_uid", rejection.SOPInstanceUID, "err", err)
	}
}

// patient gives a sender time as long as bytes come.
type patient struct {
	io.ReadCloser
	control *http.ResponseController
	still   time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	deadline := time.Now().Add(p.still)
	_ = p.control.SetReadDeadline(deadline) // recorders of tests have none
	_ = p.control.SetWriteDeadline(deadline.Add(p.still))
	return p.ReadCloser.Read(b)
}
