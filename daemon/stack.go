package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/worklist"
)

// Bounds of what is kept for viewing. Decoded slices lie in files without a
// name below the spool folder: memory stays free, and the system takes them
// back at whatever end.
const (
	stackStudies  = 4
	stackBytes    = 2 << 30          // of one study
	stackPatience = 30 * time.Second // before a study that was not there is looked for again
)

// stack reads studies again, where they lie, for people who look at them.
type stack struct {
	bus    *events.Bus
	reader Reader
	dir    string
	guard  func() error // asks after the disk
	ctx    context.Context
	work   sync.WaitGroup

	mu      sync.Mutex
	turn    sync.Mutex // one study is decoded at a time: triage goes first
	studies []*decoded // newest first
}

// decoded is a study whose slices are written to a file one after the other.
type decoded struct {
	finding string
	stop    context.CancelFunc
	began   time.Time

	mu     sync.Mutex
	file   *os.File
	places map[worklist.SliceRef][2]int64 // offset, length
	size   int64
	done   bool
	err    error
	change chan struct{} // closed at the next change
}

// Slice waits until the slice is decoded.
func (s *stack) Slice(ctx context.Context, e worklist.Entry, ref worklist.SliceRef) ([]byte, error) {
	study := s.study(e)
	for {
		study.mu.Lock()
		place, there := study.places[ref]
		file, done, err, change := study.file, study.done, study.err, study.change
		study.mu.Unlock()
		switch {
		case there:
			data := make([]byte, place[1])
			if _, err := file.ReadAt(data, place[0]); err != nil {
				return nil, fmt.Errorf("reading a decoded slice: %w", err)
			}
			return data, nil
		case err != nil:
			return nil, err
		case done:
			return nil, fmt.Errorf("slice %s is not in study %s as it lies now: %w", ref.SOPInstanceUID, e.StudyInstanceUID, worklist.ErrNotFound)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-change:
		}
	}
}

// study gives the decoded study of the entry's finding, beginning it if need be.
func (s *stack) study(e worklist.Entry) *decoded {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.studies {
		if d.finding == e.FindingID && !d.failedLongAgo() {
			copy(s.studies[1:i+1], s.studies[:i])
			s.studies[0] = d
			return d
		}
	}
	ctx, stop := context.WithCancel(s.ctx)
	d := &decoded{
		finding: e.FindingID, stop: stop, began: time.Now(), places: map[worklist.SliceRef][2]int64{}, change: make(chan struct{}),
	}
	s.studies = append([]*decoded{d}, s.studies...)
	if len(s.studies) > stackStudies {
		s.studies[stackStudies].stop()
		s.studies = s.studies[:stackStudies]
	}
	s.work.Go(func() {
		d.end(s.decode(ctx, e, d))
		<-ctx.Done() // the file stays until the study is pushed out
		d.close()
	})
	return d
}

func (d *decoded) failedLongAgo() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err != nil && time.Since(d.began) > stackPatience
}

// decode reads the study into the file of d.
func (s *stack) decode(ctx context.Context, e worklist.Entry, d *decoded) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	study, err := reopen(ctx, s.bus, s.reader, e)
	if err != nil {
		return err
	}
	defer study.Close()
	if err := s.makeFile(d); err != nil {
		return err
	}
	for slice, err := range study.Slices(ctx) {
		if err != nil && refusal(err) == nil {
			return err
		}
		if err != nil { // one bad slice; the others are shown
			continue
		}
		if err := d.add(slice); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) makeFile(d *decoded) error {
	if err := s.guard(); err != nil {
		return err
	}
	file, err := os.CreateTemp(s.dir, spoolPattern)
	if err != nil {
		return fmt.Errorf("making a file for decoded slices: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return errors.Join(fmt.Errorf("unlinking a file for decoded slices: %w", err), file.Close())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file = file
	return nil
}

func (d *decoded) add(slice neurotriage.Slice) error {
	data, err := worklist.Pack(slice)
	if err != nil {
		return err
	}
	if d.size+int64(len(data)) > stackBytes {
		return fmt.Errorf("the study has more than %d bytes of slices: the rest is not shown: %w", stackBytes, worklist.ErrNotFound)
	}
	if _, err := d.file.WriteAt(data, d.size); err != nil {
		return fmt.Errorf("writing a decoded slice: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ref := worklist.SliceRef{SeriesInstanceUID: slice.SeriesInstanceUID, SOPInstanceUID: slice.SOPInstanceUID, Frame: slice.Frame}
	d.places[ref] = [2]int64{d.size, int64(len(data))}
	d.size += int64(len(data))
	close(d.change)
	d.change = make(chan struct{})
	return nil
}

// end notes how the decoding ended, for those who wait.
func (d *decoded) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done, d.err = true, err
	close(d.change)
	d.change = make(chan struct{})
}

func (d *decoded) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		_ = d.file.Close() // it has no name and nothing in it is needed
	}
}
