package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"neurotriage"
	"neurotriage/report"
)

// save writes a study's finding, reading and key images into a folder named by
// its UID, in place of those of an earlier run.
func save(out string, reading neurotriage.Reading) error {
	uid := reading.Finding.StudyInstanceUID
	if err := neurotriage.CheckUID(uid); err != nil { // it becomes a folder's name
		uid = "unknown-" + reading.Finding.ID
	}
	folder := filepath.Join(out, uid)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of study %s: %w", uid, err)
	}
	stale, err := filepath.Glob(filepath.Join(escapeGlob(folder), "key-*.png"))
	for _, name := range stale { // a picture of another reading must not lie beside this one
		err = errors.Join(err, os.Remove(name))
	}
	err = errors.Join(err,
		writeFile(filepath.Join(folder, "finding.json"), func(w io.Writer) error { return writeJSON(w, reading.Finding) }),
		writeFile(filepath.Join(folder, "reading.json"), func(w io.Writer) error { return report.WriteReading(w, reading) }),
	)
	for i := range reading.Keys {
		name := filepath.Join(folder, fmt.Sprintf("key-%d.png", i+1))
		err = errors.Join(err, writeFile(name, func(w io.Writer) error { return report.WriteKeyImage(w, reading, i) }))
	}
	return err
}

// escapeGlob takes the meaning from what filepath.Match would read as a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// writeFile makes the file whole or not at all.
func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = errors.Join(write(file), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}
