package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"neurotriage"
	"neurotriage/report"
)

// save writes a study's finding, reading, key images and report objects into a
// folder named by its UID, in place of those of an earlier run, and gives the
// finding, which lists the reports.
func save(out string, reading neurotriage.Reading) (neurotriage.Finding, error) {
	uid := reading.Finding.StudyInstanceUID
	if err := neurotriage.CheckUID(uid); err != nil { // it becomes a folder's name
		uid = "unknown-" + reading.Finding.ID
	}
	folder := filepath.Join(out, uid)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return reading.Finding, fmt.Errorf("make the folder of study %s: %w", uid, err)
	}
	err := removeStale(folder)
	pictures, drawErr := report.DrawKeyImages(reading)
	objects, objectsErr := report.Objects(reading, report.Context{Version: version, Zone: time.Local, Pictures: pictures})
	for _, object := range objects {
		reading.Finding.Reports = append(reading.Finding.Reports, neurotriage.ReportRef{Kind: object.Kind, SOPInstanceUID: object.SOPInstanceUID})
	}
	err = errors.Join(err, drawErr, objectsErr,
		writeFile(filepath.Join(folder, "finding.json"), func(w io.Writer) error { return writeJSON(w, reading.Finding) }),
		writeFile(filepath.Join(folder, "reading.json"), func(w io.Writer) error { return report.WriteReading(w, reading) }),
	)
	for i, picture := range pictures {
		if picture != nil {
			name := filepath.Join(folder, fmt.Sprintf("key-%d.png", i+1))
			err = errors.Join(err, writeFile(name, func(w io.Writer) error { return report.WritePNG(w, picture) }))
		}
	}
	return reading.Finding, errors.Join(err, saveObjects(folder, objects))
}

// saveObjects writes DICOM objects by their kind: sr.dcm, key-object.dcm,
// key-image-1.dcm and so on.
func saveObjects(folder string, objects []report.Object) error {
	names := map[string]string{report.KindSR: "sr", report.KindKeyObject: "key-object"}
	images := 0
	var err error
	for _, object := range objects {
		name, one := names[object.Kind]
		if !one {
			images++
			name = fmt.Sprintf("key-image-%d", images)
		}
		err = errors.Join(err, writeFile(filepath.Join(folder, name+".dcm"), func(w io.Writer) error {
			_, err := w.Write(object.Bytes)
			return err
		}))
	}
	return err
}

// removeStale removes what an earlier run left: a picture or report of another
// reading must not lie beside this one.
func removeStale(folder string) error {
	var all error
	for _, pattern := range []string{"key-*.png", "key-image-*.dcm", "key-object.dcm", "sr.dcm"} {
		stale, err := filepath.Glob(filepath.Join(escapeGlob(folder), pattern))
		all = errors.Join(all, err)
		for _, name := range stale {
			all = errors.Join(all, os.Remove(name))
		}
	}
	return all
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
