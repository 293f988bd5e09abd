package dicomio

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// How long a file that is still being written is waited for. A store that pauses
// longer than settleQuiet has stopped, as far as anybody can tell.
const (
	settlePoll  = 100 * time.Millisecond
	settleQuiet = 500 * time.Millisecond
	settleBound = 10 * time.Second
)

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

// settled waits until the file's size has not changed for a while, and gives it.
// The wait is bounded: a file that still grows then is read as it is, and what it
// lacks is refused as in any other.
func settled(ctx context.Context, r io.Reader, size int64) (int64, error) {
	quiet, waited := time.Duration(0), time.Duration(0)
	for quiet < settleQuiet && waited < settleBound {
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
