package evaluation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrLayout marks a folder that is not laid out by class.
var ErrLayout = errors.New("not laid out as one folder per class")

// File is one file to score.
type File struct {
	Path  string
	Truth int // index of its folder's label
}

// List gives the files below dir, which holds one folder per label, sorted by
// label and path, and the labels whose folder is missing or empty. Hidden files
// and folders are left out; a folder that is no label is an error, since its
// files would be missing from the figures.
func List(dir string, labels []string) (files []File, missing []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list the classes of %s: %w", dir, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !hidden(name) && !slices.Contains(labels, name) {
			return nil, nil, fmt.Errorf("folder %q in %s is no class of the model: %w; name the folders %s",
				name, dir, ErrLayout, strings.Join(labels, ", "))
		}
	}
	for truth, label := range labels {
		before := len(files)
		err := filepath.WalkDir(filepath.Join(dir, label), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case hidden(entry.Name()) && entry.IsDir():
				return filepath.SkipDir
			case !hidden(entry.Name()) && !entry.IsDir():
				files = append(files, File{Path: path, Truth: truth})
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("list the files of class %s: %w", label, err)
		}
		if len(files) == before {
			missing = append(missing, label)
		}
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("no files in the class folders of %s: %w; it needs folders named %s",
			dir, ErrLayout, strings.Join(labels, ", "))
	}
	return files, missing, nil
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }
