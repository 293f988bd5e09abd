package dimse

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// drainGrace is how long an idle association may stay idle while the server
// shuts down: long enough for the next message of a sender at work.
const drainGrace = time.Second

// errInterrupted is the error of reads and writes after interrupt.
var errInterrupted = errors.New("interrupted")

// wire reads and writes one connection under deadlines. The time that counts
// against the peer is the time we wait for it: a callee that is slow to store
// does not use up the sender's.
type wire struct {
	conn    net.Conn
	quick   func() // see quickAck
	buf     []byte // what has arrived and is not used yet is buf[r:w]
	r, w    int
	timeout time.Duration // for each PDU, and for a message's first PDU's worth
	rate    int           // bytes a second a message must keep up beyond that; 0: none

	maxPDU int // of P-DATA-TF PDUs we take
	inPDU  int // bytes of the current P-DATA-TF PDU that are not used yet

	until    time.Time     // the end of the association's opening, which then counts alone; or zero
	patience time.Duration // left for the PDU at hand
	waited   time.Duration // within the message at hand
	arrived  int64         // bytes of the message at hand

	mu          sync.Mutex // guards deadlines and the flags below
	idle        bool       // between messages
	draining    bool       // an idle association has drainGrace left
	interrupted bool

	writing sync.Mutex // held while a write runs
	write   time.Duration
}

// startMessage forgets what the last message took.
func (w *wire) startMessage() { w.waited, w.arrived = 0, 0 }

// left is how long the next read may wait.
func (w *wire) left(now time.Time) time.Duration {
	if !w.until.IsZero() {
		return w.until.Sub(now)
	}
	left := w.patience
	if w.rate > 0 && !w.idle {
		earned := time.Duration(1000*w.arrived/int64(w.rate)) * time.Millisecond
		left = min(left, w.timeout+earned-w.waited)
	}
	if w.idle && w.draining {
		left = min(left, drainGrace)
	}
	return left
}

// arm sets the deadline of the next read.
func (w *wire) arm(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.interrupted {
		return errInterrupted
	}
	w.conn.SetReadDeadline(now.Add(w.left(now))) //nolint:errcheck // reading says better what is wrong
	return nil
}

// setIdle says whether the next bytes begin a message, and how long they may
// take to come.
func (w *wire) setIdle(idle bool, patience time.Duration) {
	w.mu.Lock()
	w.idle, w.patience = idle, patience
	w.mu.Unlock()
}

// drain ends the association soon if it is idle, and when it becomes so.
func (w *wire) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if w.idle && !w.interrupted {
		w.conn.SetReadDeadline(time.Now().Add(drainGrace)) //nolint:errcheck // a closed connection ends by itself
	}
}

func (w *wire) isDraining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining || w.interrupted
}

// interrupt makes the read or write at hand and all further ones fail.
func (w *wire) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interrupted = true
	w.conn.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed connection ends by itself
}

// wasInterrupted tells our own interruption from the peer's silence.
func (w *wire) wasInterrupted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.interrupted
}

// read waits for bytes, into p.
func (w *wire) read(p []byte) (int, error) {
	now := time.Now()
	if err := w.arm(now); err != nil {
		return 0, err
	}
	n, err := w.conn.Read(p)
	took := time.Since(now)
	w.patience -= took
	if !w.idle {
		w.waited += took
	}
	w.arrived += int64(n)
	if n > 0 {
		return n, nil // an error comes again
	}
	return 0, err
}

// need makes at least n bytes stand in the buffer. n is at most a header's size.
func (w *wire) need(n int) error {
	if w.w-w.r >= n {
		return nil
	}
	if w.r > 0 && (w.r == w.w || len(w.buf)-w.r < n) {
		w.w = copy(w.buf, w.buf[w.r:w.w])
		w.r = 0
	}
	for w.w-w.r < n {
		got, err := w.read(w.buf[w.w:])
		if err != nil {
			if errors.Is(err, io.EOF) && w.w > w.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		w.w += got
	}
	return nil
}

// next reads the header of the next PDU. Its first byte may take until patience
// ends; from there the PDU has its own time.
func (w *wire) next(patience time.Duration, idle bool) (kind byte, length uint32, err error) {
	w.setIdle(idle, patience)
	if w.w == w.r {
		if w.arrived == 0 {
			w.quick()
		}
		if err := w.need(1); err != nil {
			return 0, 0, err
		}
	}
	w.setIdle(false, w.timeout)
	if err := w.need(pduHeader); err != nil {
		return 0, 0, err
	}
	h := w.buf[w.r:]
	w.r += pduHeader
	return h[0], binary.BigEndian.Uint32(h[2:]), nil
}

// body reads the content of a PDU other than P-DATA-TF. Memory grows with what
// arrives.
func (w *wire) body(length uint32, most int) ([]byte, error) {
	if int64(length) > int64(most) {
		return nil, violated(abortInvalidValue, "a PDU of %d bytes where %d are the most", length, most)
	}
	var b []byte
	for n := int(length); len(b) < n; {
		if err := w.need(1); err != nil {
			return nil, err
		}
		take := min(n-len(b), w.w-w.r)
		b = append(b, w.buf[w.r:w.r+take]...)
		w.r += take
	}
	return b, nil
}

// discard reads on until the peer closes, for a bounded time and number of
// bytes, so that the last PDU we sent is not lost to a reset (PS3.8 state 13).
func (w *wire) discard(patience time.Duration) {
	w.startMessage()
	w.setIdle(true, patience)
	for w.arrived < 1<<20 {
		if _, err := w.read(w.buf); err != nil {
			return
		}
	}
}

// send writes what may be several PDUs under one deadline.
func (w *wire) send(b []byte) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	if w.interrupted {
		w.mu.Unlock()
		return errInterrupted
	}
	err := w.conn.SetWriteDeadline(time.Now().Add(w.write))
	w.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = w.conn.Write(b)
	return err
}

// lastWords sends a PDU to a connection that is about to be closed, even after
// interrupt, unless another write is stuck.
func (w *wire) lastWords(b []byte) {
	if !w.writing.TryLock() {
		return
	}
	defer w.writing.Unlock()
	if w.conn.SetWriteDeadline(time.Now().Add(min(w.write, drainGrace))) == nil {
		w.conn.Write(b) //nolint:errcheck // the peer may be gone
	}
}
