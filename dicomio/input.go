package dicomio

import (
	"errors"
	"io"

	"neurotriage"
)

// windowBytes is how much of a file is read at once. Most MR headers need one
// or two windows; pixel data is skipped, not read.
const windowBytes = 8 << 10

// input reads one stream forwards through a small window. Where the stream can
// be read at an offset, skipping costs nothing.
type input struct {
	src    io.Reader
	at     io.ReaderAt // nil when the stream only runs forwards
	size   int64       // -1 when unknown
	window []byte
	r, w   int   // unread bytes are window[r:w]
	off    int64 // offset of window[r]
	magic  bool  // the file starts with a preamble
}

func newInput(src io.Reader, size int64) *input {
	at, _ := src.(io.ReaderAt)
	return &input{src: src, at: at, size: size}
}

// errTruncated marks that the file ends before what it announces.
var errTruncated = errors.New("the file ends too early")

// fill makes at least n bytes (n <= len(window)) available, or fails with
// errTruncated, or with the error of the disk below.
func (in *input) fill(n int) error {
	if in.w-in.r >= n {
		return nil
	}
	if in.window == nil { // who only reads at offsets needs none
		in.window = make([]byte, windowBytes)
	}
	copy(in.window, in.window[in.r:in.w])
	in.w -= in.r
	in.r = 0
	for in.w < n {
		got, err := in.pull(in.window[in.w:], in.off+int64(in.w))
		in.w += got
		if in.w >= n {
			return nil
		}
		if err != nil {
			return ended(err)
		}
	}
	return nil
}

// pull reads some bytes that stand at offset.
func (in *input) pull(dst []byte, offset int64) (int, error) {
	if in.at != nil {
		return in.at.ReadAt(dst, offset)
	}
	return in.src.Read(dst)
}

// ended turns the end of a stream into errTruncated and leaves other errors.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}

// peek shows the next n bytes; they are valid until the next call.
func (in *input) peek(n int) ([]byte, error) {
	if err := in.fill(n); err != nil {
		return nil, err
	}
	return in.window[in.r : in.r+n], nil
}

// next consumes n bytes, n <= len(window); they are valid until the next call.
func (in *input) next(n int) ([]byte, error) {
	b, err := in.peek(n)
	if err != nil {
		return nil, err
	}
	in.r += n
	in.off += int64(n)
	return b, nil
}

// read fills dst.
func (in *input) read(dst []byte) error {
	n := copy(dst, in.window[in.r:in.w])
	in.r += n
	in.off += int64(n)
	for n < len(dst) {
		got, err := in.pull(dst[n:], in.off)
		n += got
		in.off += int64(got)
		if err != nil && n < len(dst) {
			return ended(err)
		}
	}
	return nil
}

// skip moves n bytes ahead, and fails with errTruncated when the file is known
// to end before.
func (in *input) skip(n int64) error {
	if left := in.left(); left >= 0 && n > left {
		return errTruncated
	}
	if buffered := int64(in.w - in.r); n <= buffered {
		in.r += int(n)
		in.off += n
		return nil
	}
	n -= int64(in.w - in.r)
	in.off += int64(in.w - in.r)
	in.r, in.w = 0, 0
	if in.at == nil {
		skipped, err := io.CopyN(io.Discard, in.src, n)
		in.off += skipped
		if err != nil {
			return ended(err)
		}
		return nil
	}
	in.off += n
	return nil
}

// finish reads the last bytes of a stream that carries a checksum at its end, so
// that a damaged archive entry is noticed. Long tails are not worth the time.
func (in *input) finish() error {
	if in.at != nil {
		return nil
	}
	_, err := io.CopyN(io.Discard, in.src, 64<<10)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// left is how many bytes remain, or -1 when nobody knows.
func (in *input) left() int64 {
	if in.size < 0 {
		return -1
	}
	return in.size - in.off
}

// boundedReader stops an inflation that grows beyond its limit.
type boundedReader struct {
	src  io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, neurotriage.Refuse(neurotriage.TooLarge, "the deflated data set inflates beyond the limit")
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.src.Read(p)
	b.left -= int64(n)
	return n, err
}
