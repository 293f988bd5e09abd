package config

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long the file has to be left alone before it is read: editors
	// and configuration tools write in several steps.
	settle = 200 * time.Millisecond
	// look is how often the file is looked at without an event, since network
	// file systems tell nothing about changes made elsewhere.
	look = 30 * time.Second
)

// Watch reloads whenever the file's content has changed, until ctx ends; then
// it returns nil. What a reload finds wrong goes to the log and ends nothing.
// Writing in place, renaming over (editors, ansible) and swapping a symlink
// above it (Kubernetes) all count as changes. Without a file it waits for ctx.
func (l *Live) Watch(ctx context.Context) error {
	file := cmp.Or(l.options.Load.File, environment(l.options.Load.Env)[envFile])
	if file == "" {
		<-ctx.Done()
		return nil
	}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the configuration: %w (more inotify instances may cure it: sysctl fs.inotify.max_user_instances)", err)
	}
	defer events.Close()
	watch := fileWatch{live: l, file: file, events: events}
	watch.follow()
	return watch.run(ctx)
}

type fileWatch struct {
	live   *Live
	file   string
	events *fsnotify.Watcher
	seen   []byte // digest of the content last loaded; nil: not readable
}

func (w *fileWatch) run(ctx context.Context) error {
	quiet := time.NewTimer(settle) // reads once at the start: the file may have changed since it was loaded
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.events.Events:
			if !ok {
				return errors.New("watch the configuration: the system ended the watch")
			}
			quiet.Reset(settle)
		case err := <-w.events.Errors:
			w.live.options.Logger.Warn("watch the configuration", "error", err)
		case <-quiet.C:
			w.follow()
			w.reloadIfChanged()
			quiet.Reset(look)
		}
	}
}

// reloadIfChanged compares contents, so that neighbours of the file, a touch or
// a change of its mode cause nothing. A file that is away for a moment is
// waited for.
func (w *fileWatch) reloadIfChanged() {
	digest := w.digest()
	if digest == nil || bytes.Equal(digest, w.seen) {
		return
	}
	w.seen = digest
	_, _ = w.live.Reload() // has logged what is wrong; the next change is another chance
}

func (w *fileWatch) digest() []byte {
	data, err := os.ReadFile(w.file)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

// follow watches the folder of the file and of what it links to: a watch on the
// file itself ends when another takes its name. Folders already watched stay so.
func (w *fileWatch) follow() {
	folders := []string{filepath.Dir(w.file)}
	if target, err := filepath.EvalSymlinks(w.file); err == nil {
		folders = append(folders, filepath.Dir(target))
	}
	for _, folder := range folders {
		if err := w.events.Add(folder); err != nil && w.seen == nil {
			w.live.options.Logger.Warn("watch the configuration", "folder", folder, "error", err)
		}
	}
}
