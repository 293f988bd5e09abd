package report

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"neurotriage/dicomio"
)

func el(tag uint32, vr string, value any) dicomio.Element {
	return dicomio.Element{Tag: tag, VR: vr, Value: value}
}

func cs(tag uint32, value string) dicomio.Element { return el(tag, "CS", value) }
func ui(tag uint32, value string) dicomio.Element { return el(tag, "UI", value) }
func is(tag uint32, value int) dicomio.Element    { return el(tag, "IS", strconv.Itoa(value)) }
func us(tag uint32, value int) dicomio.Element {
	return el(tag, "US", []uint16{uint16(value)}) //nolint:gosec // rows, columns and bits of our own pictures
}
func sh(tag uint32, value string) dicomio.Element { return el(tag, "SH", line(value, 16)) }
func lo(tag uint32, value string) dicomio.Element { return el(tag, "LO", line(value, 64)) }
func st(tag uint32, value string) dicomio.Element { return el(tag, "ST", line(value, 1024)) }
func sq(tag uint32, items ...dicomio.Dataset) dicomio.Element {
	return el(tag, "SQ", items)
}

// day and clock write a moment as DA and TM (PS3.5 6.2).
func day(tag uint32, at time.Time) dicomio.Element { return el(tag, "DA", at.Format("20060102")) }
func clock(tag uint32, at time.Time) dicomio.Element {
	return el(tag, "TM", at.Format("150405.000000"))
}

// moment writes DT with its offset from UTC, so that no zone has to be guessed.
func moment(tag uint32, at time.Time) dicomio.Element {
	return el(tag, "DT", at.Format("20060102150405.000000-0700"))
}

// decimal writes a number with six digits, which fits a DS of sixteen characters.
func decimal(value float64) string { return strconv.FormatFloat(value, 'g', 6, 64) }

// line makes one value of a text: no control characters, no backslash (which
// would make two values of it, PS3.5 6.2), at most so many characters.
func line(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\\':
			return '/'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, text)
	return clip(strings.TrimSpace(text), most)
}

// clip cuts after so many characters, not in the middle of one.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return strings.TrimSpace(string([]rune(text)[:most]))
}

// personName keeps the three groups of a name, each of at most 64 characters
// and five components (PS3.5 6.2.1).
func personName(name string) string {
	groups := strings.SplitN(name, "=", 3)
	for i, group := range groups {
		if i == 2 { // whatever follows a third group belongs to none
			group, _, _ = strings.Cut(group, "=")
		}
		components := strings.Split(group, "^")
		components = components[:min(len(components), 5)]
		groups[i] = line(strings.Join(components, "^"), 64)
	}
	return strings.TrimRight(strings.Join(groups, "="), "=^ ")
}

// identifier copies what archives match by: as it stands, or not at all. A cut
// identifier would be somebody else's.
func identifier(tag uint32, vr, value string) dicomio.Element {
	value = strings.TrimSpace(value)
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > 64 || strings.ContainsFunc(value, func(r rune) bool {
		return r == '\\' || r == utf8.RuneError || unicode.IsControl(r)
	}) {
		value = ""
	}
	return el(tag, vr, value)
}

// date gives a DA value, or nothing when it is none.
func date(value string) string {
	if _, err := time.Parse("20060102", value); err != nil {
		return ""
	}
	return value
}

// timeOfDay gives a TM value, or nothing when it is none (PS3.5 6.2).
func timeOfDay(value string) string {
	whole, fraction, dotted := strings.Cut(value, ".")
	layouts := map[int]string{2: "15", 4: "1504", 6: "150405"}
	if _, err := time.Parse(layouts[len(whole)], whole); layouts[len(whole)] == "" || err != nil {
		return ""
	}
	if dotted && (len(whole) != 6 || fraction == "" || len(fraction) > 6 || strings.Trim(fraction, "0123456789") != "") {
		return whole
	}
	return value
}
