package library

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Machine is what a library must suit. Root is where device files are looked
// for, "/" but in tests.
type Machine struct {
	OS, Arch string
	Root     string
	CPUOnly  bool // refuse what is made for a graphics device
}

// ThisMachine is the one the program runs on.
func ThisMachine() Machine {
	return Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Root: string(filepath.Separator)}
}

// NVIDIA reports whether the driver of an NVIDIA device is loaded.
func (m Machine) NVIDIA() bool { return m.any("proc/driver/nvidia/version", "dev/nvidiactl") }

// Graphics reports whether WebGPU may find a device.
func (m Machine) Graphics() bool {
	return m.OS == "darwin" || m.NVIDIA() || m.any("dev/dri/renderD*")
}

func (m Machine) any(patterns ...string) bool {
	for _, pattern := range patterns {
		if found, err := filepath.Glob(filepath.Join(m.Root, pattern)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// Suited gives the builds that this machine may use, best first. Every list ends
// with builds that do without a device, the smallest download first.
func (m Machine) Suited() []Build {
	rank := map[Kind]int{Plain: 1, WebGPU: 2, CUDA: 3}
	if m.Graphics() && !m.CPUOnly {
		rank[WebGPU] = 0
	}
	if m.NVIDIA() && !m.CPUOnly {
		rank[CUDA] = -1
	}
	var suited []Build
	for _, b := range Builds() {
		if b.OS == m.OS && b.Arch == m.Arch && (b.Kind != CUDA || rank[CUDA] < 0) {
			suited = append(suited, b)
		}
	}
	slices.SortStableFunc(suited, func(a, b Build) int { return cmp.Compare(rank[a.Kind], rank[b.Kind]) })
	return suited
}

// CacheDir is where libraries are kept: $NEUROTRIAGE_CACHE, or neurotriage in
// the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("NEUROTRIAGE_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "neurotriage"), nil
}
