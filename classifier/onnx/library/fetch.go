package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// Fetcher brings libraries into a cache.
type Fetcher struct {
	Machine Machine
	Cache   string
	Clients Clients
	Log     io.Writer // what it does, in lines for a person
}

// Fetch gives the path of a library for this machine: out of the cache when it
// is there and whole, else through a registry's client. Builds are tried best
// first; one whose client is missing or fails is passed over, and said so.
func (f Fetcher) Fetch(ctx context.Context) (string, error) {
	suited := f.Machine.Suited()
	if len(suited) == 0 {
		return "", fmt.Errorf("fetching ONNX Runtime: no build for %s/%s is in the table; build it yourself and name it in the configuration (onnxruntime.library)",
			f.Machine.OS, f.Machine.Arch)
	}
	var errs []error
	for _, build := range suited {
		library, err := f.build(ctx, build)
		if err == nil {
			return library, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("fetching ONNX Runtime: %w", context.Cause(ctx))
		}
		f.say("%s: %v", build.Name(), err)
		errs = append(errs, fmt.Errorf("%s: %w", build.Name(), err))
	}
	err := errors.Join(errs...)
	if allMissing(errs) {
		return "", fmt.Errorf("fetching ONNX Runtime: neither npm nor pip is here: install one of them (Debian: apt-get install python3-pip, or npm), "+
			"or name a libonnxruntime of release %s in the configuration (onnxruntime.library): %w", Version, err)
	}
	return "", fmt.Errorf("fetching ONNX Runtime: %w", err)
}

func allMissing(errs []error) bool {
	for _, err := range errs {
		if !errors.Is(err, ErrNoClient) {
			return false
		}
	}
	return true
}

// build brings one build into the cache. Whole files in it are left alone;
// damaged ones are replaced. Each file appears under its name by a rename, so
// that others never see half of one.
func (f Fetcher) build(ctx context.Context, build Build) (string, error) {
	var wanted []File
	for _, file := range build.Files {
		err := checkFile(place(f.Cache, build, file), file)
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrNotExist) {
			f.say("%v; fetching it again", err)
		}
		wanted = append(wanted, file)
	}
	library := place(f.Cache, build, build.Library())
	if len(wanted) == 0 {
		f.say("ONNX Runtime %s is in the cache, whole: %s", Version, library)
		return library, nil
	}
	if !build.Proven {
		f.say("%s was never run by its makers: the golden check at start decides", build.Name())
	}
	for len(wanted) > 0 {
		n := 1
		for n < len(wanted) && wanted[n].Package == wanted[0].Package {
			n++
		}
		if err := f.pkg(ctx, build, wanted[:n]); err != nil {
			return "", err
		}
		wanted = wanted[n:]
	}
	f.say("ONNX Runtime %s is in %s", Version, library)
	return library, nil
}

// pkg fetches one package and takes files out of it.
func (f Fetcher) pkg(ctx context.Context, build Build, files []File) error {
	dir := filepath.Dir(place(f.Cache, build, files[0]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	scratch, err := os.MkdirTemp(dir, ".fetch-") // beside the target: a rename cannot leave the file system
	if err != nil {
		return fmt.Errorf("making a scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch) // what is left is swept by nobody, and harms nobody
	f.say("asking %s for %s (%s/%s)", files[0].Client, files[0].Package, build.OS, build.Arch)
	archive, err := f.Clients.Download(ctx, files[0], scratch)
	if err != nil {
		return err
	}
	for _, file := range files {
		taken := filepath.Join(scratch, path.Base(file.Member))
		if err := extract(archive, file, taken); err != nil {
			return fmt.Errorf("taking %s out of %s: %w", file.Member, filepath.Base(archive), err)
		}
		if err := checkFile(taken, file); err != nil {
			return err
		}
		if err := os.Rename(taken, place(f.Cache, build, file)); err != nil {
			return fmt.Errorf("putting %s into the cache: %w", path.Base(file.Member), err)
		}
		f.say("%s: sha256 %s is right", path.Base(file.Member), file.SHA256)
	}
	return nil
}

func (f Fetcher) say(format string, args ...any) {
	_, _ = fmt.Fprintf(f.Log, "onnxruntime: "+format+"\n", args...) // a lost line changes nothing
}
