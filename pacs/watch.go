package pacs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
)

// Bounds of a watch.
const (
	lookOften  = time.Second // between two looks
	lookSeldom = 30 * time.Second
	mostFiles  = 1_000_000 // that are kept in mind
	recordAge  = 90 * 24 * time.Hour
)

// WatchOptions say which folder is watched.
type WatchOptions struct {
	Name   string // of the watch
	Root   string // what announcements call Folder
	Folder string
	Quiet  time.Duration // for which the files of a study must not have changed
	State  string        // folder that remembers what was announced

	Limits  dicomio.Limits
	Devices []string // device UIDs of our own
	Office  Announcer
	Logger  *slog.Logger    // default: silent
	Metrics *ReceiveMetrics // default: none
}

// Watch announces studies that other programs put into a folder, when their files
// have lain still for a while: as soon as one is new or has changed, anew. It
// looks again and again, since file systems on a network tell nothing; what it
// saw is remembered across restarts. Files that go away are no news. A file whose
// name, or whose folder's, begins with a dot is passed over, and so is what this
// program made.
type Watch struct {
	opts   WatchOptions
	log    *slog.Logger
	state  *os.Root
	ledger ledger
	files  map[string]lying // by path; only Run's goroutine touches it

	mu      sync.Mutex
	trouble error
	seen    Sighting
}

// lying is a file as it was seen.
type lying struct {
	state     string // size and time, as text
	since     time.Time
	studies   []string // UIDs; several in an archive
	accession string
	archive   bool
}

// Sighting is what a watch saw last.
type Sighting struct{ Files, Studies, Changing int }

// OpenWatch makes a watch that does not look yet.
func OpenWatch(opts WatchOptions) (*Watch, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Metrics == nil {
		opts.Metrics = newReceiveMetrics()
	}
	if err := os.MkdirAll(opts.State, 0o700); err != nil {
		return nil, fmt.Errorf("making the memory of watch %q: %w", opts.Name, err)
	}
	state, err := os.OpenRoot(opts.State)
	if err != nil {
		return nil, fmt.Errorf("opening the memory of watch %q: %w", opts.Name, err)
	}
	return &Watch{
		opts: opts, log: opts.Logger.With("watch", opts.Name), state: state,
		ledger: ledger{root: state, dir: ".", sync: true}, files: map[string]lying{},
	}, nil
}

// Close releases the memory.
func (w *Watch) Close() error { return w.state.Close() }

// Seen tells what was seen last, and what keeps the watch from seeing more.
func (w *Watch) Seen() (Sighting, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, w.trouble
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	every := min(max(w.opts.Quiet/4, lookOften), lookSeldom)
	w.prune()
	for ctx.Err() == nil {
		err := w.Look(ctx)
		w.mu.Lock()
		if err != nil && w.trouble == nil && ctx.Err() == nil {
			w.log.Warn("looking through a watched folder; trying again", "err", err)
		}
		w.trouble = err
		w.mu.Unlock()
		rest(ctx, every)
	}
}

// Look goes through the folder once and announces what has become complete.
func (w *Watch) Look(ctx context.Context) error {
	root, err := os.OpenRoot(w.opts.Folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := w.see(ctx, root); err != nil {
		return err
	}
	places := w.places()
	sighting := Sighting{Files: len(w.files), Studies: len(places)}
	for _, p := range places {
		if time.Since(p.since) < w.opts.Quiet {
			sighting.Changing++
			continue
		}
		if err := w.announce(ctx, p); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.seen = sighting
	w.mu.Unlock()
	return nil
}

// see brings files up to date.
func (w *Watch) see(ctx context.Context, root *os.Root) error {
	there := make(map[string]lying, len(w.files))
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return nil // moved away while we looked
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		case len(there) == mostFiles:
			return fmt.Errorf("more than %d files lie here", mostFiles)
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // moved away while we looked
		}
		state := fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
		file, known := w.files[name]
		if !known || file.state != state {
			file = w.inspect(ctx, root, name, info.Size())
			file.state, file.since = state, time.Now()
		}
		there[name] = file
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking through %s: %w", w.opts.Folder, err)
	}
	w.files = there
	return nil
}

// inspect finds the studies of a file. One that cannot be read, or not yet, is of
// none; it is looked at again when it changes.
func (w *Watch) inspect(ctx context.Context, root *os.Root, name string, size int64) lying {
	file, err := root.Open(name)
	if err != nil {
		return lying{}
	}
	defer file.Close()
	head := make([]byte, 4)
	if n, err := file.ReadAt(head, 0); err == nil && n == len(head) && string(head) == "PK\x03\x04" {
		return w.inspectArchive(ctx, file, size)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return lying{}
	}
	peeked, err := dicomio.Peek(file, w.opts.Limits, w.opts.Devices)
	if err != nil || peeked.Own || neurotriage.CheckUID(peeked.StudyInstanceUID) != nil {
		return lying{}
	}
	return lying{studies: []string{peeked.StudyInstanceUID}, accession: peeked.AccessionNumber}
}

func (w *Watch) inspectArchive(ctx context.Context, file *os.File, size int64) lying {
	source := dicomio.Zip(struct{ io.ReaderAt }{file}, size)
	studies, _, err := dicomio.Scan(ctx, source, dicomio.Options{Limits: w.opts.Limits, OwnDevices: w.opts.Devices, Parallel: 1})
	if err != nil {
		return lying{}
	}
	found := lying{archive: true}
	for _, s := range studies {
		if study := s.Study(); neurotriage.CheckUID(study.UID) == nil {
			found.studies = append(found.studies, study.UID)
			found.accession = cmp.Or(found.accession, study.AccessionNumber)
		}
		_ = s.Close() // nothing was written
	}
	return found
}

// lot is a study where it lies: its loose files, or one archive.
type lot struct {
	uid, archive string // path of the archive; empty: loose files
	accession    string
	files        map[string]string // path to state
	since        time.Time         // when the last of them changed
}

// places groups the files by study, in the order in which they came to rest.
func (w *Watch) places() []*lot {
	lots := map[[2]string]*lot{}
	for name, file := range w.files {
		archive := ""
		if file.archive {
			archive = name
		}
		for _, uid := range file.studies {
			p := lots[[2]string{uid, archive}]
			if p == nil {
				p = &lot{uid: uid, archive: archive, files: map[string]string{}}
				lots[[2]string{uid, archive}] = p
			}
			p.files[name] = file.state
			p.accession = cmp.Or(p.accession, file.accession)
			if file.since.After(p.since) {
				p.since = file.since
			}
		}
	}
	return slices.SortedFunc(maps.Values(lots), func(a, b *lot) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.uid, b.uid), cmp.Compare(a.archive, b.archive))
	})
}

// key names the lot's record.
func (w *Watch) key(p *lot) studyKey {
	uid := p.uid
	if p.archive != "" {
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(p.archive)) // never fails
		uid = fmt.Sprintf("%s_%016x", p.uid, sum.Sum64())
	}
	return studyKey{w.opts.Name, uid}
}

// announce announces a lot, unless that was done as it lies.
func (w *Watch) announce(ctx context.Context, p *lot) error {
	key := w.key(p)
	before, err := w.ledger.load(key)
	if err != nil || !before.news(p.files) {
		return err
	}
	job, err := w.opts.Office.Announce(ctx, neurotriage.Job{
		StudyInstanceUID: p.uid, AccessionNumber: p.accession,
		Location: neurotriage.Location{Kind: neurotriage.Directory, Root: w.opts.Root, Path: p.path()},
	})
	if err != nil {
		return fmt.Errorf("announcing study %s: %w", p.uid, err)
	}
	w.opts.Metrics.announced.WithLabelValues(w.opts.Metrics.source(w.opts.Name), becauseWatched).Inc()
	w.log.Info("study announced", "request", job.EventID, "study", p.uid, "path", p.path(), "files", len(p.files), "why", becauseWatched)
	return w.ledger.save(key, record{EventID: job.EventID, Asked: job.Asked, Files: p.files})
}

// path is the deepest folder that holds all files, or the archive.
func (p *lot) path() string {
	if p.archive != "" {
		return p.archive
	}
	common := ""
	for name := range p.files {
		dir := path.Dir(name)
		if common == "" {
			common = dir
		}
		for common != "." && dir != common && !strings.HasPrefix(dir, common+"/") {
			common = path.Dir(common)
		}
	}
	return common
}

// prune forgets what was announced so long ago that it lies here no more.
func (w *Watch) prune() {
	uids, err := w.ledger.studies(w.opts.Name)
	for _, uid := range uids {
		key := studyKey{w.opts.Name, uid}
		old, loadErr := w.ledger.load(key)
		if err = errors.Join(err, loadErr); loadErr != nil || time.Since(old.Asked) < recordAge || w.lies(old) {
			continue
		}
		err = errors.Join(err, w.ledger.remove(key))
	}
	if err != nil {
		w.log.Warn("clearing the memory of a watch", "err", err)
	}
}

func (w *Watch) lies(r record) bool {
	root, err := os.OpenRoot(w.opts.Folder)
	if err != nil {
		return true // away for a while
	}
	defer root.Close()
	for _, name := range r.names() {
		if _, err := root.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}
