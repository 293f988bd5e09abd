package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The delimiters of every message (HL7 v2.5.1 2.5.4), as MSH-1 and MSH-2 say.
const (
	hl7Field      = "|"
	hl7Component  = "^"
	hl7Repetition = "~"
	hl7Encoding   = `^~\&`
	hl7Segment    = "\r"
)

// numbered holds the encoded fields of a segment by their number, so that a line of
// code reads like a line of the standard.
type numbered map[int]string

// hl7Line encodes one segment up to its last field that is not empty.
func hl7Line(name string, fields numbered) string {
	last := 0
	for number, text := range fields {
		if text != "" {
			last = max(last, number)
		}
	}
	line := []string{name}
	for number := 1; number <= last; number++ {
		line = append(line, fields[number])
	}
	return strings.Join(line, hl7Field) + hl7Segment
}

// hl7Text escapes a text (2.7): the delimiters by their letters, a line end as
// that of formatted text, and control characters, among them those that frame a
// message on the wire, as hexadecimal. What is no UTF-8 becomes U+FFFD.
func hl7Text(text string) string {
	var out strings.Builder
	for _, r := range strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), string(utf8.RuneError)) {
		switch {
		case r == '|':
			out.WriteString(`\F\`)
		case r == '^':
			out.WriteString(`\S\`)
		case r == '~':
			out.WriteString(`\R\`)
		case r == '&':
			out.WriteString(`\T\`)
		case r == '\\':
			out.WriteString(`\E\`)
		case r == '\n' || r == '\r':
			out.WriteString(`\.br\`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&out, `\X%02X\`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// hl7Parts encodes the components of a field, leaving out empty ones at its end.
func hl7Parts(parts ...string) string {
	encoded := make([]string, len(parts))
	for i, part := range parts {
		encoded[i] = hl7Text(part)
	}
	return strings.TrimRight(strings.Join(encoded, hl7Component), hl7Component)
}

// hl7Name turns a DICOM person name (PS3.5 6.2.1) into XPN: prefix and suffix
// change places, and each component group (alphabetic, ideographic, phonetic)
// becomes a repetition with its representation code (HL7 table 4000).
func hl7Name(name string) string {
	var names []string
	for i, group := range strings.SplitN(name, "=", 3) {
		if strings.Trim(group, "^ ") == "" {
			continue
		}
		var part [5]string
		copy(part[:], strings.SplitN(group, "^", 5))
		representation := ""
		if strings.Contains(name, "=") {
			representation = string("AIP"[i])
		}
		names = append(names, hl7Parts(part[0], part[1], part[2], part[4], part[3], "", "", representation))
	}
	return strings.Join(names, hl7Repetition)
}

// hl7Time joins a DICOM date and time (PS3.5 6.2) as a time stamp of HL7 in the
// local time of the device, or empty without a date.
func hl7Time(date, clock string) string {
	digits := func(text string, most int) string {
		text = strings.NewReplacer(":", "", ".", "", "-", "").Replace(text) // old forms with separators
		if strings.Trim(text, "0123456789") != "" {
			return ""
		}
		return text[:min(len(text), most)]
	}
	clock, _, _ = strings.Cut(clock, ".")
	day, hour := digits(date, 8), digits(clock, 6)
	if len(day) != 8 {
		return ""
	}
	return day + hour[:len(hour)/2*2]
}

// hl7Offset adds the offset from UTC that DICOM says (PS3.3 C.12.1.1.8), which
// HL7 writes alike, to a stamp that has a time.
func hl7Offset(stamp, offset string) string {
	plausible := len(offset) == 5 && (offset[0] == '+' || offset[0] == '-') && strings.Trim(offset[1:], "0123456789") == ""
	if len(stamp) <= 8 || !plausible {
		return stamp
	}
	return stamp + offset
}
