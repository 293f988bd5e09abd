package dimse

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// Message control header (PS3.8 E.2).
const (
	flagCommand = 0x01
	flagLast    = 0x02
)

// errReleaseRequested is what reading gives when the peer asks for release.
var errReleaseRequested = errors.New("peer requests release")

// fragment is the head of a PDV: its content of size bytes is still to be read.
type fragment struct {
	context byte
	flags   byte
	size    int
}

// fragment reads on to the next PDV, over the border of PDUs. An A-ABORT comes
// as Abort, an A-RELEASE-RQ as errReleaseRequested, anything else as violation.
func (w *wire) fragment(patience time.Duration, idle bool) (fragment, error) {
	if w.inPDU == 0 {
		kind, length, err := w.next(patience, idle)
		if err != nil {
			return fragment{}, err
		}
		if kind != pduData {
			return fragment{}, w.control(kind, length)
		}
		if length < pdvHeader || int64(length) > int64(w.maxPDU) {
			return fragment{}, violated(abortInvalidValue, "a data PDU of %d bytes where %d to %d are allowed", length, pdvHeader, w.maxPDU)
		}
		w.inPDU = int(length)
	}
	if w.inPDU < pdvHeader {
		return fragment{}, violated(abortInvalidValue, "%d bytes at the end of a data PDU", w.inPDU)
	}
	if err := w.need(pdvHeader); err != nil {
		return fragment{}, broken(err)
	}
	h := w.buf[w.r:]
	length := binary.BigEndian.Uint32(h)
	if length < 2 || int64(length) > int64(w.inPDU-4) {
		return fragment{}, violated(abortInvalidValue, "a fragment of %d bytes where %d are left", length, w.inPDU-4)
	}
	w.r += pdvHeader
	w.inPDU -= pdvHeader
	return fragment{context: h[4], flags: h[5], size: int(length) - 2}, nil
}

// control reads a PDU that is not data and says what it means to an established
// association.
func (w *wire) control(kind byte, length uint32) error {
	switch kind {
	case pduReleaseRQ, pduReleaseRP, pduAbort:
		body, err := w.body(length, 4)
		switch {
		case err != nil:
			return broken(err)
		case len(body) != 4:
			return violated(abortInvalidValue, "PDU %02XH of %d bytes instead of 4", kind, len(body))
		case kind == pduAbort:
			return Abort{body[2], body[3]}
		case kind == pduReleaseRQ:
			return errReleaseRequested
		}
		return violated(abortUnexpected, "an A-RELEASE-RP that answers nothing")
	case pduAssociateRQ, pduAssociateAC, pduAssociateRJ:
		return violated(abortUnexpected, "association PDU %02XH within an association", kind)
	}
	return violated(abortUnrecognized, "PDU type %02XH", kind)
}

// broken is the end of the connection within something.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// command reads the next command set into room, which is returned for use again.
func (w *wire) command(room []byte, patience time.Duration, idle bool) (b []byte, context byte, err error) {
	b = room[:0]
	for first := true; ; first = false {
		f, err := w.fragment(patience, idle && first)
		if err != nil {
			if !first {
				err = broken(err)
			}
			return b, 0, err
		}
		patience = w.timeout
		switch {
		case f.flags&flagCommand == 0:
			return b, 0, violated(abortUnexpected, "a dataset where a command should be")
		case !first && f.context != context:
			return b, 0, violated(abortInvalidValue, "a command in two presentation contexts")
		case len(b)+f.size > maxCommand:
			return b, 0, violated(abortInvalidValue, "a command set of more than %d bytes", maxCommand)
		}
		context = f.context
		for f.size > 0 {
			if err := w.need(1); err != nil {
				return b, 0, broken(err)
			}
			n := min(f.size, w.w-w.r)
			b = append(b, w.buf[w.r:w.r+n]...)
			w.took(n)
			f.size -= n
		}
		if f.flags&flagLast != 0 {
			return b, context, nil
		}
	}
}

// took notes that n buffered bytes of the PDU are used.
func (w *wire) took(n int) {
	w.r += n
	w.inPDU -= n
}

// dataset is the dataset of a message as a stream. An error that is not io.EOF
// and not ErrObjectTooLarge is the association's end.
type dataset struct {
	w       *wire
	context byte
	limit   int64 // bytes handed out at most
	got     int64
	frag    int // bytes left of the fragment at hand
	last    bool
	over    bool // more came than the limit
	err     error
}

// reset begins the dataset of the message, which ends at once if there is none.
// Nothing is handed out before limit is set.
func (d *dataset) reset(w *wire, c *command) {
	*d = dataset{w: w, context: c.context, last: !c.hasDataset()}
}

// advance makes content of a fragment stand next, or returns why it cannot.
func (d *dataset) advance() error {
	for d.err == nil && d.frag == 0 {
		if d.last {
			d.err = io.EOF
			break
		}
		f, err := d.w.fragment(d.w.timeout, false)
		switch {
		case err != nil:
			d.err = broken(err)
			if errors.Is(err, errReleaseRequested) {
				d.err = violated(abortUnexpected, "an A-RELEASE-RQ within a dataset")
			}
		case f.flags&flagCommand != 0:
			d.err = violated(abortUnexpected, "a command within a dataset")
		case f.context != d.context:
			d.err = violated(abortInvalidValue, "a dataset in presentation context %d that began in %d", f.context, d.context)
		default:
			d.frag, d.last = f.size, f.flags&flagLast != 0
		}
	}
	return d.err
}

// Read implements io.Reader. Large reads bypass the buffer.
func (d *dataset) Read(p []byte) (int, error) {
	if err := d.advance(); err != nil || len(p) == 0 {
		return 0, err
	}
	if d.got >= d.limit {
		d.over = true
		return 0, ErrObjectTooLarge
	}
	p = p[:min(int64(len(p)), int64(d.frag), d.limit-d.got)]
	w := d.w
	if w.r == w.w && len(p) >= len(w.buf)/2 {
		n, err := w.read(p)
		w.inPDU -= n
		d.used(n)
		if err != nil {
			d.err = broken(err)
		}
		return n, d.err
	}
	if err := w.need(1); err != nil {
		d.err = broken(err)
		return 0, d.err
	}
	n := copy(p, w.buf[w.r:w.w])
	w.took(n)
	d.used(n)
	return n, nil
}

func (d *dataset) used(n int) {
	d.frag -= n
	d.got += int64(n)
}

// WriteTo implements io.WriterTo: io.Copy then needs no buffer of its own.
func (d *dataset) WriteTo(to io.Writer) (total int64, err error) {
	for {
		if err := d.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
		if d.got >= d.limit {
			d.over = true
			return total, ErrObjectTooLarge
		}
		w := d.w
		if err := w.need(1); err != nil {
			d.err = broken(err)
			return total, d.err
		}
		n, err := to.Write(w.buf[w.r : w.r+int(min(int64(w.w-w.r), int64(d.frag), d.limit-d.got))])
		w.took(n)
		d.used(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// finish drops what is left of the dataset, most bytes of it at most. nil means
// that the next message stands next.
func (d *dataset) finish(most int64) error {
	d.limit = max(d.limit, d.got) + most
	_, err := d.WriteTo(io.Discard)
	if errors.Is(err, ErrObjectTooLarge) {
		return violated(abortUnspecified, "a dataset of more than %d bytes", d.limit)
	}
	return err
}
