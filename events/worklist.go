package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// change updates a study's entry by compare-and-set until it holds. fn may run
// several times and gets an entry of its own; it changes nothing but that.
func (b *Bus) change(ctx context.Context, uid string, fn func(*Entry) error) (after Entry, err error) {
	err = b.do(ctx, "updating worklist entry "+uid, func(ctx context.Context) error {
		kv, err := b.keys(ctx)
		if err != nil {
			return err
		}
		for {
			before, revision, err := get(ctx, kv, uid)
			if err != nil {
				return err
			}
			after = before
			if err := fn(&after); err != nil {
				return err
			}
			if reflect.DeepEqual(before, after) {
				return nil
			}
			if done, err := put(ctx, kv, after, revision); err != nil || done {
				return err
			}
		}
	})
	return after, err
}

// get gives an empty entry with revision 0 when there is none. What cannot be
// read is treated the same, keeping its revision: the stream TRIAGE is the truth.
func get(ctx context.Context, kv jetstream.KeyValue, uid string) (Entry, uint64, error) {
	entry := Entry{Schema: EntrySchema, StudyInstanceUID: uid}
	stored, err := kv.Get(ctx, uid)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return entry, 0, nil
	}
	if err != nil {
		return entry, 0, err
	}
	read := entry
	if err := json.Unmarshal(stored.Value(), &read); err != nil {
		return entry, stored.Revision(), nil //nolint:nilerr // said above
	}
	return read, stored.Revision(), nil
}

// put says whether the entry was stored; if not, somebody else was faster.
func put(ctx context.Context, kv jetstream.KeyValue, entry Entry, revision uint64) (bool, error) {
	entry.Updated = time.Now().UTC()
	text, err := json.Marshal(entry)
	if err != nil {
		return false, err
	}
	if revision == 0 {
		_, err = kv.Create(ctx, entry.StudyInstanceUID, text)
	} else {
		_, err = kv.Update(ctx, entry.StudyInstanceUID, text, revision)
	}
	if expectationFailed(err) || errors.Is(err, jetstream.ErrKeyExists) {
		return false, nil
	}
	return err == nil, err
}

// Entry is the worklist's entry of one study; found is false when there is none.
func (b *Bus) Entry(ctx context.Context, uid string) (entry Entry, found bool, err error) {
	err = b.do(ctx, "reading worklist entry "+uid, func(ctx context.Context) error {
		kv, err := b.keys(ctx)
		if err != nil {
			return err
		}
		var revision uint64
		entry, revision, err = get(ctx, kv, uid)
		found = revision > 0
		return err
	})
	return entry, found, err
}

// Worklist lists all entries, sorted by study UID.
func (b *Bus) Worklist(ctx context.Context) (entries []Entry, err error) {
	err = b.do(ctx, "listing the worklist", func(ctx context.Context) error {
		entries = nil
		return b.snapshot(ctx, nil, func(e Entry) { entries = append(entries, e) })
	})
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.StudyInstanceUID, b.StudyInstanceUID) })
	return entries, err
}

// snapshot calls fn for each entry that there is.
func (b *Bus) snapshot(ctx context.Context, uids []string, fn func(Entry)) error {
	watcher, err := b.watcher(ctx, uids)
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.link.again():
			return errors.New("the connection was lost meanwhile")
		case stored, ok := <-watcher.Updates():
			if !ok {
				return errors.New("the server ended the listing")
			}
			if stored == nil {
				return nil // the end of what there was
			}
			if entry, ok := readEntry(stored); ok {
				fn(entry)
			}
		}
	}
}

func (b *Bus) watcher(ctx context.Context, uids []string) (jetstream.KeyWatcher, error) {
	kv, err := b.keys(ctx)
	if err != nil {
		return nil, err
	}
	if uids == nil {
		return kv.WatchAll(b.ctx, jetstream.IgnoreDeletes())
	}
	// WatchFiltered writes into the slice it gets, and the next watch needs it whole.
	return kv.WatchFiltered(b.ctx, slices.Clone(uids), jetstream.IgnoreDeletes())
}

func readEntry(stored jetstream.KeyValueEntry) (Entry, bool) {
	var entry Entry
	if json.Unmarshal(stored.Value(), &entry) != nil || entry.StudyInstanceUID != stored.Key() {
		return Entry{}, false
	}
	return entry, true
}

// WatchWorklist calls fn with every entry there is and then with each change,
// until ctx ends, whose error it gives. After a reconnection all entries come
// again, so fn must bear repeats. With uids, only those studies come.
func (b *Bus) WatchWorklist(ctx context.Context, fn func(Entry), uids ...string) error {
	return b.MirrorWorklist(ctx, fn, func() {}, uids...)
}

// MirrorWorklist is WatchWorklist that calls complete, too, each time that all
// entries there were have come.
func (b *Bus) MirrorWorklist(ctx context.Context, fn func(Entry), complete func(), uids ...string) error {
	for {
		if err := b.follow(ctx, fn, complete, uids); err != nil {
			b.log.Debug("the watch of the worklist begins anew", "error", err)
		}
		if err := b.pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// follow watches until the connection changes.
func (b *Bus) follow(ctx context.Context, fn func(Entry), complete func(), uids []string) error {
	again := b.link.again()
	var watcher jetstream.KeyWatcher
	err := b.do(ctx, "watching the worklist", func(ctx context.Context) (err error) {
		watcher, err = b.watcher(ctx, uids)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-again:
			return nil
		case stored, ok := <-watcher.Updates():
			if !ok {
				return errors.New("the server ended the watch")
			}
			if stored == nil {
				complete()
				continue
			}
			if entry, ok := readEntry(stored); ok {
				fn(entry)
			}
		}
	}
}

// pause waits, or until the connection comes back.
func (b *Bus) pause(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.ctx.Done():
		return errClosed
	case <-b.link.again():
	case <-timer.C:
	}
	return nil
}

var errClosed = fmt.Errorf("the connection to nats was closed: %w", neurotriage.ErrSurroundings)

// Rebuild writes the worklist anew from the findings of the stream TRIAGE, for
// when the bucket was lost. Entries that there are keep what they know better.
// It gives the number of findings that were read.
func (b *Bus) Rebuild(ctx context.Context) (int, error) {
	count := 0
	err := b.replay(ctx, b.names.triage(), b.names.findings(), func(msg jetstream.Msg) error {
		var f neurotriage.Finding
		if err := open(msg.Data(), &f); err != nil {
			b.log.Warn("a message of the finding stream is passed over", "subject", msg.Subject(), "error", err)
			return nil
		}
		count++
		job, of := answered(msg.Headers(), f)
		_, err := b.change(ctx, f.StudyInstanceUID, func(e *Entry) error {
			attempts := e.Attempts
			e.delivered(job, f, of)
			e.Attempts = attempts
			return nil
		})
		return err
	})
	if err == nil {
		err = b.reassess(ctx)
	}
	return count, err
}
