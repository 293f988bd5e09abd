package dicomio

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"

	"neurotriage"
)

// pathsSource is several sources behind one another.
type pathsSource struct {
	paths   []string
	sources []Source
}

// Paths reads files, folders and zip archives of the local disk, mixed. It is
// for commands that a person types: paths are not confined to a root.
func Paths(paths []string) Source { return &pathsSource{paths: paths} }

// Close closes what List opened.
func (p *pathsSource) Close() error {
	var errs []error
	for _, source := range p.sources {
		errs = append(errs, source.Close())
	}
	p.sources = nil
	return errors.Join(errs...)
}

// List opens one path after the other. It is called once.
func (p *pathsSource) List(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, path := range p.paths {
			source, err := openPath(ctx, path)
			if err != nil {
				yield(File{}, judge(err, "open", path))
				return
			}
			p.sources = append(p.sources, source)
			for file, err := range source.List(ctx) {
				file.Name = filepath.Join(path, file.Name)
				if !yield(file, err) || err != nil {
					return
				}
			}
		}
	}
}

// openPath makes the source that fits what lies at path.
func openPath(ctx context.Context, path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		return &dirSource{root: root, path: ".", mayBeEmpty: true}, nil
	}
	if !info.Mode().IsRegular() {
		return nil, neurotriage.Refuse(neurotriage.NotDICOM, "it is neither a file nor a folder")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if isZip(file) {
		return settledZip(ctx, file, info.Size())
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return &fileSource{path: path, size: info.Size()}, nil
}

// isZip looks for the signature of an archive's first entry, or of an empty one.
func isZip(r io.ReaderAt) bool {
	var head [4]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return false
	}
	return string(head[:]) == "PK\x03\x04" || string(head[:]) == "PK\x05\x06"
}

// fileSource is a single file.
type fileSource struct {
	path string
	size int64
}

func (f *fileSource) List(context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		yield(File{Size: f.size, Open: func() (io.ReadCloser, error) { return os.Open(f.path) }}, nil)
	}
}

func (f *fileSource) Close() error { return nil }
