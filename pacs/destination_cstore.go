package pacs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"neurotriage"
	"neurotriage/pacs/dimse"
)

// CStore delivers report objects to an archive by C-STORE.
type CStore struct {
	Peer  dimse.ClientOptions // Propose is set for each parcel
	Kinds []string            // of objects; empty: all
	// Commitments, if set, makes Deliver wait until the archive has committed
	// itself to keep the objects (PS3.4 J).
	Commitments *Commitments
}

// Deliver stores the parcel's objects over one association. One that is turned
// away does not keep the others from being stored.
func (s *CStore) Deliver(ctx context.Context, parcel Parcel) error {
	files, err := parcel.open(ctx, s.Kinds)
	if err != nil {
		return err
	}
	if s.Commitments.holds(s.archive(), files) {
		return nil // the report on an earlier attempt came late
	}
	if s.Commitments.awaited(s.archive(), files) {
		return &Postponed{After: commitmentLook, Err: errUncommitted}
	}
	peer := s.Peer
	peer.Propose = proposals(files, s.Commitments != nil)
	conn, err := dimse.Dial(ctx, peer)
	if err != nil {
		return fmt.Errorf("%w: connecting to %s at %s: %w", neurotriage.ErrSurroundings, peer.Called, peer.Address, err)
	}
	defer func() { _ = conn.Abort() }() // does nothing after a release
	if err := store(ctx, conn, files, parcel.Priority()); err != nil {
		return err
	}
	if s.Commitments != nil {
		if err := s.Commitments.ask(ctx, conn, s.archive(), files); err != nil {
			return err
		}
	}
	_ = conn.Release(ctx) // everything is stored; how the peer says goodbye changes nothing
	return nil
}

func (s *CStore) archive() string { return s.Peer.Called + "@" + s.Peer.Address }

// proposals asks for each class in the transfer syntax that its file has.
func proposals(files []file, commitment bool) []dimse.Proposal {
	var list []dimse.Proposal
	for _, one := range files {
		proposal := dimse.Proposal{SOPClass: one.sopClass, TransferSyntaxes: []string{one.transferSyntax}}
		known := func(p dimse.Proposal) bool {
			return p.SOPClass == proposal.SOPClass && slices.Equal(p.TransferSyntaxes, proposal.TransferSyntaxes)
		}
		if !slices.ContainsFunc(list, known) {
			list = append(list, proposal)
		}
	}
	if commitment {
		list = append(list, dimse.Proposal{SOPClass: storageCommitment})
	}
	return list
}

func store(ctx context.Context, conn *dimse.Conn, files []file, urgency neurotriage.Priority) error {
	var refused []error
	for _, one := range files {
		err := conn.Store(ctx, dimse.Object{
			SOPClassUID: one.sopClass, SOPInstanceUID: one.sopInstance, TransferSyntaxUID: one.transferSyntax,
			Priority: priority(urgency), Data: bytes.NewReader(one.dataset),
		})
		var answer *dimse.StatusError
		switch {
		case err == nil:
		case errors.As(err, &answer) && answer.Status == dimse.StatusDuplicate:
		case errors.As(err, &answer) && answer.Status&0xFF00 == dimse.StatusOutOfResources:
			return fmt.Errorf("%w: storing the %s: the archive has no room: %s", neurotriage.ErrSurroundings, one.kind, answer.Status)
		case errors.As(err, &answer):
			// Its comment is left out: it may quote the patient.
			refused = append(refused, fmt.Errorf("storing the %s %s: the archive answers %s", one.kind, one.sopInstance, answer.Status))
		case errors.Is(err, dimse.ErrNotAccepted):
			refused = append(refused, fmt.Errorf("storing the %s: the archive takes no objects of class %s in transfer syntax %s; "+
				"configure it to, or leave %s out of the destination's objects", one.kind, one.sopClass, one.transferSyntax, one.kind))
		default:
			return fmt.Errorf("%w: storing the %s %s: %w", neurotriage.ErrSurroundings, one.kind, one.sopInstance, err)
		}
	}
	return errors.Join(refused...)
}

// priority is that of a C-STORE (PS3.7 9.3.1.1).
func priority(urgency neurotriage.Priority) dimse.Priority {
	if urgency == neurotriage.Routine {
		return dimse.PriorityMedium
	}
	return dimse.PriorityHigh
}
