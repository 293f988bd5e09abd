package pacs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"slices"
	"time"

	"neurotriage"
)

// clearUp removes studies in the background.
func (d *Depot) clearUp(ctx context.Context) {
	ticker := time.NewTicker(clearEvery)
	defer ticker.Stop()
	for {
		if err := d.Clear(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("removing studies that are read; trying again", "err", err)
		}
		rest(ctx, time.Second) // however often somebody asks for room
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-d.crowded:
		}
	}
}

// Clear removes studies that are older than Keep, and the oldest ones until no
// more than nine tenths of MaxBytes are used. A study that has no finding yet
// stays, however old it is and however little space is left.
func (d *Depot) Clear(ctx context.Context) error {
	for _, old := range d.oldest() {
		var reason string
		switch {
		case time.Since(old.last) > d.opts.Keep:
			reason = "age"
		case d.Holdings().Bytes > d.opts.MaxBytes/10*9:
			reason = "bytes"
		default:
			return nil // what follows is younger
		}
		if d.desk.gathers(old.key) || old.announced.EventID == "" {
			continue
		}
		settled, err := d.opts.Office.Settled(ctx, neurotriage.Job{
			StudyInstanceUID: old.key.uid, EventID: old.announced.EventID, Asked: old.announced.Asked,
		})
		if err != nil {
			return err
		}
		if !settled {
			continue
		}
		if err := d.remove(old); err != nil {
			return err
		}
		d.opts.Metrics.removed.WithLabelValues(reason).Inc()
		d.log.Info("study removed from the depot; it was read", "study", old.key.uid, "source", old.key.source, "why", reason)
	}
	return nil
}

// aged is a study with what was known of it at one moment.
type aged struct {
	stock
	key studyKey
}

func (d *Depot) oldest() []aged {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]aged, 0, len(d.studies))
	for key, s := range d.studies {
		all = append(all, aged{*s, key})
	}
	slices.SortFunc(all, func(a, b aged) int {
		return cmp.Or(a.last.Compare(b.last), cmp.Compare(a.key.path(), b.key.path()))
	})
	return all
}

// remove takes a study's folder away in one step, and then what is in it. What
// came since the study was looked at saves it.
func (d *Depot) remove(old aged) error {
	gone := arrivals + "/" + rand.Text()
	lock := d.lock(old.key)
	d.mu.Lock()
	now := d.studies[old.key]
	changed := now == nil || now.last != old.last
	d.mu.Unlock()
	if changed {
		lock.Unlock()
		return nil
	}
	err := d.root.Rename(old.key.path(), gone)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		d.forget(old.key)
	}
	lock.Unlock()
	if errors.Is(err, fs.ErrNotExist) {
		return d.ledger.remove(old.key) // a person was faster
	}
	if err != nil {
		return err
	}
	return errors.Join(d.ledger.remove(old.key), d.root.RemoveAll(gone))
}

// forget drops a study from the books.
func (d *Depot) forget(key studyKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.studies[key]; s != nil {
		d.bytes -= s.bytes
		delete(d.studies, key)
	}
	d.opts.Metrics.depot.Set(float64(d.bytes))
}
