package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"neurotriage"
	"neurotriage/audit"
	"neurotriage/config"
	"neurotriage/events"
	"neurotriage/pacs"
)

// receives reports whether images may be sent to the daemon at all.
func receives(c config.Receive) bool { return c.Listen != "" || c.STOW }

// roots are the folders that studies may lie in: those configured, and that of
// received images.
func roots(c config.Config) map[string]string {
	all := maps.Clone(c.Roots)
	if receives(c.PACS.Receive) {
		if all == nil {
			all = map[string]string{}
		}
		all[c.PACS.Receive.Root] = c.ReceivedDir()
	}
	return all
}

// receiving is the way in for images: the depot, and the C-STORE receiver in
// front of it. STOW-RS comes in over the HTTP listener.
type receiving struct {
	depot    *pacs.Depot
	receiver *pacs.Receiver
	metrics  *pacs.ReceiveMetrics

	mu      sync.Mutex // Health is asked while the daemon starts
	shown   *pacs.Depot
	address string // of the C-STORE listener
	watches []watched
}

// show makes known to Health what was opened.
func (r *receiving) show(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// parts tells how images come in.
func (r *receiving) parts(c config.Receive) []Part {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := []Part{receiverPart(c, r.shown, r.address)}
	for _, w := range r.watches {
		parts = append(parts, w.part())
	}
	return parts
}

// openDepot opens the folder of received images and begins to announce what is
// complete in it. It comes before the work loop, which reads from it, and makes
// the receiver, which does not listen yet.
func (d *Daemon) openDepot(context.Context) error {
	c := d.cfg.PACS.Receive
	card, _ := d.classifier.Model()
	devices := []string{neurotriage.DeviceUID(card.Digest)}
	d.library.options.OwnDevices = devices
	var err error
	if d.in.metrics, err = pacs.NewReceiveMetrics(d.deps.Registry); err != nil || !receives(c) {
		return err
	}
	d.in.depot, err = pacs.OpenDepot(pacs.DepotOptions{
		Dir: d.cfg.ReceivedDir(), Root: c.Root, Sync: c.Sync, Limits: limits(d.cfg.Limits), Devices: devices, Classes: classes(c.SOPClasses),
		MinFree: int64(c.MinFree), MaxBytes: int64(c.KeepBytes), Keep: c.Keep, Waiting: waitingOf(c),
		Office: d.office(),
		Logger: d.deps.Logger.With("component", "pacs"), Metrics: d.in.metrics,
	})
	if err != nil {
		return fmt.Errorf("pacs.receive.dir: %w", err)
	}
	d.stack.add("the folder of received images", func(context.Context) error { return d.in.depot.Close() })
	d.background("the depot", d.in.depot.Run)
	d.in.show(func() { d.in.shown = d.in.depot })
	d.in.receiver, err = d.newReceiver()
	return err
}

// classes tells which SOP classes are kept.
func classes(more []string) func(string) bool {
	all := slices.Concat(pacs.MRClasses(), more)
	return func(uid string) bool { return slices.Contains(all, uid) || slices.Contains(all, "*") }
}

func waitingOf(c config.Receive) map[string]pacs.Waiting {
	waiting := map[string]pacs.Waiting{pacs.OtherSources: {Quiet: c.Quiet}}
	for name, source := range c.Sources {
		w := pacs.Waiting{Quiet: source.Quiet, Series: source.Series}
		if w.Quiet == 0 {
			w.Quiet = c.Quiet
		}
		waiting[name] = w
	}
	return waiting
}

// newReceiver makes the receiver; it also knows the sources of STOW-RS.
func (d *Daemon) newReceiver() (*pacs.Receiver, error) {
	c := d.cfg.PACS.Receive
	secure, err := serverTLS(c.TLS)
	if err != nil {
		return nil, fmt.Errorf("pacs.receive.tls: %w", err)
	}
	options := pacs.ReceiverOptions{
		Depot: d.in.depot, AETitles: append([]string{c.AETitle}, c.AlsoCalled...), Strict: c.OnlySources, Allow: c.Allow,
		Classes: classes(c.SOPClasses), MaxAssociations: c.MaxAssociations, MaxObject: int64(d.cfg.Limits.FileBytes),
		IdleTimeout: c.IdleTimeout, TLS: secure, Committed: d.commitments.Report, Ended: d.transferred, Refused: d.turnedAway,
		Logger: d.deps.Logger.With("component", "pacs"), Metrics: d.in.metrics,
	}
	if slices.Contains(c.AlsoCalled, "*") {
		options.AETitles = nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		options.Senders = append(options.Senders, pacs.Sender{Source: name, AETitles: c.Sources[name].AETitles, Networks: c.Sources[name].Networks})
	}
	return pacs.NewReceiver(options)
}

// openReceiver listens, so that a taken port is an error of the start, and
// serves.
func (d *Daemon) openReceiver(ctx context.Context) error {
	c := d.cfg.PACS.Receive
	if c.Listen == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("pacs.receive.listen: %w; stop what listens there, choose another port (0 takes any free one), or leave it empty for no C-STORE", err)
	}
	d.addresses.DICOM = listener.Addr().String()
	d.in.show(func() { d.in.address = d.addresses.DICOM })
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := d.in.receiver.Serve(listener); err != nil {
			d.fail(fmt.Errorf("receiving by C-STORE: %w", err))
		}
	}()
	d.stack.add("the C-STORE receiver", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, farewell)
		defer cancel()
		// A sender whose object is cut off hears no success, and sends it again.
		if err := d.in.receiver.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		<-served
		return nil
	})
	return nil
}

// transferred and turnedAway write into the log book who sent what.
func (d *Daemon) transferred(t pacs.Transfer) {
	e := audit.Event{Kind: audit.Received, Peer: t.AETitle, Address: t.Remote, Failed: t.Failed > 0}
	if t.Failed > 0 {
		e.Detail = fmt.Sprintf("%d objects were not taken", t.Failed)
	}
	for _, uid := range slices.Sorted(maps.Keys(t.Studies)) {
		e.Studies = append(e.Studies, audit.Study{UID: uid, SOPClasses: t.Studies[uid]})
	}
	if len(e.Studies) > 0 || e.Failed {
		d.book.note(e)
	}
}

func (d *Daemon) turnedAway(aeTitle, remote string, reason error) {
	d.book.note(audit.Event{Kind: audit.Refused, Failed: true, Peer: aeTitle, Address: remote, Detail: "association refused: " + reason.Error()})
}

// receiverPart tells how images come in over the network.
func receiverPart(c config.Receive, depot *pacs.Depot, address string) Part {
	const name = "receiver"
	switch {
	case !receives(c):
		return Part{Name: name, OK: true, Detail: "off"}
	case depot == nil:
		return broken(name, errors.New("not opened yet"), "wait for the start")
	}
	if err := depot.Full(); err != nil {
		return broken(name, err, "free space or raise pacs.receive.keep_bytes; studies that are read go by themselves, those that wait need the work to go on")
	}
	held := depot.Holdings()
	where := "STOW-RS only"
	if address != "" {
		where = c.AETitle + " at " + address
	}
	return Part{Name: name, OK: true, Detail: fmt.Sprintf("%s, %d studies kept (%d MB), %d still coming in", where, held.Studies, held.Bytes>>20, held.Waiting)}
}

// office announces studies on NATS and asks the worklist after them.
type office struct {
	bus  *events.Bus
	keep time.Duration // that worklist entries live
	now  func() time.Time
}

func (d *Daemon) office() office { return office{d.bus, d.cfg.NATS.Retention.Findings, d.deps.Now} }

// Announce announces a study.
func (o office) Announce(ctx context.Context, job neurotriage.Job) (neurotriage.Job, error) {
	return o.bus.Submit(ctx, job)
}

// Settled says no while any announcement of the study is still open, since its
// images are read again then. An entry that has gone tells nothing, until it
// would have gone by age.
func (o office) Settled(ctx context.Context, job neurotriage.Job) (bool, error) {
	entry, found, err := o.bus.Entry(ctx, job.StudyInstanceUID)
	switch {
	case err != nil:
		return false, err
	case !found:
		return o.now().Sub(job.Asked) > o.keep, nil
	case entry.State != events.Read && entry.State != events.NotRead || entry.Finding == nil:
		return false, nil
	}
	answered := entry.Finding.Announcement
	return answered.EventID == job.EventID || answered.Asked.After(job.Asked), nil
}

// tally collects what the requests of STOW-RS bring.
type tally struct {
	mu   sync.Mutex
	open map[string]*pacs.Transfer
}

func (t *tally) begin(id string, transfer pacs.Transfer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[id] = &transfer
}

func (t *tally) note(id string, receipt pacs.Receipt, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.open[id]; one != nil {
		one.Note(receipt, failed)
	}
}

func (t *tally) end(id string) pacs.Transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.open[id]
	delete(t.open, id)
	if one == nil {
		return pacs.Transfer{}
	}
	return *one
}
