package library

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// SystemDir is where packages of the operating system put the library.
const SystemDir = "/usr/lib/neurotriage"

// Cure is what to do when no library is there.
const Cure = "fetch it with `make run` or `go run ./classifier/onnx/library/fetch`, " +
	"or name a libonnxruntime of release " + Version + " in the configuration (onnxruntime.library)"

// ErrMissing says that no usable library was found; its text holds the cure.
var ErrMissing = errors.New("no ONNX Runtime library was found")

// Find gives the library to load: the explicit path if there is one, else the
// best build for this machine in the cache, else that of the operating system.
// A cached library is checked by its SHA-256 each time, since it becomes code of
// this process.
func Find(explicit string) (string, error) {
	if explicit != "" {
		if _, err := os.Stat(explicit); err != nil {
			return "", fmt.Errorf("using the configured ONNX Runtime library: %w", err)
		}
		return explicit, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: the cache folder is not known: %w; set NEUROTRIAGE_CACHE", ErrMissing, err)
	}
	return find(ThisMachine(), cache, SystemDir)
}

func find(machine Machine, cache, system string) (string, error) {
	var faults []error
	for _, build := range machine.Suited() {
		path, err := cached(cache, build)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	for _, pattern := range []string{"libonnxruntime.so.1*", "libonnxruntime.so", "libonnxruntime*.dylib"} {
		if found, err := filepath.Glob(filepath.Join(system, pattern)); err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	if len(faults) > 0 {
		return "", fmt.Errorf("%w for %s/%s: %w; %s", ErrMissing, machine.OS, machine.Arch, errors.Join(faults...), Cure)
	}
	return "", fmt.Errorf("%w for %s/%s in %s and %s; %s", ErrMissing, machine.OS, machine.Arch, cache, system, Cure)
}

// place is where the cache keeps a file of a build.
func place(cache string, build Build, file File) string {
	return filepath.Join(cache, "onnxruntime", Version, build.Name(), string(file.Client), path.Base(file.Member))
}

// cached gives the library of a build that lies whole in the cache. Files beside
// it are judged by their size: they come to gigabytes, and ran through the
// digest when they were fetched.
func cached(cache string, build Build) (string, error) {
	for _, file := range build.Files[:len(build.Files)-1] {
		info, err := os.Stat(place(cache, build, file))
		if err != nil {
			return "", err
		}
		if info.Size() != file.Bytes {
			return "", fmt.Errorf("%s has %d bytes, %d are right", place(cache, build, file), info.Size(), file.Bytes)
		}
	}
	library := place(cache, build, build.Library())
	return library, checkFile(library, build.Library())
}

// checkFile compares a file with the table.
func checkFile(path string, want File) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("%s is damaged or not what was asked for: its SHA-256 is %s, %s is right", path, got, want.SHA256)
	}
	return nil
}
