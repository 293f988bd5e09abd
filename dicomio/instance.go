package dicomio

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"neurotriage"
)

// instance is one DICOM file whose headers were looked at.
type instance struct {
	file File
	attributes
	pixels   pixelPlace
	vrOrder  syntax // how native pixels are laid out
	damaged  error  // the *neurotriage.Refusal of a file that is not whole, or nil
	deflated int64  // offset of the deflate stream, 0 when there is none
	number   int    // of the frame that this view shows, from 1; 0 for the file itself
	store    *frameStore
}

// errNotDICOM marks files to be skipped.
var errNotDICOM = errors.New("not a DICOM file")

const (
	preambleBytes = 128
	magic         = "DICM"
	headBytes     = preambleBytes + int64(len(magic)) // what begins every file that has a preamble
)

// openInstance reads the headers of one file. A damaged file comes back with
// what could be read of it and damaged set. A file whose size is not the listed
// one, or that is damaged and was written a moment ago, may still be growing: it is
// waited for and read anew.
func openInstance(ctx context.Context, file File, limits Limits, wait *patience) (*instance, error) {
	r, err := file.Open()
	if err != nil {
		return nil, judge(err, "open", file.Name)
	}
	defer r.Close()
	size := sizeNow(r, file.Size)
	growing := size != file.Size
	for {
		if growing {
			if size, err = settled(ctx, r, size, wait); err != nil {
				return nil, err
			}
			file.Size = size
		}
		found, err := openHeaders(r, file, limits)
		if growing || !unfinished(found, err, file.Size) {
			return found, err
		}
		if size = sizeNow(r, file.Size); size == file.Size && !fresh(r) {
			return found, err
		}
		growing = true
	}
}

// unfinished reports what may be the beginning of a file.
func unfinished(found *instance, err error, size int64) bool {
	if err != nil {
		return err == errNotDICOM && size < headBytes //nolint:errorlint // never wrapped
	}
	return found.damaged != nil
}

// openHeaders reads the headers of an open file. Only files that can be read at
// an offset are read more than once.
func openHeaders(r io.Reader, file File, limits Limits) (*instance, error) {
	in := newInput(r, file.Size)
	if !looksLikeDICOM(in) {
		return nil, errNotDICOM
	}
	if file.Size > limits.FileBytes {
		return nil, neurotriage.Refuse(neurotriage.TooLarge, "open %s: %d bytes, at most %d are allowed", file.Name, file.Size, limits.FileBytes)
	}
	found := &instance{file: file}
	v, vetErr := vet(in, limits)
	found.pixels, found.vrOrder, found.deflated = v.pixels, v.layout, v.deflated
	var readErr error
	found.attributes, readErr = read(v)
	if found.studyUID != "" {
		readErr = cmp.Or(readErr, checkUID(found.studyUID))
	}
	if err := errors.Join(vetErr, readErr); err != nil {
		err = judge(err, "read", file.Name)
		if found.damaged = err; asRefusal(err) == nil {
			return nil, err
		}
	}
	if found.studyUID == "" && found.sopClass == "" && !in.magic {
		return nil, errNotDICOM
	}
	return found, nil
}

// looksLikeDICOM accepts files with a preamble (PS3.10 7.1), and those without
// whose first element belongs to the file meta or identification group.
func looksLikeDICOM(in *input) bool {
	if head, err := in.peek(preambleBytes + len(magic)); err == nil && bytes.Equal(head[preambleBytes:], []byte(magic)) {
		in.magic = true
		return true
	}
	head, err := in.peek(8)
	if err != nil {
		return false
	}
	little := (head[0] == 2 || head[0] == 8) && head[1] == 0
	big := head[0] == 0 && head[1] == 8
	switch {
	case knownVR(string(head[4:6])):
		return little || big
	case little: // implicit: the first elements of group 8 are short
		return head[6] == 0 && head[7] == 0 && dictionaryVR(uint32(head[0])<<16|uint32(head[3])<<8|uint32(head[2])) != "UN"
	}
	return false
}

// checkUID refuses a study UID that no event could carry.
func checkUID(uid string) error {
	if err := neurotriage.CheckUID(uid); err != nil {
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "study instance uid: %w", err)
	}
	return nil
}

// identified reports whether the headers name the instance.
func (i *instance) identified() bool {
	return i.studyUID != "" && i.seriesUID != "" && i.sopUID != ""
}
