package pacs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
)

// clearEvery is the pause between two looks for studies to remove.
const clearEvery = time.Minute

// Run announces studies as they become complete, and removes those that are
// read and old, until ctx ends.
func (d *Depot) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.clearUp(ctx)
	}()
	d.desk.run(ctx, func(ctx context.Context, r ripe) error {
		job, err := d.announce(ctx, r.key, neurotriage.Job{}, r.why)
		switch {
		case err == nil:
			d.log.Info("study announced", "request", job.EventID, "study", r.key.uid, "source", r.key.source, "why", r.why)
		case errors.Is(err, fs.ErrNotExist):
			d.log.Info("a study was taken out of the depot before it was announced", "study", r.key.uid, "source", r.key.source)
			d.forget(r.key)
			return nil
		case ctx.Err() == nil:
			d.log.Warn("announcing a study; trying again", "study", r.key.uid, "source", r.key.source, "err", err)
		}
		return err
	})
	<-done
}

// Announce announces a study that lies here, without waiting for its source any
// longer: the newest copy, if several sources have sent it. Priority, accession
// number and series are taken from asked. found is false when the study is not
// here.
func (d *Depot) Announce(ctx context.Context, asked neurotriage.Job) (job neurotriage.Job, found bool, err error) {
	key, found := d.find(asked.StudyInstanceUID)
	if !found {
		return asked, false, nil
	}
	arrivals := d.desk.arrivals(key)
	if job, err = d.announce(ctx, key, asked, becauseAsked); err != nil {
		return job, !errors.Is(err, fs.ErrNotExist), err
	}
	d.desk.announced(key, arrivals)
	return job, true, nil
}

// find gives the source from which the study came last.
func (d *Depot) find(uid string) (found studyKey, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, s := range d.studies {
		if key.uid == uid && (!ok || s.last.After(d.studies[found].last)) {
			found, ok = key, true
		}
	}
	return found, ok
}

// announce announces what lies there now and notes it. The announcement comes
// first: should the process end in between, it is made twice, which does no harm.
func (d *Depot) announce(ctx context.Context, key studyKey, asked neurotriage.Job, why string) (neurotriage.Job, error) {
	files, err := d.files(key)
	if err != nil {
		return asked, err
	}
	d.mu.Lock()
	s := d.studies[key]
	accession := ""
	if s != nil {
		accession = s.accession
	}
	d.mu.Unlock()
	asked.StudyInstanceUID = key.uid
	asked.AccessionNumber = cmp.Or(asked.AccessionNumber, accession)
	asked.Location = neurotriage.Location{Kind: neurotriage.Directory, Root: d.opts.Root, Path: key.path()}
	job, err := d.opts.Office.Announce(ctx, asked)
	if err != nil {
		return job, err
	}
	note := record{EventID: job.EventID, Asked: job.Asked, Files: files}
	if err := d.ledger.save(key, note); err != nil {
		return job, err
	}
	d.mu.Lock()
	if s := d.studies[key]; s != nil {
		s.announced = note
	}
	d.mu.Unlock()
	d.opts.Metrics.announced.WithLabelValues(d.opts.Metrics.source(key.source), why).Inc()
	return job, nil
}

// files lists what lies there of a study. An object never changes once it is
// kept, so its name says all.
func (d *Depot) files(key studyKey) (map[string]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), key.path())
	if err != nil {
		return nil, err
	}
	files := make(map[string]string, len(entries))
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".dcm") {
			files[entry.Name()] = ""
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("study %s of %s: %w", key.uid, key.source, fs.ErrNotExist)
	}
	return files, nil
}

// recover finds what is here after a start.
func (d *Depot) recover() error {
	if err := d.root.RemoveAll(arrivals); err != nil {
		return err
	}
	if err := d.root.Mkdir(arrivals, 0o700); err != nil {
		return err
	}
	sources, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, source := range sources {
		if !source.IsDir() || !sourceName.MatchString(source.Name()) {
			continue
		}
		studies, err := fs.ReadDir(d.root.FS(), source.Name())
		if err != nil {
			return err
		}
		for _, study := range studies {
			if !study.IsDir() || neurotriage.CheckUID(study.Name()) != nil {
				continue
			}
			if err := d.recoverStudy(studyKey{source.Name(), study.Name()}); err != nil {
				return err
			}
		}
	}
	d.opts.Metrics.depot.Set(float64(d.bytes))
	return nil
}

// recoverStudy takes a study up where it was. One that is not announced as it
// lies there waits for its sender anew: the sender may just be reconnecting.
func (d *Depot) recoverStudy(key studyKey) error {
	s := &stock{}
	entries, err := fs.ReadDir(d.root.FS(), key.path())
	if err != nil {
		return err
	}
	files := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files[entry.Name()] = ""
		s.bytes += info.Size()
		if info.ModTime().After(s.last) {
			s.last = info.ModTime()
		}
	}
	if len(files) == 0 {
		return d.root.Remove(key.path()) // made for an object that did not arrive any more
	}
	if s.announced, err = d.ledger.load(key); err != nil {
		return err
	}
	d.studies[key] = s
	d.bytes += s.bytes
	if !s.announced.news(files) {
		return nil
	}
	for name := range files {
		head := d.peek(path.Join(key.path(), name))
		s.accession = cmp.Or(s.accession, head.AccessionNumber)
		d.desk.arrived(key, head.SeriesDescription, true)
	}
	return nil
}

// peek reads the headers of a kept object, as far as they can be read.
func (d *Depot) peek(name string) dicomio.Head {
	file, err := d.root.Open(name)
	if err != nil {
		return dicomio.Head{}
	}
	defer file.Close()
	head, err := dicomio.Peek(file, d.opts.Limits, nil)
	if err != nil {
		d.log.Warn("a kept object cannot be read", "file", name, "err", err)
	}
	return head
}
