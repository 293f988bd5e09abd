package dimse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// forever is the patience where the context ends the wait.
const forever = 1000 * time.Hour

// operate sends a request and waits for its answer.
func (c *Conn) operate(ctx context.Context, name string, rq *command, data io.Reader) error {
	var answer command
	err := c.during(ctx, func() error {
		c.last++
		rq.id = c.last
		if err := c.send(rq, data); err != nil {
			return err
		}
		var err error
		answer, err = c.await(rq)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s to %s: %w", name, c.o.Called, err)
	}
	if answer.status.Failed() {
		return &StatusError{Operation: name, Status: answer.status, Comment: answer.comment}
	}
	return nil
}

// during runs part of the protocol under the context. An error ends the
// association.
func (c *Conn) during(ctx context.Context, do func() error) error {
	if c.err != nil {
		return c.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, c.w.interrupt)
	}
	err := do()
	if err == nil && !stop() { // done, but too late to go on with the connection
		c.fail(ctx.Err())
		return nil
	}
	stop()
	if err == nil {
		return nil
	}
	err = c.cause(ctx, err)
	c.fail(err)
	return err
}

// cause names the context's end instead of the interruption that it led to.
func (c *Conn) cause(ctx context.Context, err error) error {
	if c.w.wasInterrupted() {
		if ended := ctx.Err(); ended != nil {
			return ended
		}
	}
	return err
}

// fail ends the association after an error, with the PDU that its state asks for.
func (c *Conn) fail(err error) {
	c.err = err
	c.once.Do(func() {
		c.w.interrupt()
		_, aborted := errors.AsType[Abort](err)
		v, isViolation := errors.AsType[*violation](err)
		switch {
		case aborted, errors.Is(err, ErrReleased):
		case isViolation:
			c.w.lastWords(appendShort(nil, pduAbort, 0, 2, v.reason))
		default:
			c.w.lastWords(appendShort(nil, pduAbort, 0, 0, 0))
		}
		c.w.conn.Close()
	})
}

// sourceError is an error of what was to be sent.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return fmt.Sprintf("read the object to send: %v", e.err) }
func (e *sourceError) Unwrap() error { return e.err }

// send writes a request with its dataset.
func (c *Conn) send(rq *command, data io.Reader) error {
	err := c.out.command(rq)
	if err == nil && data != nil {
		var source bool
		if source, err = c.out.dataset(rq.context, data); source {
			return &sourceError{err}
		}
	}
	if err == nil {
		err = c.out.flush()
	}
	if err != nil {
		return c.abortBehind(err)
	}
	return nil
}

// abortBehind looks for the A-ABORT that a peer has sent before the connection
// broke under our writing: it says more than "broken pipe".
func (c *Conn) abortBehind(err error) error {
	if c.w.wasInterrupted() {
		return err
	}
	c.w.startMessage()
	_, _, failure := c.w.command(c.room, time.Second, false)
	if abort, ok := errors.AsType[Abort](failure); ok {
		return abort
	}
	return err
}

// await reads messages until the answer to the request comes.
func (c *Conn) await(rq *command) (command, error) {
	for {
		answer, err := c.message(false)
		switch {
		case err != nil:
			return answer, err
		case answer.field == rq.field|fieldResponse && answer.id == rq.id:
			return answer, nil
		case answer.field&fieldResponse != 0:
			return answer, violated(abortUnexpected, "an answer %04XH to message %d where %04XH to %d was awaited",
				answer.field, answer.id, rq.field|fieldResponse, rq.id)
		}
	}
}

// message reads one message. Requests of the peer are answered here: the reports
// of storage commitment are kept, others refused. patient waits as long as the
// context allows.
func (c *Conn) message(patient bool) (command, error) {
	patience := c.o.ResponseTimeout
	if patient {
		patience = forever
	}
	c.w.startMessage()
	b, id, err := c.w.command(c.room, patience, false)
	if errors.Is(err, errReleaseRequested) {
		return command{}, c.released()
	}
	if err != nil {
		return command{}, broken(err)
	}
	c.room = b
	agreed := c.contexts.get(id)
	if agreed == nil {
		return command{}, violated(abortInvalidValue, "a command in presentation context %d, which is not agreed on", id)
	}
	m, err := parseCommand(b, agreed.class)
	if err != nil {
		return m, err
	}
	m.context = id
	var data dataset
	data.reset(c.w, &m)
	status := StatusUnrecognized
	if m.field == fieldEventReport {
		if status, err = c.report(&m, &data, agreed.syntax); err != nil {
			return m, err
		}
	}
	if err := data.finish(drained); err != nil || m.field&fieldResponse != 0 || m.field == fieldCancel {
		return m, err
	}
	answer := m.answer(status)
	if err := c.out.command(&answer); err != nil {
		return m, err
	}
	return m, c.out.flush()
}

// maxReports bounds reports that nobody has asked for by Committed.
const maxReports = 64

// report keeps a result of storage commitment.
func (c *Conn) report(m *command, data *dataset, syntax string) (Status, error) {
	data.limit = maxCommitment
	result, status, err := readCommitment(m, data, syntax)
	if data.err != nil && !errors.Is(data.err, io.EOF) {
		return status, data.err
	}
	switch {
	case err != nil: // the status tells the peer
	case len(c.reports) == maxReports:
		return StatusProcessingFailure, nil
	default:
		c.reports = append(c.reports, result)
	}
	return status, nil
}

// released answers the peer's release (action AR-4) and ends our side.
func (c *Conn) released() error {
	c.w.lastWords(appendShort(nil, pduReleaseRP, 0, 0, 0))
	return ErrReleased
}

// Release ends the association in good order and closes the connection. On an
// association that is gone already it does nothing.
func (c *Conn) Release(ctx context.Context) error {
	if c.err != nil {
		return nil
	}
	err := c.during(ctx, func() error {
		if err := c.w.send(appendShort(nil, pduReleaseRQ, 0, 0, 0)); err != nil {
			return err
		}
		return c.awaitRelease()
	})
	if err == nil || errors.Is(err, ErrReleased) {
		c.fail(ErrReleased)
		return nil
	}
	return fmt.Errorf("release the association with %s: %w", c.o.Called, err)
}

// awaitRelease reads until the peer's A-RELEASE-RP (state 7). Data that is still
// under way is dropped (action AR-6), and a release that the peer has asked for
// at the same time is granted (states 9 and 11).
func (c *Conn) awaitRelease() error {
	until := time.Now().Add(c.o.ResponseTimeout)
	for {
		c.w.startMessage()
		kind, length, err := c.w.next(time.Until(until), false)
		switch {
		case err != nil:
			return broken(err)
		case kind == pduData:
			if _, err := c.w.body(length, c.o.MaxPDU); err != nil {
				return broken(err)
			}
			continue
		case kind == pduReleaseRP:
			_, err := c.w.body(length, 4)
			return err
		}
		if err := c.w.control(kind, length); !errors.Is(err, errReleaseRequested) {
			return err
		}
		if err := c.w.send(appendShort(nil, pduReleaseRP, 0, 0, 0)); err != nil {
			return err
		}
	}
}
