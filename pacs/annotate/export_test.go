package annotate

import (
	"bufio"
	"bytes"

	"neurotriage"
	"neurotriage/pacs"
)

// Exchange reads a receiver's answer as Deliver does, without a network.
func Exchange(answer []byte, controlID string) error {
	reader := bufio.NewReader(bytes.NewReader(answer))
	for {
		content, err := readFrame(reader)
		if err != nil {
			return err
		}
		ack, err := readAck(content)
		if err != nil {
			return err
		}
		if ack.controlID == controlID {
			return NewHL7(HL7Options{}).judge(ack, pacs.Parcel{})
		}
	}
}

// Scrub is scrub, for its own test.
func Scrub(words string, p neurotriage.Patient) string { return scrub(words, p) }

// UPSPriority is upsPriority with what was there before.
func UPSPriority(p pacs.Parcel, former string) string { return higher(upsPriority(p), former) }
