package pacs

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"syscall"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
)

// OtherSources is the source of every sender that no configured one matches.
const OtherSources = "others"

// Announcer tells the daemons of a study, and what became of it.
type Announcer interface {
	// Announce gives the job as announced, with its event id and time.
	Announce(ctx context.Context, job neurotriage.Job) (neurotriage.Job, error)
	// Settled reports whether the study has a finding for this announcement or a
	// later one, so that its images are no longer needed.
	Settled(ctx context.Context, job neurotriage.Job) (bool, error)
}

// Waiting says when the studies of a source are complete.
type Waiting struct {
	// Quiet is how long nothing must have come.
	Quiet time.Duration
	// Series are patterns (path.Match, without regard to case) of series
	// descriptions. When each has matched a series of the study, the end of the
	// source's last association completes it at once. None: only Quiet does.
	Series []string
}

// DepotOptions say where a depot is and what it keeps. All times and sizes have
// to be set.
type DepotOptions struct {
	Dir     string
	Root    string // what announcements call Dir
	Sync    bool   // Store returns after the object is safe from a power failure
	Limits  dicomio.Limits
	Devices []string              // device UIDs of our own
	Classes func(uid string) bool // SOP classes that are kept

	MinFree  int64 // bytes of the disk below which nothing is taken
	MaxBytes int64 // of all studies; what is read goes first
	Keep     time.Duration

	Waiting map[string]Waiting // by source; others: that of OtherSources
	Office  Announcer

	Logger  *slog.Logger                      // default: silent
	Metrics *ReceiveMetrics                   // default: none
	Free    func(path string) (uint64, error) // free bytes of the disk; default: asks it
}

// Depot keeps incoming objects on the disk until their study has been read, and
// announces each study when it is complete. Objects lie at
// <Dir>/<source>/<study UID>/<SOP instance UID>.dcm; folders whose names begin
// with a dot are the depot's own. What Store has taken survives the end of the
// process at any instant, and with Sync that of the machine.
type Depot struct {
	opts   DepotOptions
	log    *slog.Logger
	root   *os.Root
	ledger ledger
	desk   *desk

	seed  maphash.Seed
	locks [64]sync.Mutex // of studies, by hash

	mu      sync.Mutex
	studies map[studyKey]*stock
	bytes   int64

	crowded chan struct{} // asks for room
	pads    sync.Pool     // of *pad
}

// studyKey names a study of a source.
type studyKey struct{ source, uid string }

func (k studyKey) path() string { return k.source + "/" + k.uid }

// stock is what the depot holds of one study.
type stock struct {
	bytes     int64
	last      time.Time // when its last object came
	accession string
	announced record
}

// Incoming says what a sender sends.
type Incoming struct {
	Source            string // a key of DepotOptions.Waiting, or OtherSources
	SOPClassUID       string
	SOPInstanceUID    string
	TransferSyntaxUID string // of a data set without file meta
	Part10            bool   // data is a whole file (PS3.10 7) and not a data set
	Study             string // that the object has to belong to; empty: any
}

// Outcome is what the depot did with an object that it answered with success.
type Outcome string

// The outcomes.
const (
	Stored    Outcome = "stored"
	Identical Outcome = "identical" // it was there already
	Conflict  Outcome = "conflict"  // it was there with other content; both are kept, and reading judges
	Own       Outcome = "own"       // a report of ours that comes back; dropped
)

// Receipt is what Store learned about an object.
type Receipt struct {
	StudyInstanceUID, SeriesInstanceUID, SOPClassUID, SOPInstanceUID string

	Outcome Outcome
	Bytes   int64
}

// Errors of Store that senders are told apart.
var (
	ErrFull       = errors.New("the depot is full")                    // C-STORE A700, HTTP 507
	ErrClass      = errors.New("the SOP class is not taken")           // C-STORE 0122
	ErrMismatch   = errors.New("the data set is of another object")    // C-STORE A900
	ErrUnreadable = errors.New("the data set cannot be understood")    // C-STORE C000
	ErrTooLarge   = errors.New("the object is larger than the limit")  // C-STORE A700
	ErrSource     = errors.New("the source's name is not allowed")     // a slip of the caller
	errTwisted    = errors.New("too many objects with one UID differ") // C-STORE 0110
)

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Folders of the depot's own.
const (
	arrivals = ".incoming" // what is being written, and what is being removed
	ledgers  = ".announced"
)

// OpenDepot makes the folder if it is missing, clears up what a killed process
// left, and finds the studies that are still to be announced. Nothing is
// announced before Run.
func OpenDepot(opts DepotOptions) (*Depot, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Free == nil {
		opts.Free = freeBytes
	}
	if opts.Metrics == nil {
		opts.Metrics = newReceiveMetrics()
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of received images: %w", err)
	}
	root, err := os.OpenRoot(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of received images: %w", err)
	}
	d := &Depot{
		opts: opts, log: opts.Logger, root: root, ledger: ledger{root: root, dir: ledgers, sync: opts.Sync},
		seed: maphash.MakeSeed(), studies: map[studyKey]*stock{}, crowded: make(chan struct{}, 1),
	}
	d.desk, d.pads.New = newDesk(d.waiting), newPad
	if err := d.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("looking through %s: %w", opts.Dir, err), root.Close())
	}
	return d, nil
}

// Close releases the folder; nothing may be stored afterwards.
func (d *Depot) Close() error { return d.root.Close() }

func (d *Depot) waiting(source string) Waiting {
	if w, ok := d.opts.Waiting[source]; ok {
		return w
	}
	return d.opts.Waiting[OtherSources]
}

// Store takes one object and returns when it is kept. Without success nothing
// of it stays. An object that is there already changes nothing; one with the same
// UID and other content is kept beside it, since one of the two is wrong and the
// depot cannot know which.
func (d *Depot) Store(ctx context.Context, in Incoming, data io.Reader) (Receipt, error) {
	began := time.Now()
	receipt, err := d.store(ctx, in, data)
	d.opts.Metrics.stored(in.Source, receipt, err, time.Since(began))
	if err != nil {
		return receipt, fmt.Errorf("storing object %s of %s: %w", in.SOPInstanceUID, in.Source, err)
	}
	return receipt, nil
}

func (d *Depot) store(ctx context.Context, in Incoming, data io.Reader) (Receipt, error) {
	if err := in.check(); err != nil {
		return Receipt{}, err
	}
	if err := d.Full(); err != nil {
		return Receipt{}, err
	}
	file, err := d.write(ctx, in, data)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		return Receipt{}, err
	}
	defer file.discard()
	head := file.head
	receipt := Receipt{
		StudyInstanceUID: head.StudyInstanceUID, SeriesInstanceUID: head.SeriesInstanceUID,
		SOPClassUID: head.SOPClassUID, SOPInstanceUID: head.SOPInstanceUID, Outcome: Own, Bytes: file.size,
	}
	if err := in.matches(head); err != nil {
		return receipt, err
	}
	if head.Own {
		return receipt, nil
	}
	if !d.opts.Classes(head.SOPClassUID) {
		return receipt, fmt.Errorf("%w: %s", ErrClass, head.SOPClassUID)
	}
	key := studyKey{in.Source, head.StudyInstanceUID}
	receipt.Outcome, err = d.keep(key, file)
	return receipt, err
}

// check looks at what becomes part of a path.
func (in Incoming) check() error {
	if !sourceName.MatchString(in.Source) {
		return fmt.Errorf("%w: %q", ErrSource, in.Source)
	}
	if in.Part10 {
		return nil
	}
	if err := errors.Join(neurotriage.CheckUID(in.SOPClassUID), neurotriage.CheckUID(in.SOPInstanceUID), neurotriage.CheckUID(in.TransferSyntaxUID)); err != nil {
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return nil
}

// matches compares what the sender announced with what it sent (PS3.4 B.2.3).
func (in Incoming) matches(head dicomio.Head) error {
	for _, uid := range []string{head.StudyInstanceUID, head.SeriesInstanceUID, head.SOPInstanceUID, head.SOPClassUID} {
		if err := neurotriage.CheckUID(uid); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, errors.Join(err, head.Damaged))
		}
	}
	differ := func(announced, sent string) bool { return announced != "" && announced != sent }
	if differ(in.Study, head.StudyInstanceUID) {
		return fmt.Errorf("%w: it belongs to study %s, announced was %s", ErrMismatch, head.StudyInstanceUID, in.Study)
	}
	if differ(in.SOPInstanceUID, head.SOPInstanceUID) || differ(in.SOPClassUID, head.SOPClassUID) {
		return fmt.Errorf("%w: announced as %s of class %s, sent is %s of class %s",
			ErrMismatch, in.SOPInstanceUID, in.SOPClassUID, head.SOPInstanceUID, head.SOPClassUID)
	}
	return nil
}

// note tells the rest of the depot what came. The caller holds the study, so
// that it cannot be removed as old in between.
func (d *Depot) note(key studyKey, file *arrival, outcome Outcome) {
	d.mu.Lock()
	s := d.studies[key]
	if s == nil {
		s = &stock{}
		d.studies[key] = s
	}
	s.last = time.Now()
	if s.accession == "" {
		s.accession = file.head.AccessionNumber
	}
	if outcome != Identical {
		s.bytes += file.size
		d.bytes += file.size
	}
	total := d.bytes
	d.mu.Unlock()
	d.opts.Metrics.depot.Set(float64(total))
	d.desk.arrived(key, file.head.SeriesDescription, outcome != Identical)
}

// lock holds the study's folder for one goroutine.
func (d *Depot) lock(key studyKey) *sync.Mutex {
	lock := &d.locks[maphash.String(d.seed, key.path())%uint64(len(d.locks))]
	lock.Lock()
	return lock
}

// Full says why nothing can be taken now, as an ErrFull, or nil.
func (d *Depot) Full() error {
	free, err := d.opts.Free(d.opts.Dir)
	if err != nil {
		return fmt.Errorf("%w: asking for the free space of %s: %w", ErrFull, d.opts.Dir, err)
	}
	if free < uint64(max(0, d.opts.MinFree)) {
		return fmt.Errorf("%w: the disk of %s has %d MB left, pacs.receive.min_free wants %d", ErrFull, d.opts.Dir, free/1e6, d.opts.MinFree/1e6)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bytes >= d.opts.MaxBytes {
		select {
		case d.crowded <- struct{}{}:
		default:
		}
		return fmt.Errorf("%w: %d MB are received and not all of them read, pacs.receive.keep_bytes is %d", ErrFull, d.bytes/1e6, d.opts.MaxBytes/1e6)
	}
	return nil
}

// Opened tells of an association of a source, for Waiting.Series. Each needs one
// call of Closed or BrokeOff.
func (d *Depot) Opened(source string) { d.desk.opened(source) }

// Closed is an association's end in good order.
func (d *Depot) Closed(source string) { d.desk.closed(source, true) }

// BrokeOff is any other end: the sender will come again with the rest.
func (d *Depot) BrokeOff(source string) { d.desk.closed(source, false) }

// Holdings is what a depot holds.
type Holdings struct {
	Studies int
	Waiting int // of them, not announced yet
	Bytes   int64
}

// Holdings tells what is there now.
func (d *Depot) Holdings() Holdings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Holdings{Studies: len(d.studies), Waiting: d.desk.count(), Bytes: d.bytes}
}
