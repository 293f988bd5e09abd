package dimse

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// drained bounds what is read and dropped of datasets that nobody wants.
const drained = 16 << 20

// handle answers one message. An error ends the association.
func (a *acceptor) handle(ctx context.Context, c *command, agreed *accepted) error {
	a.data.reset(a.w, c)
	switch {
	case c.field == fieldStore:
		return a.store(ctx, c, agreed)
	case c.field == fieldEcho && agreed.class == Verification:
		return a.answer(c, StatusSuccess, drained)
	case c.field == fieldEventReport && agreed.class == StorageCommitment:
		return a.eventReport(ctx, c, agreed)
	case c.field == fieldCancel: // what it would cancel is answered already (PS3.7 9.3.2.3)
		return a.data.finish(0)
	case c.field&fieldResponse != 0:
		return violated(abortUnexpected, "an answer (command field %04XH) where nothing was asked", c.field)
	case c.field < 0x0100: // C-GET, C-FIND, C-MOVE
		return a.answer(c, StatusClassNotSupported, drained)
	}
	return a.answer(c, StatusUnrecognized, drained)
}

// answer drops the rest of the message's dataset and sends the status.
func (a *acceptor) answer(c *command, status Status, most int64) error {
	if err := a.data.finish(most); err != nil {
		return err
	}
	answer := c.answer(status)
	if err := a.out.command(&answer); err != nil {
		return err
	}
	return a.out.flush()
}

// store hands one object to the callee.
func (a *acceptor) store(ctx context.Context, c *command, agreed *accepted) error {
	status, err := a.receive(ctx, c, agreed)
	if a.data.err != nil && !errors.Is(a.data.err, io.EOF) {
		return a.data.err
	}
	switch {
	case a.data.over:
		status, err = StatusOutOfResources, fmt.Errorf("%w of %d bytes", ErrObjectTooLarge, a.s.o.MaxObject)
	case err != nil && status == StatusSuccess:
		status = StatusProcessingFailure
	}
	if err != nil || status.Failed() {
		a.s.o.Logger.Warn("object not stored", "peer", a.peer, "sop_class", c.class, "sop_instance", c.instance,
			"status", status.String(), "error", err)
	}
	got := a.data.got
	if err := a.answer(c, status, 3*a.s.o.MaxObject); err != nil {
		return err
	}
	a.end.Bytes += got
	if status.Failed() {
		a.end.Failed++
	} else {
		a.end.Objects++
	}
	return nil
}

// receive calls Store, unless the request itself is wrong.
func (a *acceptor) receive(ctx context.Context, c *command, agreed *accepted) (Status, error) {
	a.data.limit = a.s.o.MaxObject
	switch {
	case c.class != agreed.class || agreed.class == Verification || agreed.class == StorageCommitment:
		return StatusClassNotSupported, errors.New("SOP class differs from the presentation context's")
	case !ValidUID(c.instance):
		return StatusInvalidInstance, errors.New("SOP instance UID is none")
	case !c.hasDataset():
		return StatusCannotUnderstand, errors.New("request comes without a dataset")
	}
	return a.s.o.Store(ctx, StoreRequest{
		Association: a.peer, SOPClassUID: agreed.class, SOPInstanceUID: c.instance, TransferSyntaxUID: agreed.syntax,
		MessageID: c.id, Priority: Priority(c.priority),
	}, &a.data)
}

// eventReport takes a result of storage commitment.
func (a *acceptor) eventReport(ctx context.Context, c *command, agreed *accepted) error {
	a.data.limit = maxCommitment
	result, status, err := readCommitment(c, &a.data, agreed.syntax)
	if a.data.err != nil && !errors.Is(a.data.err, io.EOF) {
		return a.data.err
	}
	if err == nil {
		if err = a.s.o.Committed(ctx, a.peer, result); err != nil {
			status = StatusProcessingFailure
		}
	}
	if err != nil {
		a.s.o.Logger.Warn("storage commitment result not taken", "peer", a.peer, "status", status.String(), "error", err)
	}
	return a.answer(c, status, drained)
}
