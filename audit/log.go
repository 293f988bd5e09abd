package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say where the messages go.
type Options struct {
	Folder  string         // holds audit.log and what came before it
	Syslog  *SyslogOptions // nil: the file alone
	Keep    time.Duration  // how long former files stay; 0: 90 days
	Source  string         // AuditSourceID: which of the hospital's daemons writes
	Process string         // name and process id of this program
	Logger  *slog.Logger
	Now     func() time.Time // default: time.Now
}

const (
	currentFile = "audit.log"
	segmentSize = 64 << 20 // bytes, then the file is put aside and a new one begun
	defaultKeep = 90 * 24 * time.Hour
)

// Log is an open log book. Its methods may be called from several goroutines.
type Log struct {
	options Options
	log     *slog.Logger

	mu     sync.Mutex
	file   *os.File
	size   int64
	closed bool
	grown  chan struct{} // has room for one: there is something to send

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open opens the log book in its folder, which it makes, and begins to send
// what the repository has not got.
func Open(options Options) (*Log, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Keep == 0 {
		options.Keep = defaultKeep
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	// Who looked at what is nobody else's business.
	if err := os.MkdirAll(options.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the audit log: %w", err)
	}
	l := &Log{options: options, log: options.Logger, grown: make(chan struct{}, 1)}
	if err := l.begin(); err != nil {
		return nil, err
	}
	if options.Syslog != nil {
		ctx, stop := context.WithCancel(context.Background())
		l.stop = stop
		sender := newSender(options, l.grown)
		l.done.Go(func() { sender.run(ctx) })
		l.wake()
	}
	return l, nil
}

// begin opens the current file. A last line that a crash cut off is ended, so
// that the next one stands alone.
func (l *Log) begin() error {
	path := filepath.Join(l.options.Folder, currentFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the audit log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("opening the audit log: %w", err), file.Close())
	}
	l.file, l.size = file, info.Size()
	last := make([]byte, 1)
	if l.size > 0 {
		if _, err := file.ReadAt(last, l.size-1); err == nil && last[0] != '\n' {
			return l.append([]byte("\n"))
		}
	}
	return nil
}

// Record writes an event and returns once it is on the disk. An error means
// that it is not; the caller tells it, since an act without its entry must not
// pass in silence.
func (l *Log) Record(e Event) error {
	if e.Time.IsZero() {
		e.Time = l.options.Now()
	}
	text, err := encode(e, l.options.Source, l.options.Process)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("writing an audit message: the log book is closed")
	}
	if l.size >= segmentSize {
		if err := l.putAside(); err != nil {
			return err
		}
	}
	if err := l.append(append(text, '\n')); err != nil {
		return err
	}
	l.wake()
	return nil
}

func (l *Log) append(text []byte) error {
	n, err := l.file.Write(text)
	l.size += int64(n)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the audit log %s: %w", l.file.Name(), err)
	}
	return nil
}

func (l *Log) wake() {
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// putAside gives the current file a name of its own, in the order of time, and
// deletes those that are too old.
func (l *Log) putAside() error {
	former := filepath.Join(l.options.Folder, segmentName(l.options.Now()))
	if err := os.Rename(l.file.Name(), former); err != nil {
		return fmt.Errorf("putting the audit log aside: %w", err)
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("putting the audit log aside: %w", err)
	}
	l.clear()
	return l.begin()
}

// segmentName sorts by time, and after no later one.
func segmentName(now time.Time) string {
	return "audit-" + now.UTC().Format("20060102T150405.000000000Z") + ".log"
}

// clear deletes former files beyond their time. One that the repository has not
// got yet stays.
func (l *Log) clear() {
	files, err := segments(l.options.Folder)
	if err != nil {
		l.log.Warn("former audit logs are not cleared", "error", err)
		return
	}
	at := cursor{}
	if l.options.Syslog != nil {
		at, _ = readCursor(l.options.Folder) // none yet: everything is to be sent
	}
	for _, name := range files {
		if l.options.Syslog != nil && name >= at.File {
			break
		}
		path := filepath.Join(l.options.Folder, name)
		info, err := os.Stat(path)
		if err != nil || l.options.Now().Sub(info.ModTime()) < l.options.Keep {
			continue
		}
		if err := os.Remove(path); err != nil {
			l.log.Warn("a former audit log stays", "error", err)
		}
	}
}

// Close ends the sending, within a moment, and the file. What was not sent is
// sent after the next Open.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	if l.stop != nil {
		l.stop()
		l.done.Wait()
	}
	return l.file.Close()
}
