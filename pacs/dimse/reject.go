package dimse

import "fmt"

// Rejection is an A-ASSOCIATE-RJ: result, source and reason as in PS3.8 table
// 9-21. It is the error that [ServerOptions.Accept] returns to choose the answer,
// and that [Dial] returns (wrapped) when the peer rejects.
type Rejection uint32

// Rejections that Accept has reason to choose, and those that a peer sends.
const (
	RejectNoReason     Rejection = 1<<16 | 1<<8 | 1 // permanent, no reason given
	RejectContextName  Rejection = 1<<16 | 1<<8 | 2 // permanent, application context name not supported
	RejectCalling      Rejection = 1<<16 | 1<<8 | 3 // permanent, calling AE title not recognized
	RejectCalled       Rejection = 1<<16 | 1<<8 | 7 // permanent, called AE title not recognized
	RejectVersion      Rejection = 1<<16 | 2<<8 | 2 // permanent, protocol version not supported
	RejectCongestion   Rejection = 2<<16 | 3<<8 | 1 // transient, temporary congestion
	RejectLimit        Rejection = 2<<16 | 3<<8 | 2 // transient, local limit exceeded
	RejectNotNow       Rejection = 2<<16 | 1<<8 | 1 // transient, no reason given
	RejectNotPermitted           = RejectNoReason   // the standard has no reason for a wrong password or network
)

// Transient says that the peer may try again unchanged.
func (r Rejection) Transient() bool { return r>>16 == 2 }

var rejectionWords = map[Rejection]string{
	1<<8 | 1: "no reason given", 1<<8 | 2: "application context name not supported",
	1<<8 | 3: "calling AE title not recognized", 1<<8 | 7: "called AE title not recognized",
	2<<8 | 1: "no reason given", 2<<8 | 2: "protocol version not supported",
	3<<8 | 1: "temporary congestion", 3<<8 | 2: "local limit exceeded",
}

func (r Rejection) Error() string {
	lasting := "permanently"
	if r.Transient() {
		lasting = "for now"
	}
	words, ok := rejectionWords[r&0xFFFF]
	if !ok {
		words = fmt.Sprintf("source %d, reason %d", r>>8&0xFF, r&0xFF)
	}
	return "association rejected " + lasting + ": " + words
}

func (r Rejection) bytes() (result, source, reason byte) { return byte(r >> 16), byte(r >> 8), byte(r) }

// Abort is an A-ABORT of the peer: its source and reason as in PS3.8 table 9-26.
type Abort struct{ Source, Reason byte }

// Reasons of an A-ABORT by the service provider (PS3.8 table 9-26).
const (
	abortUnspecified   = 0
	abortUnrecognized  = 1
	abortUnexpected    = 2
	abortBadParameter  = 4
	abortUnexpectedPar = 5
	abortInvalidValue  = 6
)

func (a Abort) Error() string {
	if a.Source != 2 {
		return "association aborted by the peer's application"
	}
	words := map[byte]string{
		abortUnrecognized: "unrecognized PDU", abortUnexpected: "unexpected PDU", abortBadParameter: "unrecognized PDU parameter",
		abortUnexpectedPar: "unexpected PDU parameter", abortInvalidValue: "invalid PDU parameter value",
	}[a.Reason]
	if words == "" {
		words = "no reason given"
	}
	return "association aborted by the peer's upper layer: " + words
}
