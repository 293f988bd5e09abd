//go:build unix

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// leastFree is the free space of the state directory's disk below which no work
// is taken: room for JetStream to store what is in flight.
const leastFree = 256 << 20 // bytes

// freeBytes is what a user without privileges may still write to path's disk.
func freeBytes(path string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", path, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil //nolint:gosec // a block size is positive; its type differs by system
}

// disk watches over the state directory.
type disk struct {
	dir   string
	least uint64
	free  func(path string) (uint64, error) // freeBytes, or a test's
}

// check reports an error of the surroundings when the disk is full or gone.
func (d disk) check() error {
	free, err := d.free(d.dir)
	if err == nil && free < d.least {
		err = fmt.Errorf("the disk of state_dir %s has %d MB left and the daemon wants %d: free some space, "+
			"or shorten nats.retention", d.dir, free>>20, d.least>>20)
	}
	if err != nil {
		return &fault{err: err, over: d.check}
	}
	return nil
}

// lockState makes the state directory and takes it for this daemon alone. The
// kernel releases the lock when the process ends, however it ends.
func lockState(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making state_dir %s: %w", dir, err)
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of state_dir: %w; the daemon's user needs to write there", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner := make([]byte, 32)
		n, _ := file.ReadAt(owner, 0)
		_ = file.Close()
		return nil, fmt.Errorf("locking %s: %w: the daemon with process id %s uses this state_dir; stop it, or choose another",
			path, err, strings.TrimSpace(string(owner[:n])))
	}
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for the message above only
	return file, nil
}
