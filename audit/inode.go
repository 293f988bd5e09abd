package audit

import (
	"os"
	"syscall"
)

// inode tells a file from another under any name; 0 when it is not there.
func inode(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
