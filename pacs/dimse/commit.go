package dimse

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
