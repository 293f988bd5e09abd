package dicomio

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"neurotriage"
	"neurotriage/dicomio/codec"
)

// Slices yields the slices of the eligible series, series by series in the order
// of the study, decoded ahead on several goroutines within a small window. A
// *neurotriage.Refusal concerns the one slice whose header comes with it; any
// other error ends the iteration. Pixels belong to the receiver.
func (s *Study) Slices(ctx context.Context) iter.Seq2[neurotriage.Slice, error] {
	type job struct {
		header neurotriage.Slice
		from   *instance
	}
	var jobs []job
	for i, series := range s.study.Series {
		for j, header := range series.Slices {
			if series.Eligible {
				jobs = append(jobs, job{header, s.plan[i][j]})
			}
		}
	}
	type result struct {
		slice neurotriage.Slice
		err   error
	}
	n := workers(s.options.Parallel)
	return func(yield func(neurotriage.Slice, error) bool) {
		for _, r := range ordered(ctx, len(jobs), n, 2*n, func(ctx context.Context, i int) result {
			if err := ctx.Err(); err != nil {
				return result{jobs[i].header, err}
			}
			slice, err := jobs[i].from.slice(jobs[i].header.Index, s.options.Limits, &s.buffers)
			return result{slice, err}
		}) {
			if !yield(r.slice, r.err) || r.err != nil && asRefusal(r.err) == nil {
				return
			}
		}
	}
}

// readable tells from headers alone why an instance's pixels cannot be read.
func (i *instance) readable(limits Limits) *neurotriage.Refusal {
	if i.damaged != nil {
		return asRefusal(i.damaged)
	}
	name := func(r *neurotriage.Refusal) *neurotriage.Refusal {
		return &neurotriage.Refusal{Reason: r.Reason, Err: fmt.Errorf("instance %s in %s: %w", i.sopUID, i.file.Name, r.Err)}
	}
	if !i.image.present {
		return name(neurotriage.Refuse(neurotriage.CorruptDICOM, "there is no pixel data"))
	}
	if !i.canDecode() {
		return name(neurotriage.Refuse(neurotriage.UnsupportedTransferSyntax, "transfer syntax %s (%s) is not read", i.transferSyntax, syntaxName(i.transferSyntax)))
	}
	if i.pixels.encapsulated() && codecFor(i.transferSyntax) == nil {
		return name(neurotriage.Refuse(neurotriage.CorruptDICOM, "pixel data comes in fragments, transfer syntax %s has none", i.transferSyntax))
	}
	if err := asRefusal(i.image.check(limits)); err != nil {
		return name(err)
	}
	if err := asRefusal(i.holdsFrames()); err != nil {
		return name(err)
	}
	return nil
}

// slice reads and decodes one frame. buffers may be nil.
func (i *instance) slice(index int, limits Limits, buffers *sync.Pool) (neurotriage.Slice, error) {
	slice := i.header(index)
	if refusal := i.readable(limits); refusal != nil {
		return slice, refusal
	}
	raw, done, err := i.frame(buffers)
	if err != nil {
		err = judge(err, "read pixels of instance "+i.sopUID+" in", i.file.Name)
		return slice, err
	}
	slice.Pixels = make([]float32, slice.Rows*slice.Columns)
	unpack(slice.Pixels, raw, i.image, slice.Turn, i.order())
	done()
	return slice, nil
}

// order is the byte order of what frame returns: codecs give little endian.
func (i *instance) order() binary.ByteOrder {
	if len(i.pixels.fragments) > 0 {
		return binary.LittleEndian
	}
	return i.vrOrder.order()
}

// frame reads the native bytes of the frame; done gives the buffer back.
func (i *instance) frame(buffers *sync.Pool) (raw []byte, done func(), err error) {
	r, err := i.file.Open()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	in, err := i.pixelInput(r)
	if err != nil {
		return nil, nil, err
	}
	if i.store != nil && in.at == nil {
		if in, err = i.store.hold(in, i.pixels); err != nil {
			return nil, nil, err
		}
	}
	raw, done, err = i.decode(in, buffers)
	if err != nil {
		return nil, nil, err
	}
	if err := in.finish(); err != nil {
		done()
		return nil, nil, err
	}
	return raw, done, nil
}

// decode gives native bytes, whichever way they are stored.
func (i *instance) decode(in *input, buffers *sync.Pool) (raw []byte, done func(), err error) {
	need := i.image.frame.FrameBytes()
	if !i.pixels.encapsulated() {
		return i.native(in, need, buffers)
	}
	parts := i.pixels.fragments
	if i.store != nil {
		if parts, err = i.store.partsOf(in, i); err != nil {
			return nil, nil, err
		}
	}
	compressed, release, err := gather(in, parts, buffers)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	raw, done = borrow(buffers, need)
	if err := codecFor(i.transferSyntax)(raw, compressed, i.image.frame); err != nil {
		done()
		reason := neurotriage.CorruptDICOM
		if errors.Is(err, codec.ErrUnsupported) {
			reason = neurotriage.UnsupportedImage
		}
		return nil, nil, neurotriage.Refuse(reason, "decode %s: %w", syntaxName(i.transferSyntax), err)
	}
	return raw, done, nil
}

// pixelInput opens the stream that pixel offsets count in.
func (i *instance) pixelInput(r io.Reader) (*input, error) {
	in := newInput(r, i.file.Size)
	if i.deflated == 0 {
		return in, nil
	}
	if err := in.skip(i.deflated); err != nil {
		return nil, err
	}
	return newInput(flate.NewReader(&restOf{in}), -1), nil
}

// native reads an uncompressed frame. Frames lie behind one another without
// gaps, and what is behind the last is padding.
func (i *instance) native(in *input, need int, buffers *sync.Pool) ([]byte, func(), error) {
	start := int64(i.index()) * int64(need)
	end := start + int64(need)
	swapped := i.vrOrder.bigEndian && i.image.frame.BitsAllocated == 8 && i.pixels.vr == "OW"
	lead := int64(0)
	if swapped { // whole words
		lead = start % 2
		end = min(end+end%2, i.pixels.native.length)
	}
	raw, done := borrow(buffers, int(end-start+lead))
	err := in.skip(i.pixels.native.offset + start - lead)
	if err == nil {
		err = in.read(raw)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	if swapped { // bytes travel in big endian words (PS3.5 8.1.1)
		for j := 1; j < len(raw); j += 2 {
			raw[j-1], raw[j] = raw[j], raw[j-1]
		}
	}
	return raw[lead:][:need], done, nil
}

// gather joins the fragments of a frame (PS3.5 A.4).
func gather(in *input, parts []fragment, buffers *sync.Pool) ([]byte, func(), error) {
	length, err := total(parts)
	if err != nil {
		return nil, nil, err
	}
	joined, done := borrow(buffers, length)
	at := 0
	for _, f := range parts {
		if err := in.skip(f.offset - in.off); err != nil {
			done()
			return nil, nil, err
		}
		if err := in.read(joined[at : at+int(f.length)]); err != nil {
			done()
			return nil, nil, err
		}
		at += int(f.length)
	}
	return joined, done, nil
}

// borrow takes a buffer of n bytes from the pool.
func borrow(buffers *sync.Pool, n int) ([]byte, func()) {
	if buffers == nil {
		return make([]byte, n), func() {}
	}
	kept, _ := buffers.Get().(*[]byte)
	if kept == nil || cap(*kept) < n {
		fresh := make([]byte, n)
		kept = &fresh
	}
	return (*kept)[:n], func() { buffers.Put(kept) }
}

// ReadSlice reads one DICOM file of at most Limits.FileBytes as one slice. Zero
// limits take their defaults.
func ReadSlice(r io.Reader, limits Limits) (neurotriage.Slice, error) {
	limits = limits.orDefault()
	limits.Frames = 1
	data, err := io.ReadAll(io.LimitReader(r, limits.FileBytes+1))
	if err != nil {
		return neurotriage.Slice{}, fmt.Errorf("read file: %w", err)
	}
	file := File{Name: "the file", Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return memoryFile{bytes.NewReader(data)}, nil
	}}
	one, err := openInstance(context.Background(), file, limits, nil)
	if err == errNotDICOM { //nolint:errorlint // never wrapped
		return neurotriage.Slice{}, neurotriage.Refuse(neurotriage.NotDICOM, "read file: it is not DICOM")
	}
	if err != nil {
		return neurotriage.Slice{}, err
	}
	if one.damaged == nil && one.image.frames > 1 {
		return one.header(0), neurotriage.Refuse(neurotriage.UnsupportedImage, "read file: it holds %d frames, one slice is asked for", one.image.frames)
	}
	return one.slice(0, limits, nil)
}

// memoryFile is a file held in memory.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }
