package dicomio

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"syscall"

	"neurotriage"
)

// Source lists the files of one location and opens them, from several
// goroutines at once. Open and Scan of this package take a source over: it is
// closed with the last study made from it, or at once when they fail.
type Source interface {
	// List yields every regular file in the order of names. Its errors are
	// refusals, or wrap neurotriage.ErrSurroundings, or are plain.
	List(ctx context.Context) iter.Seq2[File, error]
	Close() error
}

// File is one file of a source, not read yet.
type File struct {
	Name string
	Size int64 // as announced by the file system or archive
	// Packed is the size within an archive, 0 for what is not packed.
	Packed int64
	Open   func() (io.ReadCloser, error)
}

// errEscapes is the text that package os gives to paths that leave an os.Root;
// it exports no value for it.
const errEscapes = "path escapes from parent"

// judge sorts an error of reading into the three kinds that the daemon knows:
// what is wrong with the data, what is wrong with the surroundings, and the rest,
// which may be tried again.
func judge(err error, doing, name string) error {
	var refusal *neurotriage.Refusal
	var path *fs.PathError
	var errno syscall.Errno
	var deflate flate.CorruptInputError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return &neurotriage.Refusal{Reason: refusal.Reason, Err: fmt.Errorf("%s %s: %w", doing, name, refusal.Err)}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &path) && path.Err.Error() == errEscapes:
		return neurotriage.Refuse(neurotriage.PathNotAllowed, "%s %s: it leaves the root", doing, name)
	case errors.Is(err, syscall.ELOOP):
		return neurotriage.Refuse(neurotriage.PathNotAllowed, "%s %s: its links go round in circles", doing, name)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return neurotriage.Refuse(neurotriage.StudyNotFound, "%s %s: %w", doing, name, err)
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL):
		return neurotriage.Refuse(neurotriage.PathNotAllowed, "%s %s: %w", doing, name, err)
	case errors.As(err, &deflate), errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat),
		errors.Is(err, zip.ErrAlgorithm), errors.Is(err, errTruncated),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "%s %s: %w", doing, name, err)
	case errors.As(err, &errno) && !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w: %w", doing, name, neurotriage.ErrSurroundings, err)
	}
	return fmt.Errorf("%s %s: %w", doing, name, err)
}

// asRefusal gives the refusal in err, or nil when err is of another kind.
func asRefusal(err error) *neurotriage.Refusal {
	var refusal *neurotriage.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return nil
}
