package config

import (
	"fmt"
	"strings"
)

// Complaint is one thing wrong with the configuration.
type Complaint struct {
	Key     string // dotted key, or the variable's or file's name
	Value   string // as written; masked where it is secret, empty where there is none
	Origin  string // as Config.Origin gives it
	Allowed string // what would be right, as the rest of the sentence
}

func (c Complaint) String() string {
	var text strings.Builder
	text.WriteString(c.Key)
	if c.Value != "" {
		fmt.Fprintf(&text, " = %q", c.Value)
	}
	text.WriteString(": " + c.Allowed)
	if c.Origin != "" && c.Origin != originDefault {
		text.WriteString(" (" + c.Origin + ")")
	}
	return text.String()
}

// FaultError is a configuration that must not be used: all its complaints, in
// the order of the file. No retry helps; the command line exits with 2.
type FaultError struct {
	Complaints []Complaint
}

func (e *FaultError) Error() string {
	lines := make([]string, len(e.Complaints))
	for i, complaint := range e.Complaints {
		lines[i] = complaint.String()
	}
	if len(lines) == 1 {
		return "configuration: " + lines[0]
	}
	return fmt.Sprintf("configuration: %d faults:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// complaints gathers faults so that a user sees all of them at once.
type complaints []Complaint

func (c *complaints) add(key, value, origin, format string, args ...any) {
	*c = append(*c, Complaint{Key: key, Value: value, Origin: origin, Allowed: fmt.Sprintf(format, args...)})
}

func (c complaints) err() error {
	if len(c) == 0 {
		return nil
	}
	return &FaultError{Complaints: c}
}

// nearest returns the candidates that a person who typed word may have meant,
// at most three, the nearest first.
func nearest(word string, candidates []string) []string {
	const most = 3
	limit := max(2, len(word)/4) // edits; longer names bear more slips
	var near []string
	for distance := 0; distance <= limit; distance++ {
		for _, candidate := range candidates {
			if len(near) < most && edits(word, candidate) == distance {
				near = append(near, candidate)
			}
		}
	}
	return near
}

// didYouMean is the end of a sentence about an unknown name, or empty.
func didYouMean(word string, candidates []string) string {
	near := nearest(word, candidates)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// edits is the Levenshtein distance of two strings, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
