//go:build unix

package pacs

import (
	"fmt"
	"syscall"
)

// freeBytes is what a user without privileges may still write to path's disk.
func freeBytes(path string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", path, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil //nolint:gosec // a block size is positive; its type differs by system
}
