package dimse

import (
	"encoding/binary"
	"fmt"
	"io"
)

// SOPRef names one object.
type SOPRef struct{ SOPClassUID, SOPInstanceUID string }

// Commitment is the peer's report on a request for storage commitment (PS3.4
// J.3.3): it keeps the objects Stored, and not those that Failed.
type Commitment struct {
	TransactionUID string
	Stored         []SOPRef
	Failed         []CommitmentFailure
}

// CommitmentFailure is one object that the peer does not keep.
type CommitmentFailure struct {
	SOPRef
	Reason Status // (0008,1197), PS3.3 C.14.1.1
}

// maxCommitment bounds the dataset of a report: some thirty thousand objects.
const maxCommitment = 4 << 20

// Event types and the action type of storage commitment (PS3.4 J.3.2, J.3.3).
const (
	actionRequest   = 1
	eventAllStored  = 1
	eventWithFailed = 2
)

const (
	statusNoSuchEvent Status = 0x0113
)

// readCommitment reads the report that follows the command. The status is the
// answer to an error.
func readCommitment(c *command, data *dataset, syntax string) (Commitment, Status, error) {
	switch {
	case c.class != StorageCommitment:
		return Commitment{}, StatusClassNotSupported, fmt.Errorf("report of SOP class %q", c.class)
	case c.instance != commitmentInstance:
		return Commitment{}, StatusNoSuchInstance, fmt.Errorf("report of SOP instance %q", c.instance)
	case c.kind != eventAllStored && c.kind != eventWithFailed:
		return Commitment{}, statusNoSuchEvent, fmt.Errorf("report of event type %d", c.kind)
	}
	b, err := io.ReadAll(data) // bounded by the dataset's limit
	if err != nil {
		return Commitment{}, StatusProcessingFailure, err
	}
	result, err := parseCommitment(b, syntax == ExplicitVRLittleEndian)
	if err != nil {
		return Commitment{}, StatusInvalidArgument, fmt.Errorf("storage commitment report: %w", err)
	}
	return result, StatusSuccess, nil
}

func parseCommitment(b []byte, explicit bool) (Commitment, error) {
	var c Commitment
	for e, err := range elements(b, explicit) {
		if err != nil {
			return c, err
		}
		switch e.tag {
		case tagTransaction:
			c.TransactionUID = trimUID(string(e.value))
		case tagReferencedSequence:
			err = eachRef(e.value, explicit, func(r CommitmentFailure) { c.Stored = append(c.Stored, r.SOPRef) })
		case tagFailedSequence:
			err = eachRef(e.value, explicit, func(r CommitmentFailure) { c.Failed = append(c.Failed, r) })
		}
		if err != nil {
			return c, err
		}
	}
	if !ValidUID(c.TransactionUID) {
		return c, fmt.Errorf("transaction UID %q is none", c.TransactionUID)
	}
	return c, nil
}

func eachRef(sequence []byte, explicit bool, take func(CommitmentFailure)) error {
	for item, err := range items(sequence, explicit) {
		if err != nil {
			return err
		}
		var r CommitmentFailure
		for e, err := range elements(item, explicit) {
			switch {
			case err != nil:
				return err
			case e.tag == tagReferencedClass:
				r.SOPClassUID = trimUID(string(e.value))
			case e.tag == tagReferencedInstance:
				r.SOPInstanceUID = trimUID(string(e.value))
			case e.tag == tagFailureReason && len(e.value) == 2:
				r.Reason = Status(binary.LittleEndian.Uint16(e.value))
			}
		}
		if !ValidUID(r.SOPClassUID) || !ValidUID(r.SOPInstanceUID) {
			return fmt.Errorf("an object is named %q of class %q", r.SOPInstanceUID, r.SOPClassUID)
		}
		take(r)
	}
	return nil
}

// appendRequest writes the dataset of a request for storage commitment.
func appendRequest(b []byte, explicit bool, transactionUID string, objects []SOPRef) []byte {
	var sequence, item []byte
	for _, o := range objects {
		item = appendUID(item[:0], explicit, tagReferencedClass, o.SOPClassUID)
		item = appendUID(item, explicit, tagReferencedInstance, o.SOPInstanceUID)
		sequence = appendData(sequence, explicit, tagItem, "", item)
	}
	b = appendUID(b, explicit, tagTransaction, transactionUID)
	return appendData(b, explicit, tagReferencedSequence, "SQ", sequence)
}
