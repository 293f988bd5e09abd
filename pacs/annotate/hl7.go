package annotate

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"neurotriage/pacs"
)

// HL7Options say where messages go.
type HL7Options struct {
	Address string        // host:port
	TLS     *tls.Config   // nil: plain MLLP
	Timeout time.Duration // of one exchange; default 30 s
	// Encode makes the message and the control id that its acknowledgement has to
	// name. The same parcel gives the same message.
	Encode func(pacs.Parcel) (message []byte, controlID string)
}

// HL7 sends one message for each finding over MLLP and waits for its
// acknowledgement.
type HL7 struct {
	opts HL7Options
	line line
}

// NewHL7 makes a destination and connects to nothing.
func NewHL7(opts HL7Options) *HL7 {
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	return &HL7{opts: opts, line: line{address: opts.Address, tls: opts.TLS, timeout: opts.Timeout}}
}

// Deliver sends the message. A repeat carries the same control id, by which the
// receiver knows it.
func (h *HL7) Deliver(ctx context.Context, parcel pacs.Parcel) error {
	if parcel.Superseded {
		return nil // the newer one is on its way, and would be undone
	}
	message, controlID := h.opts.Encode(parcel)
	var others []string
	err := h.line.exchange(ctx, message, func(answer []byte) (bool, error) {
		ack, err := readAck(answer)
		if err != nil {
			return true, fmt.Errorf("message %s: %w", controlID, err)
		}
		if ack.controlID != controlID {
			others = append(others, scrub(ack.controlID, parcel.Study.Patient))
			return false, nil // of another message; ours may follow
		}
		return true, h.judge(ack, parcel)
	})
	if err != nil && len(others) > 0 {
		return fmt.Errorf("%w (acknowledged was %s, sent was %s)", err, strings.Join(others, ", "), controlID)
	}
	return err
}

// judge says what an acknowledgement means for the parcel.
func (h *HL7) judge(ack acknowledgement, parcel pacs.Parcel) error {
	words := scrub(ack.words, parcel.Study.Patient)
	hopeless := slices.ContainsFunc(ack.errors, func(code string) bool { return slices.Contains(hopelessCodes, code) })
	switch code := ack.code; {
	case code == "AA" || code == "CA":
		return nil
	case code != "AE" && code != "AR" && code != "CE" && code != "CR":
		return fmt.Errorf("message %s: %w: acknowledgement code %q", ack.controlID, errNoAck, scrub(code, parcel.Study.Patient))
	case slices.Contains(ack.errors, duplicateCode):
		return nil // an earlier attempt, whose acknowledgement was lost
	case hopeless:
		return fmt.Errorf("message %s is answered %s (%s): %w", ack.controlID, code, words, pacs.ErrRejected)
	default:
		return fmt.Errorf("message %s is answered %s (%s)", ack.controlID, code, words)
	}
}

// Check connects and sends nothing.
func (h *HL7) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	conn, err := h.line.dial(ctx)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", h.opts.Address, err)
	}
	return conn.Close()
}
