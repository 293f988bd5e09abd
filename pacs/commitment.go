package pacs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"neurotriage"
	"neurotriage/pacs/dimse"
)

// storageCommitment is the push model's SOP class (PS3.4 J.3).
const storageCommitment = "1.2.840.10008.1.20.1"

// Times of storage commitment. Archives take it from a moment to a night.
const (
	commitmentWait  = 30 * time.Second // on the spot; the courier goes on to other parcels after that
	commitmentLook  = time.Minute      // until it is looked whether the report has come
	commitmentAgain = 2 * time.Hour    // until the objects are stored and asked for anew
)

// commitmentMemory is how long a report is waited for, and remembered. What came
// later would be asked for anew.
const commitmentMemory = 24 * time.Hour

// Commitments are the requests for storage commitment that await a report. The
// archive may send it over the association of the request or over one of its
// own, at once or hours later. One value serves all destinations.
type Commitments struct {
	mu      sync.Mutex
	asked   map[string]*commitment // by transaction UID
	stored  map[[2]string]time.Time
	forgets time.Time // when the old are looked for next
}

type commitment struct {
	archive string
	files   []file
	at      time.Time
	done    chan dimse.Commitment // has room for the report
	failed  bool                  // reported, and not all are kept
}

// NewCommitments makes an empty register.
func NewCommitments() *Commitments {
	return &Commitments{asked: map[string]*commitment{}, stored: map[[2]string]time.Time{}}
}

// Report takes an archive's report; it fits dimse.ServerOptions.Committed. That
// the transaction is one of ours is what the peer proves itself by. One that is
// not, or was asked for before a restart, is heard and changes nothing: an error
// would only make the archive repeat it.
func (c *Commitments) Report(_ context.Context, _ dimse.Association, report dimse.Commitment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, known := c.asked[report.TransactionUID]
	if !known {
		return nil
	}
	for _, object := range report.Stored {
		c.stored[[2]string{one.archive, object.SOPInstanceUID}] = time.Now()
	}
	one.failed = len(report.Failed) > 0
	select {
	case one.done <- report:
	default: // a second report on the same transaction adds nothing to wait for
	}
	return nil
}

// holds tells whether the archive has committed itself to all files.
func (c *Commitments) holds(archive string, files []file) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range files {
		if _, held := c.stored[[2]string{archive, one.sopInstance}]; !held {
			return false
		}
	}
	return true
}

// committer is an association over which commitment is asked for.
type committer interface {
	Commit(ctx context.Context, transactionUID string, objects []dimse.SOPRef) error
	Committed(ctx context.Context) (dimse.Commitment, error)
	Peer() dimse.Association
}

// ask requests commitment for the files and waits for the report, from wherever
// it comes.
func (c *Commitments) ask(ctx context.Context, conn committer, archive string, files []file) error {
	transaction, done := c.expect(archive, files)
	refs := make([]dimse.SOPRef, len(files))
	for i, one := range files {
		refs[i] = dimse.SOPRef{SOPClassUID: one.sopClass, SOPInstanceUID: one.sopInstance}
	}
	if err := conn.Commit(ctx, transaction, refs); err != nil {
		c.mu.Lock()
		delete(c.asked, transaction)
		c.mu.Unlock()
		return fmt.Errorf("asking for storage commitment: %w", err)
	}
	here, stop := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		if report, err := conn.Committed(here); err == nil {
			_ = c.Report(here, conn.Peer(), report) // one that is not ours is not what is waited for
		}
	})
	defer listening.Wait()
	defer stop()
	select {
	case report := <-done:
		return judge(report)
	case <-time.After(commitmentWait):
		return &Postponed{After: commitmentLook, Err: errUncommitted}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errUncommitted = errors.New("the archive has stored the objects and has not reported on their commitment yet")

// awaited tells whether a report on these files may still come.
func (c *Commitments) awaited(archive string, files []file) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.asked {
		same := slices.EqualFunc(one.files, files, func(a, b file) bool { return a.sopInstance == b.sopInstance })
		if one.archive == archive && same && !one.failed && time.Since(one.at) < commitmentAgain {
			return true
		}
	}
	return false
}

func judge(report dimse.Commitment) error {
	if len(report.Failed) == 0 {
		return nil
	}
	first := report.Failed[0]
	return fmt.Errorf("the archive does not commit itself to %d objects; of %s it says %s", len(report.Failed), first.SOPInstanceUID, first.Reason)
}

// expect notes a new transaction, whose UID nobody can guess.
func (c *Commitments) expect(archive string, files []file) (transaction string, done <-chan dimse.Commitment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(time.Now())
	one := &commitment{archive: archive, files: names(files), at: time.Now(), done: make(chan dimse.Commitment, 1)}
	transaction = neurotriage.DerivedUID("storage commitment", rand.Text())
	c.asked[transaction] = one
	return transaction, one.done
}

// forget drops what is too old to matter.
func (c *Commitments) forget(now time.Time) {
	if now.Before(c.forgets) {
		return
	}
	c.forgets = now.Add(commitmentMemory / 24)
	for uid, one := range c.asked {
		if now.Sub(one.at) > commitmentMemory {
			delete(c.asked, uid)
		}
	}
	for key, at := range c.stored {
		if now.Sub(at) > commitmentMemory {
			delete(c.stored, key)
		}
	}
}

// names keeps of files what a report is compared with, and not their bytes.
func names(files []file) []file {
	list := make([]file, len(files))
	for i, one := range files {
		list[i] = file{sopInstance: one.sopInstance}
	}
	return list
}
