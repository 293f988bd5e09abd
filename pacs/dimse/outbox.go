package dimse

import (
	"encoding/binary"
	"errors"
	"io"
)

// outbox gathers the PDUs of a message and writes them with as few calls as its
// buffer allows: a command and a small object are one.
type outbox struct {
	w   *wire
	buf []byte
	max int // content of a PDV at most
}

// leastPDU is the least limit of a peer that we can work with: room for a PDV
// with a byte of content would do, but then an answer would take hundreds of PDUs.
const leastPDU = 64

func newOutbox(w *wire, size int, peerMax uint32, ourMax int) *outbox {
	most := ourMax
	if peerMax > 0 && int64(peerMax) < int64(most) {
		most = int(peerMax)
	}
	most = (most - pdvHeader) &^ 1 // fragments are even (PS3.8 E.1)
	return &outbox{w: w, buf: make([]byte, 0, max(size, 2*(pduHeader+pdvHeader))), max: most}
}

// room is how many bytes of content the next fragment can have; what is gathered
// is written out when too little is left.
func (o *outbox) room() (int, error) {
	const head = pduHeader + pdvHeader
	least := min(o.max, 16<<10, cap(o.buf)-head)
	if cap(o.buf)-len(o.buf)-head < least {
		if err := o.flush(); err != nil {
			return 0, err
		}
	}
	return min(o.max, (cap(o.buf)-len(o.buf)-head)&^1), nil
}

func (o *outbox) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	err := o.w.send(o.buf)
	o.buf = o.buf[:0]
	return err
}

// head appends the headers of a PDU with one PDV of n bytes.
func (o *outbox) head(context, flags byte, n int) {
	b := append(o.buf, pduData, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(n+pdvHeader))
	b = binary.BigEndian.AppendUint32(b, uint32(n+2))
	o.buf = append(b, context, flags)
}

// command gathers a command set.
func (o *outbox) command(c *command) error {
	var room [512]byte
	return o.bytes(c.context, flagCommand, c.append(room[:0]))
}

// bytes gathers content that is at hand.
func (o *outbox) bytes(context, flags byte, b []byte) error {
	for {
		n, err := o.room()
		if err != nil {
			return err
		}
		n = min(n, len(b))
		f := flags
		if n == len(b) {
			f |= flagLast
		}
		o.head(context, f, n)
		o.buf = append(o.buf, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}

// dataset gathers a dataset, read straight into the buffer. It writes what does
// not fit; the end has to be flushed. source says that reading failed.
func (o *outbox) dataset(context byte, from io.Reader) (source bool, err error) {
	var ahead [1]byte // a full fragment is the last one only if nothing follows
	for carried := 0; ; {
		n, err := o.room()
		if err != nil {
			return false, err
		}
		at := len(o.buf)
		o.head(context, 0, n)
		start := len(o.buf)
		copy(o.buf[start:start+carried], ahead[:])
		got, err := io.ReadFull(from, o.buf[start+carried:start+n])
		got += carried
		carried = 0
		if err == nil {
			carried, err = io.ReadFull(from, ahead[:])
		}
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return true, err
		}
		o.buf = o.buf[:at]
		flags := byte(0)
		if last {
			flags = flagLast
		}
		o.head(context, flags, got)
		o.buf = o.buf[:start+got]
		if last {
			return false, nil
		}
	}
}
