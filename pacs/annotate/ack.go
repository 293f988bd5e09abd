package annotate

import (
	"errors"
	"slices"
	"strings"
)

// acknowledgement is what counts of an ACK (HL7 v2.5.1 2.9, 2.15.8, 2.15.5).
type acknowledgement struct {
	code      string   // MSA-1: AA, AE or AR; CA, CE or CR of the enhanced mode
	controlID string   // MSA-2, of the message that is acknowledged
	errors    []string // ERR-3.1, codes of table 0357
	words     string   // what the receiver says for people
}

// errNoAck marks an answer that acknowledges nothing.
var errNoAck = errors.New("the answer is no acknowledgement of HL7")

// readAck takes an acknowledgement apart. Its delimiters are those that it says
// itself, and segments may end in any of the ways that receivers use.
func readAck(answer []byte) (acknowledgement, error) {
	text := string(answer)
	if len(text) < 8 || !strings.HasPrefix(text, "MSH") {
		return acknowledgement{}, errNoAck
	}
	bar, hat, escape := text[3:4], text[4:5], text[6:7]
	var ack acknowledgement
	var words []string
	for segment := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		fields := strings.Split(segment, bar)
		field := func(n int) string {
			if n < len(fields) {
				return unescape(fields[n], bar, hat, escape)
			}
			return ""
		}
		switch fields[0] {
		case "MSA":
			ack.code, ack.controlID = field(1), field(2)
			words = append(words, field(3))
		case "ERR":
			code, _, _ := strings.Cut(field(3), hat)
			ack.errors = append(ack.errors, code)
			words = append(words, field(1), field(2), field(3), field(7), field(8))
		}
	}
	if ack.code == "" {
		return ack, errNoAck
	}
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	ack.words = strings.Join(words, "; ")
	return ack, nil
}

func unescape(text, bar, hat, escape string) string {
	return strings.NewReplacer(escape+"F"+escape, bar, escape+"S"+escape, hat, escape+"T"+escape, "&",
		escape+"R"+escape, "~", escape+".br"+escape, "\n", escape+"E"+escape, escape).Replace(text)
}

// Codes of table 0357 that say what a repeat can do.
var (
	// The message is not one that the receiver takes, and will not become one.
	hopelessCodes = []string{"100", "101", "102", "103", "200", "201", "202", "203"}
	// The receiver has it already.
	duplicateCode = "205"
)
