package dicomio

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// textDecoder turns stored text into UTF-8 by the specific character set of its
// data set (PS3.3 C.12.1.1.2, PS3.5 6.1). It never fails: what cannot be decoded
// becomes a replacement character, since no name may cost a patient a reading.
type textDecoder struct {
	sets []string // defined terms; the first is the one that text starts in
}

func newTextDecoder(specificCharacterSet []byte) textDecoder {
	var sets []string
	for term := range strings.SplitSeq(string(specificCharacterSet), `\`) {
		sets = append(sets, normalTerm(term))
	}
	return textDecoder{sets: sets}
}

// normalTerm tolerates the ways in which the terms are commonly misspelt.
func normalTerm(term string) string {
	term = strings.ToUpper(strings.Trim(term, " \x00"))
	term = strings.ReplaceAll(term, "ISO 2022 IR ", "ISO_IR ")
	term = strings.ReplaceAll(term, "ISO-IR ", "ISO_IR ")
	term = strings.ReplaceAll(term, "ISO IR ", "ISO_IR ")
	return term
}

// decode gives UTF-8.
func (d textDecoder) decode(raw string) string {
	if isASCII(raw) {
		return raw
	}
	first := "" // ASCII
	if len(d.sets) > 0 {
		first = d.sets[0]
	}
	if strings.IndexByte(raw, escape) >= 0 {
		return d.decodeExtended(raw, first)
	}
	return decodeWith(encodingOf(first), raw)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] == escape {
			return false
		}
	}
	return true
}

// encodingOf gives the encoding of a defined term of PS3.3 tables C.12-2 to
// C.12-5. Nil stands for what is unknown or plain ASCII.
func encodingOf(term string) encoding.Encoding {
	switch term {
	case "ISO_IR 100":
		return charmap.ISO8859_1
	case "ISO_IR 101":
		return charmap.ISO8859_2
	case "ISO_IR 109":
		return charmap.ISO8859_3
	case "ISO_IR 110":
		return charmap.ISO8859_4
	case "ISO_IR 144":
		return charmap.ISO8859_5
	case "ISO_IR 127":
		return charmap.ISO8859_6
	case "ISO_IR 126":
		return charmap.ISO8859_7
	case "ISO_IR 138":
		return charmap.ISO8859_8
	case "ISO_IR 148":
		return charmap.ISO8859_9
	case "ISO_IR 203":
		return charmap.ISO8859_15
	case "ISO_IR 166":
		return charmap.Windows874 // TIS 620-2533 and a little more
	case "ISO_IR 13":
		return japanese.ShiftJIS // JIS X 0201 is its single-byte part
	case "ISO_IR 149":
		return korean.EUCKR
	case "GB18030":
		return simplifiedchinese.GB18030
	case "GBK", "ISO_IR 58":
		return simplifiedchinese.GBK
	case "ISO_IR 192":
		return unicode.UTF8
	}
	return nil
}

func decodeWith(e encoding.Encoding, raw string) string {
	if e == nil {
		if utf8.ValidString(raw) {
			return raw // undeclared UTF-8 is common
		}
		return strings.ToValidUTF8(raw, "\uFFFD")
	}
	text, err := e.NewDecoder().String(raw)
	if err != nil {
		return strings.ToValidUTF8(raw, "\uFFFD")
	}
	return text
}

const escape = 0x1B

// escapes are the designations of PS3.5 6.1.2.5.3 and PS3.3 tables C.12-3 and
// C.12-4, without the escape byte itself.
var escapes = []struct {
	code string
	term string
}{
	{"$)C", "ISO_IR 149"}, {"$)A", "ISO_IR 58"}, {"$(D", "ISO_IR 159"}, {"$B", "ISO_IR 87"},
	{"(B", ""}, {"(J", ""}, {")I", "ISO_IR 13"}, {"-A", "ISO_IR 100"}, {"-B", "ISO_IR 101"},
	{"-C", "ISO_IR 109"}, {"-D", "ISO_IR 110"}, {"-L", "ISO_IR 144"}, {"-G", "ISO_IR 127"},
	{"-F", "ISO_IR 126"}, {"-H", "ISO_IR 138"}, {"-M", "ISO_IR 148"}, {"-b", "ISO_IR 203"}, {"-T", "ISO_IR 166"},
}

// decodeExtended follows code extensions (ISO 2022).
func (d textDecoder) decodeExtended(raw, first string) string {
	var text strings.Builder
	term := first
	for raw != "" {
		end := strings.IndexByte(raw, escape)
		if end < 0 {
			end = len(raw)
		}
		decodeRun(&text, term, raw[:end], first)
		raw = raw[end:]
		if raw == "" {
			break
		}
		raw, term = designation(raw[1:])
	}
	return text.String()
}

// designation reads the code after an escape byte.
func designation(raw string) (rest, term string) {
	for _, e := range escapes {
		if strings.HasPrefix(raw, e.code) {
			return raw[len(e.code):], e.term
		}
	}
	return raw, "unknown"
}

// decodeRun decodes text up to the next escape. Delimiters of a person name
// return to the first set (PS3.5 6.1.2.5.3).
func decodeRun(text *strings.Builder, term, run, first string) {
	switch term {
	case "ISO_IR 87", "ISO_IR 159": // 94×94 sets in G0: seven-bit pairs
		code := "\x1b$B"
		if term == "ISO_IR 159" {
			code = "\x1b$(D"
		}
		decoded, err := japanese.ISO2022JP.NewDecoder().String(code + run + "\x1b(B")
		if err != nil {
			decoded = "\uFFFD"
		}
		text.WriteString(decoded)
		return
	}
	if i := strings.IndexAny(run, "^=\\"); i >= 0 && term != first && term != "" {
		text.WriteString(decodeWith(encodingOf(term), run[:i]))
		text.WriteByte(run[i])
		decodeRun(text, first, run[i+1:], first)
		return
	}
	text.WriteString(decodeWith(encodingOf(term), run))
}
