//go:build unix

package events

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lockFile takes an advisory lock that the kernel releases when the process
// ends, however it ends, and leaves the process id in the file for the message
// to whoever comes second.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the jetstream directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(file, 32))
		_ = file.Close()
		return nil, fmt.Errorf("locking %s: %w: process %s uses this jetstream directory; stop it, or choose another state_dir",
			path, err, or(strings.TrimSpace(string(owner)), "(unknown)"))
	}
	if err := file.Truncate(0); err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	return file, nil
}
