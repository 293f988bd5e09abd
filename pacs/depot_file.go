package pacs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"neurotriage/dicomio"
	"neurotriage/pacs/dimse"
)

// maxVariants bounds how often an object may come with other content under the
// same UID. Two show that something is wrong.
const maxVariants = 4

// arrival is one object in the folder of arrivals.
type arrival struct {
	depot *Depot
	name  string // below the depot's root; empty once it has moved on
	head  dicomio.Head
	size  int64
}

// discard removes what has not moved on.
func (a *arrival) discard() {
	if a.name == "" {
		return
	}
	if err := a.depot.root.Remove(a.name); err != nil {
		a.depot.log.Warn("removing an object that is not kept", "file", a.name, "err", err)
	}
}

// write streams an object to the disk and looks at its headers as they pass.
func (d *Depot) write(ctx context.Context, in Incoming, data io.Reader) (_ *arrival, err error) {
	a := &arrival{depot: d, name: arrivals + "/" + rand.Text()}
	file, err := d.root.OpenFile(a.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			a.discard()
		}
	}()
	pad := d.pads.Get().(*pad) //nolint:forcetypeassert // nothing else is put there
	defer func() { pad.out.Reset(nil); d.pads.Put(pad) }()
	pad.out.Reset(file)
	counted := &meter{w: pad.out, limit: d.opts.Limits.FileBytes}
	if !in.Part10 {
		data = io.MultiReader(bytes.NewReader(fileMeta(in)), data)
	}
	stream := io.TeeReader(whileLiving{ctx, data}, counted)
	a.head, err = dicomio.Peek(stream, d.opts.Limits, d.opts.Devices)
	if errors.Is(err, dicomio.ErrNotDICOM) {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if err == nil {
		_, err = io.CopyBuffer(onlyWriter{io.Discard}, stream, pad.in)
	}
	if err == nil {
		err = pad.out.Flush()
	}
	if err != nil {
		return nil, err
	}
	a.size = counted.n
	if d.opts.Sync && !a.head.Own {
		err = file.Sync()
	}
	return a, err
}

// pad is what one object passes through on its way to the disk.
type pad struct {
	in  []byte
	out *bufio.Writer
}

const padBytes = 64 << 10

func newPad() any { return &pad{in: make([]byte, padBytes), out: bufio.NewWriterSize(nil, padBytes)} }

// onlyWriter hides ReadFrom, which would bring a buffer of its own.
type onlyWriter struct{ io.Writer }

// meter counts what is written, and stops at a limit.
type meter struct {
	w        io.Writer
	n, limit int64
}

func (m *meter) Write(p []byte) (int, error) {
	if m.limit > 0 && m.n+int64(len(p)) > m.limit {
		return 0, fmt.Errorf("%w: %d bytes", ErrTooLarge, m.limit)
	}
	n, err := m.w.Write(p)
	m.n += int64(n)
	return n, err
}

// whileLiving ends a stream with its context.
type whileLiving struct {
	ctx context.Context
	r   io.Reader
}

func (w whileLiving) Read(p []byte) (int, error) {
	if err := context.Cause(w.ctx); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

// fileMeta makes preamble and file meta group for a data set that came without,
// in explicit little endian (PS3.10 7.1).
func fileMeta(in Incoming) []byte {
	var group bytes.Buffer
	long := func(element uint16, vr string, value []byte) {
		_ = binary.Write(&group, binary.LittleEndian, [2]uint16{2, element})
		group.WriteString(vr + "\x00\x00")
		_ = binary.Write(&group, binary.LittleEndian, uint32(len(value)))
		group.Write(value)
	}
	short := func(element uint16, vr, value string, pad byte) {
		if len(value)%2 == 1 {
			value += string(pad)
		}
		_ = binary.Write(&group, binary.LittleEndian, [2]uint16{2, element})
		group.WriteString(vr)
		_ = binary.Write(&group, binary.LittleEndian, uint16(len(value)))
		group.WriteString(value)
	}
	long(0x0001, "OB", []byte{0, 1})
	short(0x0002, "UI", in.SOPClassUID, 0)
	short(0x0003, "UI", in.SOPInstanceUID, 0)
	short(0x0010, "UI", in.TransferSyntaxUID, 0)
	short(0x0012, "UI", dimse.ImplementationClassUID, 0)
	short(0x0013, "SH", dimse.ImplementationVersion, ' ')

	head := append(make([]byte, 128), "DICM\x02\x00\x00\x00UL\x04\x00"...)
	head = binary.LittleEndian.AppendUint32(head, uint32(group.Len()))
	return append(head, group.Bytes()...)
}

// keep moves an arrival into its study's folder.
func (d *Depot) keep(key studyKey, a *arrival) (Outcome, error) {
	outcome, made, err := d.place(key, a)
	if err != nil || !d.opts.Sync {
		return outcome, err
	}
	// Names are safe when their folder is, and a folder when its parent is.
	folders := []string{key.path()}
	if made {
		folders = append(folders, key.source, ".")
	}
	for _, folder := range folders {
		if err := syncFolder(d.root, folder); err != nil {
			return outcome, err
		}
	}
	return outcome, nil
}

func (d *Depot) place(key studyKey, a *arrival) (outcome Outcome, made bool, err error) {
	defer d.lock(key).Unlock()
	defer func() {
		if err == nil {
			d.note(key, a, outcome)
		}
	}()
	for n := range maxVariants {
		name := fmt.Sprintf("%s/%s.dcm", key.path(), a.head.SOPInstanceUID)
		outcome = Stored
		if n > 0 {
			name = fmt.Sprintf("%s/%s_%d.dcm", key.path(), a.head.SOPInstanceUID, n)
			outcome = Conflict
		}
		there, err := d.root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			made, err = d.move(key, a, name)
			return outcome, made, err
		}
		if err != nil {
			return "", false, err
		}
		same, err := a.same(there)
		if err = errors.Join(err, there.Close()); err != nil || same {
			return Identical, false, err
		}
	}
	return "", false, fmt.Errorf("%w: %d are kept", errTwisted, maxVariants)
}

// move renames an arrival, and makes the study's folder when it is the first.
func (d *Depot) move(key studyKey, a *arrival, name string) (made bool, err error) {
	err = d.root.Rename(a.name, name)
	if errors.Is(err, fs.ErrNotExist) {
		made = true
		if err = d.root.MkdirAll(key.path(), 0o700); err == nil {
			err = d.root.Rename(a.name, name)
		}
	}
	if err == nil {
		a.name = ""
	}
	return made, err
}

// same compares data sets: file meta tells about the way that a copy took.
func (a *arrival) same(there *os.File) (bool, error) {
	head, err := dicomio.Peek(there, a.depot.opts.Limits, nil)
	if err != nil {
		return false, nil //nolint:nilerr // what cannot be read is not the same
	}
	here, err := a.depot.root.Open(a.name)
	if err != nil {
		return false, err
	}
	defer here.Close()
	return equalFrom(there, head.Dataset, here, a.head.Dataset)
}

func equalFrom(a *os.File, fromA int64, b *os.File, fromB int64) (bool, error) {
	_, errA := a.Seek(fromA, io.SeekStart)
	_, errB := b.Seek(fromB, io.SeekStart)
	if err := errors.Join(errA, errB); err != nil {
		return false, err
	}
	left, right := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, left)
		m, errB := io.ReadFull(b, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		switch {
		case ended(errA) && ended(errB):
			return true, nil
		case errA != nil || errB != nil:
			return false, errors.Join(errA, errB)
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// syncFolder makes the names in a folder safe.
func syncFolder(root *os.Root, name string) error {
	folder, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
