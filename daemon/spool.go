package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const spoolPattern = "object-*.zip"

// spool keeps downloads on the disk of the state directory while they are read.
type spool struct {
	dir   string
	guard func() error // asks after the disk
}

// clean makes the folder and removes what a killed daemon left in it.
func (s spool) clean() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("making the spool folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(s.dir, spoolPattern))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing a leftover download: %w", err)
		}
	}
	return nil
}

// fill downloads into a file that has no name any more when fill returns: the
// system frees it when it is closed, also after kill -9. Trouble with the disk
// is a fault of the surroundings; the download's own errors come as they are.
func (s spool) fill(download func(io.Writer) (int64, error)) (file *os.File, size int64, err error) {
	if err := s.guard(); err != nil {
		return nil, 0, err
	}
	file, err = os.CreateTemp(s.dir, spoolPattern)
	if err != nil {
		return nil, 0, s.fault("making a file in the spool folder", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, 0, errors.Join(s.fault("unlinking a spool file", err), file.Close())
	}
	sink := &witness{w: file}
	size, err = download(sink)
	if sink.err != nil {
		err = s.fault("writing to the spool folder", sink.err)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, size, nil
}

// fault is over when the disk has room again.
func (s spool) fault(what string, err error) error {
	return &fault{err: fmt.Errorf("%s: %w", what, err), over: s.guard}
}

// witness remembers the disk's error, which a downloader may wrap or replace.
type witness struct {
	w   io.Writer
	err error
}

func (w *witness) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}
