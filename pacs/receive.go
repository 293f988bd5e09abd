package pacs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"neurotriage/dicomio"
	"neurotriage/pacs/dimse"
)

// Sender is a configured source as the network shows it. An association belongs
// to the first sender whose titles and networks both match.
type Sender struct {
	Source   string
	AETitles []string       // calling; empty: any
	Networks []netip.Prefix // empty: any
}

// Transfer is what one association, or one request of STOW-RS, brought.
type Transfer struct {
	Source, AETitle, Remote string
	Studies                 map[string]map[string]int // study UID to SOP class UID to objects
	Failed                  int                       // objects that were not taken
	End                     string                    // a word of package dimse, such as released
}

// ReceiverOptions say whom a receiver serves. Zero limits and times are those of
// package dimse.
type ReceiverOptions struct {
	Depot    *Depot
	AETitles []string // that senders may call us; empty: any
	Senders  []Sender
	Strict   bool           // nobody but Senders
	Allow    []netip.Prefix // networks; empty: any
	Classes  func(uid string) bool

	MaxAssociations int
	MaxObject       int64
	IdleTimeout     time.Duration
	TLS             *tls.Config

	// Committed takes results of storage commitment; see dimse.ServerOptions.
	Committed func(context.Context, dimse.Association, dimse.Commitment) error
	// Ended and Refused are told of what came and of whom was turned away; nil:
	// nobody is.
	Ended   func(Transfer)
	Refused func(aeTitle, remote string, reason error)

	Logger  *slog.Logger    // default: silent
	Metrics *ReceiveMetrics // default: none
}

// Receiver is the C-STORE SCP in front of a depot.
type Receiver struct {
	opts   ReceiverOptions
	server *dimse.Server

	mu   sync.Mutex
	open map[string]*Transfer // by association
}

// NewReceiver makes a receiver that does not listen yet.
func NewReceiver(opts ReceiverOptions) (*Receiver, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Metrics == nil {
		opts.Metrics = newReceiveMetrics()
	}
	r := &Receiver{opts: opts, open: map[string]*Transfer{}}
	if opts.TLS != nil {
		opts.TLS = dimse.SecureTLS(opts.TLS)
	}
	var err error
	r.server, err = dimse.NewServer(dimse.ServerOptions{
		AETitles: opts.AETitles, Accept: r.accept, SOPClasses: func(uid string) bool { return opts.Classes(uid) || slices.Contains(ReportClasses(), uid) },
		TransferSyntaxes: Syntaxes(), Store: r.store, Committed: opts.Committed,
		Opened: r.opened, Closed: r.closed, Refused: r.refused,
		MaxAssociations: opts.MaxAssociations, MaxObject: opts.MaxObject, IdleTimeout: opts.IdleTimeout, TLS: opts.TLS, Logger: opts.Logger,
	})
	return r, err
}

// Serve answers senders until Shutdown. It closes the listener.
func (r *Receiver) Serve(l net.Listener) error {
	if err := r.server.Serve(l); !errors.Is(err, dimse.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown lets associations finish their object, and aborts them when ctx ends.
func (r *Receiver) Shutdown(ctx context.Context) error { return r.server.Shutdown(ctx) }

// MRClasses are the storage SOP classes of MR (PS3.4 B.5).
func MRClasses() []string {
	const mr = "1.2.840.10008.5.1.4.1.1.4"
	return []string{mr, mr + ".1", mr + ".2", mr + ".3", mr + ".4"}
}

// ReportClasses are those that our own reports are of. They are taken from
// archives that forward all they get, or their whole transfer would fail; what is
// not ours among them is turned away one by one.
func ReportClasses() []string {
	return []string{
		"1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.33", // comprehensive 3D SR, comprehensive SR
		"1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4", // secondary captures
		"1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.5.1.4.1.1.11.1", // key objects, presentation states
	}
}

// Syntaxes are the transfer syntaxes that are taken, the most wanted first: what
// reading can read; first what costs nobody anything, last what loses something.
func Syntaxes() []string {
	rank := func(s dicomio.Support) int {
		switch {
		case s.UID == dimse.ExplicitVRLittleEndian:
			return 0
		case s.UID == dimse.ImplicitVRLittleEndian:
			return 1
		case slices.Contains([]string{".50", ".51", ".81", ".91", ".203"}, s.UID[strings.LastIndexByte(s.UID, '.'):]):
			return 3
		}
		return 2
	}
	all := slices.DeleteFunc(dicomio.TransferSyntaxes(), func(s dicomio.Support) bool { return !s.Read })
	slices.SortStableFunc(all, func(a, b dicomio.Support) int { return rank(a) - rank(b) })
	uids := make([]string, len(all))
	for i, s := range all {
		uids[i] = s.UID
	}
	return uids
}

// Source tells the source of a sender; strangers are told apart only when nobody
// else may send. The title is empty for what does not come by DIMSE: there only
// networks count.
func (r *Receiver) Source(aeTitle, remote string) (source string, known bool) {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return OtherSources, !r.opts.Strict
	}
	from := address.Addr().Unmap()
	for _, s := range r.opts.Senders {
		titled := len(s.AETitles) == 0 || slices.Contains(s.AETitles, aeTitle) || aeTitle == "" && len(s.Networks) > 0
		if titled && (len(s.Networks) == 0 || within(s.Networks, from)) {
			return s.Source, true
		}
	}
	return OtherSources, !r.opts.Strict
}

func within(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// errStranger and errNetwork are why Accept turns somebody away, beside the
// depot's own reasons.
var (
	errStranger = fmt.Errorf("no entry of pacs.receive.sources matches: %w", dimse.RejectCalling)
	errNetwork  = fmt.Errorf("the network is not on pacs.receive.allow: %w", dimse.RejectNotPermitted)
)

func (r *Receiver) accept(_ context.Context, peer dimse.Association) error {
	address, err := netip.ParseAddrPort(peer.Remote)
	if len(r.opts.Allow) > 0 && (err != nil || !within(r.opts.Allow, address.Addr().Unmap())) {
		return errNetwork
	}
	if _, known := r.Source(peer.Calling, peer.Remote); !known {
		return errStranger
	}
	if err := r.opts.Depot.Full(); err != nil {
		return fmt.Errorf("%w: %w", err, dimse.RejectCongestion)
	}
	return nil
}

func (r *Receiver) opened(peer dimse.Association) {
	source, _ := r.Source(peer.Calling, peer.Remote)
	r.mu.Lock()
	r.open[peer.ID] = &Transfer{Source: source, AETitle: peer.Calling, Remote: peer.Remote}
	r.mu.Unlock()
	r.opts.Depot.Opened(source)
	r.opts.Metrics.open.Inc()
}

func (r *Receiver) closed(peer dimse.Association, end dimse.Ended) {
	r.mu.Lock()
	t := r.open[peer.ID]
	delete(r.open, peer.ID)
	r.mu.Unlock()
	if t == nil {
		return
	}
	t.End, t.Failed = end.How, max(t.Failed, end.Failed) // the server fails some by itself
	r.opts.Metrics.open.Dec()
	r.opts.Metrics.associations.WithLabelValues(t.Source, end.How).Inc()
	// A sender that broke off comes again; only one that has said its last word
	// completes a study.
	if end.How == dimse.Released {
		r.opts.Depot.Closed(t.Source)
	} else {
		r.opts.Depot.BrokeOff(t.Source)
	}
	if end.Objects+end.Failed > 0 || end.How != dimse.Released {
		r.opts.Logger.Info("association ended", "peer", peer, "source", t.Source, "how", end.How, "objects", end.Objects,
			"failed", end.Failed, "bytes", end.Bytes, "took", end.Lasted.Round(time.Millisecond), "err", end.Err)
	}
	if r.opts.Ended != nil && end.Objects+end.Failed > 0 {
		r.opts.Ended(*t)
	}
}

func (r *Receiver) refused(peer dimse.Association, reason error) {
	r.opts.Metrics.refused.Inc()
	r.opts.Logger.Warn("association refused", "peer", peer, "err", reason)
	if r.opts.Refused != nil {
		r.opts.Refused(peer.Calling, peer.Remote, reason)
	}
}

// store keeps one object and says how it went in the words of PS3.4 B.2.3.
func (r *Receiver) store(ctx context.Context, rq dimse.StoreRequest, data io.Reader) (dimse.Status, error) {
	r.mu.Lock()
	t := r.open[rq.Association.ID]
	r.mu.Unlock()
	if t == nil {
		return dimse.StatusNotAuthorized, errors.New("the association is not open")
	}
	receipt, err := r.opts.Depot.Store(ctx, Incoming{
		Source: t.Source, SOPClassUID: rq.SOPClassUID, SOPInstanceUID: rq.SOPInstanceUID, TransferSyntaxUID: rq.TransferSyntaxUID,
	}, data)
	t.Note(receipt, err != nil) // one association stores one object at a time
	if err != nil {
		return StatusOf(err), err
	}
	return dimse.StatusSuccess, nil
}

// Note counts an object that came. Reports of ours that come back are passed
// over.
func (t *Transfer) Note(receipt Receipt, failed bool) {
	switch {
	case failed:
		t.Failed++
	case receipt.Outcome != Own:
		if t.Studies == nil {
			t.Studies = map[string]map[string]int{}
		}
		if t.Studies[receipt.StudyInstanceUID] == nil {
			t.Studies[receipt.StudyInstanceUID] = map[string]int{}
		}
		t.Studies[receipt.StudyInstanceUID][receipt.SOPClassUID]++
	}
}

// StatusOf is the status of C-STORE, and the failure reason of STOW-RS, that an
// error of Depot.Store stands for (PS3.4 B.2.3, PS3.18 I.2.2).
func StatusOf(err error) dimse.Status {
	switch {
	case errors.Is(err, ErrFull), errors.Is(err, ErrTooLarge), errors.Is(err, dimse.ErrObjectTooLarge):
		return dimse.StatusOutOfResources
	case errors.Is(err, ErrClass):
		return dimse.StatusClassNotSupported
	case errors.Is(err, ErrMismatch):
		return dimse.StatusDataSetMismatch
	case errors.Is(err, ErrUnreadable):
		return dimse.StatusCannotUnderstand
	}
	return dimse.StatusProcessingFailure
}
