package main

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"neurotriage/dicomio"
)

// zipped streams the files as one archive. Its names are numbers, since file
// names may hold patients' names. The reader must be closed.
func zipped(files []dicomio.File) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeZip(writer, files)) }()
	return reader
}

func writeZip(w io.Writer, files []dicomio.File) error {
	archive := zip.NewWriter(w)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestSpeed)
	})
	for i, file := range files {
		entry, err := archive.Create(fmt.Sprintf("%06d.dcm", i+1))
		if err == nil {
			err = copyFile(entry, file)
		}
		if err != nil {
			return fmt.Errorf("send %s: %w", file.Name, err)
		}
	}
	return archive.Close()
}

func copyFile(w io.Writer, file dicomio.File) error {
	r, err := file.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}
