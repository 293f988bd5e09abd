package dicomio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"

	"neurotriage"
)

// dirSource reads beneath one root, and cannot leave it.
type dirSource struct {
	root       *os.Root
	path       string
	mayBeEmpty bool // a folder that a person named may hold nothing
	archive    Source
}

// Dir reads the folder, the file or the zip archive at a path below root, which
// may not leave it: not by "..", not by being absolute, not by a link. A root
// that cannot be read, or holds nothing at all (an unmounted share), is a fault
// of the surroundings. Dir takes root over: open one for each study, so that a
// share that was mounted again is seen.
func Dir(root *os.Root, path string) Source { return &dirSource{root: root, path: path} }

// Close closes the root.
func (d *dirSource) Close() error {
	var err error
	if d.archive != nil {
		err = d.archive.Close()
	}
	return errors.Join(err, d.root.Close())
}

// List walks the folder. Linked folders below it are not entered, linked files
// are read when they stay beneath the root, and refused when they do not.
func (d *dirSource) List(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		start, err := d.start()
		if err == nil {
			d.archive, err = d.zipAt(ctx, start)
		}
		if err != nil {
			yield(File{}, err)
			return
		}
		if d.archive != nil {
			d.archive.List(ctx)(yield)
			return
		}
		err = fs.WalkDir(d.root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return judge(err, "list", name)
			}
			return d.visit(name, entry, yield)
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(File{}, err)
		}
	}
}

// errStop ends a walk whose receiver has enough.
var errStop = errors.New("stop")

// start gives the path in the form of package fs, and tells a study that is not
// there from a root that is not there.
func (d *dirSource) start() (string, error) {
	if d.path != "" && !filepath.IsLocal(d.path) {
		return "", neurotriage.Refuse(neurotriage.PathNotAllowed, "open %q: it is not below the root", d.path)
	}
	start := path.Clean(filepath.ToSlash(d.path))
	if err := d.alive(); err != nil {
		return "", err
	}
	if _, err := d.root.Stat(start); err != nil {
		return "", judge(err, "open", d.path)
	}
	return start, nil
}

// zipAt opens the archive that the path names, or gives nil.
func (d *dirSource) zipAt(ctx context.Context, name string) (Source, error) {
	info, err := d.root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, judge(err, "open", name)
	}
	file, err := d.root.Open(name)
	if err != nil {
		return nil, judge(err, "open", name)
	}
	if !isZip(file) {
		return nil, file.Close()
	}
	return settledZip(ctx, file, info.Size())
}

// alive looks for a sign of life in the root.
func (d *dirSource) alive() error {
	folder, err := d.root.Open(".")
	if err == nil {
		_, err = folder.ReadDir(1)
		err = errors.Join(err, folder.Close())
	}
	if errors.Is(err, io.EOF) && d.mayBeEmpty {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty, as an unmounted share is")
	}
	if err != nil {
		return fmt.Errorf("look into the root %s: %w: %w", d.root.Name(), neurotriage.ErrSurroundings, err)
	}
	return nil
}

// open opens a file that was listed. When it is gone, the root may be gone too;
// when it is not, the study is still being moved, and a retry may find it.
func (d *dirSource) open(name string) (io.ReadCloser, error) {
	file, err := d.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cmp.Or(d.alive(), fmt.Errorf("it was listed and is gone: %v", err)) //nolint:errorlint // not "study not found"
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

// visit hands out one entry of the walk.
func (d *dirSource) visit(name string, entry fs.DirEntry, yield func(File, error) bool) error {
	if entry.IsDir() {
		return nil
	}
	info, err := d.root.Stat(name)
	if err != nil {
		if entry.Type()&fs.ModeSymlink == 0 && errors.Is(err, fs.ErrNotExist) {
			return nil // moved away while we looked
		}
		return judge(err, "open", name)
	}
	if !info.Mode().IsRegular() {
		return nil // linked folders, sockets, pipes, devices
	}
	if !yield(File{Name: name, Size: info.Size(), Open: func() (io.ReadCloser, error) { return d.open(name) }}, nil) {
		return errStop
	}
	return nil
}
