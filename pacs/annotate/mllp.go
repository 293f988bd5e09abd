package annotate

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"neurotriage"
)

// The frame of the Minimal Lower Layer Protocol (HL7 MLLP, Release 1).
const (
	mllpStart = 0x0b
	mllpEnd   = 0x1c
	mllpLast  = 0x0d
)

const mostAnswer = 1 << 20 // bytes of an acknowledgement

// line is where messages go.
type line struct {
	address string
	tls     *tls.Config // nil: plain
	timeout time.Duration
}

// exchange sends one message over a connection of its own and gives the answers
// to see until one satisfies it. A connection for each message costs a moment and
// saves telling a line that fell asleep from one that is broken.
func (l line) exchange(ctx context.Context, message []byte, see func(answer []byte) (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	conn, err := l.dial(ctx)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w: %w", l.address, neurotriage.ErrSurroundings, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(frame(message)); err != nil {
		return fmt.Errorf("sending to %s: %w: %w", l.address, neurotriage.ErrSurroundings, l.told(ctx, err))
	}
	reader := bufio.NewReader(conn)
	for {
		answer, err := readFrame(reader)
		if err != nil {
			return fmt.Errorf("waiting for the acknowledgement of %s: %w: %w", l.address, neurotriage.ErrSurroundings, l.told(ctx, err))
		}
		if done, err := see(answer); done || err != nil {
			return err
		}
	}
}

func (l line) dial(ctx context.Context) (net.Conn, error) {
	if l.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", l.address)
	}
	return (&tls.Dialer{Config: l.tls}).DialContext(ctx, "tcp", l.address)
}

// told says what ended the wait, which the network knows as a deadline only.
func (l line) told(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("nothing within %s", l.timeout)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return errors.New("the receiver closed the connection")
	}
	return err
}

func frame(message []byte) []byte {
	framed := append(make([]byte, 0, len(message)+3), mllpStart)
	return append(append(framed, message...), mllpEnd, mllpLast)
}

// errFrame marks an answer that is none of MLLP's.
var errFrame = errors.New("the answer is no frame of MLLP")

// readFrame reads one frame, however it was cut into packets. Line ends between
// frames are passed over, as some receivers send them.
func readFrame(r *bufio.Reader) ([]byte, error) {
	var first byte
	for {
		var err error
		if first, err = r.ReadByte(); err != nil {
			return nil, err
		}
		if first != '\r' && first != '\n' {
			break
		}
	}
	if first != mllpStart {
		return nil, fmt.Errorf("%w: it begins with %#02x", errFrame, first)
	}
	var content bytes.Buffer
	for {
		part, err := r.ReadSlice(mllpEnd)
		content.Write(part)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		default:
			last, err := r.ReadByte()
			if err == nil && last != mllpLast {
				err = fmt.Errorf("%w: its end is %#02x %#02x", errFrame, mllpEnd, last)
			}
			return bytes.TrimSuffix(content.Bytes(), []byte{mllpEnd}), err
		}
		if content.Len() > mostAnswer {
			return nil, fmt.Errorf("%w: more than %d bytes without an end", errFrame, mostAnswer)
		}
	}
}
