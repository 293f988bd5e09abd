package dicomio

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// How long a file that is still being written is waited for. A store that pauses
// longer than settleQuiet has stopped, as far as anybody can tell.
const (
	settlePoll  = 100 * time.Millisecond
	settleQuiet = 500 * time.Millisecond
	settleBound = 10 * time.Second
	settleTotal = time.Minute     // by all files of one place together
	settleFresh = 3 * time.Second // a damaged file that was written this lately may grow
)

// patience is what is left of settleTotal, in nanoseconds.
type patience struct{ left atomic.Int64 }

func newPatience() *patience {
	p := &patience{}
	p.left.Store(int64(settleTotal))
	return p
}

// spend reports whether there is patience for a while more.
func (p *patience) spend(d time.Duration) bool { return p != nil && p.left.Add(-int64(d)) >= 0 }

// sized is an open file that can tell its size anew.
type sized interface{ Stat() (fs.FileInfo, error) }

// sizeNow gives the size of an open file, or listed where it cannot tell.
func sizeNow(r io.Reader, listed int64) int64 {
	if file, ok := r.(sized); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return listed
}

// fresh reports a file that was written a moment ago and can be read anew.
func fresh(r io.Reader) bool {
	file, ok := r.(sized)
	if _, again := r.(io.ReaderAt); !ok || !again {
		return false
	}
	info, err := file.Stat()
	return err == nil && time.Since(info.ModTime()).Abs() < settleFresh
}

// settled waits until the file's size has not changed for a while, and gives it.
// The wait is bounded: a file that still grows then is read as it is, and what it
// lacks is refused as in any other.
func settled(ctx context.Context, r io.Reader, size int64, wait *patience) (int64, error) {
	quiet, waited := time.Duration(0), time.Duration(0)
	for quiet < settleQuiet && waited < settleBound && wait.spend(settlePoll) {
		select {
		case <-ctx.Done():
			return size, ctx.Err()
		case <-time.After(settlePoll):
		}
		waited += settlePoll
		quiet += settlePoll
		if now := sizeNow(r, size); now != size {
			size, quiet = now, 0
		}
	}
	return size, nil
}

// settledZip opens an archive, which it closes when it fails, and waits for one that
// has no end yet.
func settledZip(ctx context.Context, file *os.File, size int64) (Source, error) {
	z := newZip(file, size)
	now := sizeNow(file, size)
	if z.err == nil || now == size && !fresh(file) {
		return z, nil
	}
	size, err := settled(ctx, file, now, newPatience())
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return newZip(file, size), nil
}
