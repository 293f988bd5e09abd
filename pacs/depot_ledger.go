package pacs

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// ledger remembers which state of a study was announced, one small file each,
// at <dir>/<group>/<study UID>.json below root.
type ledger struct {
	root *os.Root
	dir  string
	sync bool
}

// record is an announcement: with these files, as they were (what the value
// says of a file is its owner's business).
type record struct {
	EventID string            `json:"event_id"`
	Asked   time.Time         `json:"asked"`
	Files   map[string]string `json:"files"`
}

// news reports whether files hold anything that was not announced. Files that
// have gone are no news: images are cleared away, not taken back.
func (r record) news(files map[string]string) bool {
	for name, state := range files {
		if before, known := r.Files[name]; !known || before != state {
			return true
		}
	}
	return false
}

func (l ledger) name(key studyKey) string { return path.Join(l.dir, key.path()+".json") }

// save keeps a record; what was there is replaced as a whole.
func (l ledger) save(key studyKey, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	folder := path.Join(l.dir, key.source)
	if err := l.root.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("noting an announcement: %w", err)
	}
	draft := path.Join(folder, "."+rand.Text())
	if err := errors.Join(l.write(draft, text)); err != nil {
		return errors.Join(fmt.Errorf("noting an announcement: %w", err), l.root.Remove(draft))
	}
	if err := l.root.Rename(draft, l.name(key)); err != nil {
		return errors.Join(fmt.Errorf("noting an announcement: %w", err), l.root.Remove(draft))
	}
	if l.sync {
		return syncFolder(l.root, folder)
	}
	return nil
}

func (l ledger) write(name string, text []byte) error {
	file, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil && l.sync {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// load gives an empty record for what was never announced. A record that cannot
// be read counts as none: announcing twice does no harm.
func (l ledger) load(key studyKey) (record, error) {
	var r record
	text, err := l.root.ReadFile(l.name(key))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if json.Unmarshal(text, &r) != nil {
		return record{}, nil
	}
	return r, nil
}

func (l ledger) remove(key studyKey) error {
	if err := l.root.Remove(l.name(key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// studies lists the records of a group, and clears up drafts.
func (l ledger) studies(group string) ([]string, error) {
	entries, err := fs.ReadDir(l.root.FS(), path.Join(l.dir, group))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var uids []string
	for _, entry := range entries {
		uid, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok {
			err = errors.Join(err, l.root.Remove(path.Join(l.dir, group, entry.Name())))
			continue
		}
		uids = append(uids, uid)
	}
	return uids, err
}

// names are the files of a record in order.
func (r record) names() []string { return slices.Sorted(maps.Keys(r.Files)) }
