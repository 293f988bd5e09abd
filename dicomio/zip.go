package dicomio

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"syscall"

	"neurotriage"
)

// zipSource reads the entries of an archive. Their names are never used as
// paths.
type zipSource struct {
	archive *zip.Reader
	err     error
	close   func() error
}

// Zip reads the archive in r, which has size bytes. Archives within the archive
// are not opened. If r is an io.Closer it is closed with the source.
func Zip(r io.ReaderAt, size int64) Source { return newZip(r, size) }

func newZip(r io.ReaderAt, size int64) *zipSource {
	archive, err := zip.NewReader(r, size)
	z := &zipSource{archive: archive, err: err, close: func() error { return nil }}
	if closer, ok := r.(io.Closer); ok {
		z.close = closer.Close
	}
	return z
}

// Close closes the archive's file.
func (z *zipSource) Close() error { return z.close() }

// List yields the archive's files.
func (z *zipSource) List(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		if z.err != nil {
			yield(File{}, judgeArchive(z.err))
			return
		}
		entries := slices.Clone(z.archive.File)
		slices.SortStableFunc(entries, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
		for _, entry := range entries {
			if ctx.Err() != nil {
				yield(File{}, ctx.Err())
				return
			}
			if !entry.Mode().IsRegular() {
				continue
			}
			file := File{
				Name: entry.Name, Size: int64(min(entry.UncompressedSize64, 1<<62)),
				Packed: int64(min(entry.CompressedSize64, 1<<62)), Open: func() (io.ReadCloser, error) { return openEntry(entry) },
			}
			if !yield(file, nil) {
				return
			}
		}
	}
}

// openEntry opens one entry. Whatever is wrong and is no fault of the disk is one
// of the archive, which may place entries where there is nothing.
func openEntry(entry *zip.File) (io.ReadCloser, error) {
	r, err := entry.Open()
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return nil, neurotriage.Refuse(neurotriage.CorruptDICOM, "open zip entry: %w", err)
	}
	return r, err
}

// judgeArchive says that an archive is broken; disks that fail stay what they are.
func judgeArchive(err error) error {
	err = judge(err, "open", "the archive")
	if refusal := asRefusal(err); refusal != nil {
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "read zip: %w", refusal.Err)
	}
	return err
}
