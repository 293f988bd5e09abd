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

// didYouMean is the end of a sentence about an unknown name: the nearest of the
// candidates, at most three, or nothing when none is near.
func didYouMean(word string, candidates []string) string {
	const most = 3
	nearest := max(2, len(word)/6) // slips; longer names bear more of them
	var near []string
	for _, candidate := range candidates {
		switch distance := slips(word, candidate); {
		case distance < nearest:
			nearest, near = distance, []string{candidate}
		case distance == nearest && len(near) < most:
			near = append(near, candidate)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// slips counts the letters added, left out, mistaken or swapped with their
// neighbour between two names (optimal string alignment), in bytes.
func slips(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			mistaken := row[j]
			if a[i] != b[j] {
				mistaken++
			}
			next[j+1] = min(mistaken, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
