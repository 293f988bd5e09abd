package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// researchUse stands below every message for people.
const researchUse = "Research software; not a diagnosis."

// compose makes a message of alerts, the most urgent first.
func compose(alerts []Alert) Message {
	alerts = slices.Clone(alerts)
	slices.SortStableFunc(alerts, func(a, b Alert) int {
		if by := urgency(a) - urgency(b); by != 0 {
			return by
		}
		return a.Raised.Compare(b.Raised)
	})
	if len(alerts) == 1 {
		return Message{ID: alerts[0].Key, Alerts: alerts}
	}
	keys := make([]string, len(alerts))
	for i, a := range alerts {
		keys[i] = a.Key
	}
	slices.Sort(keys)
	sum := sha256.Sum256([]byte(strings.Join(keys, "\n")))
	return Message{ID: "bundle-" + hex.EncodeToString(sum[:16]), Alerts: alerts}
}

func urgency(a Alert) int {
	return slices.Index([]Kind{Review, Changed, Overdue, Trial}, a.Kind)
}

// Subject is one line for the whole message.
func (m Message) Subject() string {
	if len(m.Alerts) == 1 {
		return m.Alerts[0].title()
	}
	var parts []string
	for _, kind := range []Kind{Review, Changed, Overdue, Trial} {
		count := 0
		for _, a := range m.Alerts {
			if a.Kind == kind {
				count++
			}
		}
		if count > 0 {
			parts = append(parts, strconv.Itoa(count)+" "+kindWords[kind])
		}
	}
	return strconv.Itoa(len(m.Alerts)) + " alerts: " + strings.Join(parts, ", ")
}

var kindWords = map[Kind]string{
	Review: "flagged for review", Changed: "changed", Overdue: "overdue", Trial: "test",
}

func (a Alert) title() string {
	title := map[Kind]string{
		Review: "Review: possible glioma", Changed: "Reading changed", Overdue: "Study overdue", Trial: "Test of the alerts",
	}[a.Kind]
	if a.Reminder > 0 {
		return "Reminder: " + title
	}
	return title
}

// Urgent tells whether a flagged study is among the alerts.
func (m Message) Urgent() bool {
	return slices.ContainsFunc(m.Alerts, func(a Alert) bool { return a.Kind == Review })
}

// Text is the message for people, without markup: services show theirs
// differently.
func (m Message) Text() string {
	var out strings.Builder
	for _, a := range m.Alerts {
		if len(m.Alerts) > 1 {
			fmt.Fprintf(&out, "%s\n", a.title())
		}
		for _, line := range a.lines() {
			fmt.Fprintf(&out, "%s\n", line)
		}
		out.WriteString("\n")
	}
	return out.String() + researchUse
}

func (a Alert) lines() []string {
	lines := []string{a.Text}
	if a.Over && a.Kind == Overdue {
		lines = append(lines, "It has its finding meanwhile.")
	} else if a.Over {
		lines = append(lines, "The study has a newer finding meanwhile.")
	}
	if a.Reminder > 0 {
		lines = append(lines, "Nobody has acknowledged it yet.")
	}
	if p := a.Patient; p != nil {
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprintf("Patient: %s  %s  %s", strings.ReplaceAll(p.Name, "^", " "), p.ID, p.BirthDate)), " "))
	}
	if a.AccessionNumber != "" {
		lines = append(lines, "Accession number: "+a.AccessionNumber)
	}
	if a.Probability != nil && a.Threshold != nil {
		lines = append(lines, fmt.Sprintf("Probability of glioma: %.2f (threshold %.2f)", *a.Probability, *a.Threshold))
	}
	if a.Priority != "" {
		lines = append(lines, "Announced as: "+string(a.Priority))
	}
	if !a.Raised.IsZero() {
		lines = append(lines, "Since: "+a.Raised.UTC().Format(time.RFC3339))
	}
	if a.StudyInstanceUID != "" {
		lines = append(lines, "Study: "+a.StudyInstanceUID)
	}
	if a.Link != "" {
		lines = append(lines, a.Link)
	}
	return lines
}

// link fills in the address of the alert's study.
func link(pattern string, a Alert) string {
	if a.StudyInstanceUID == "" {
		return ""
	}
	return strings.NewReplacer("{study}", url.PathEscape(a.StudyInstanceUID), "{finding}", url.PathEscape(a.FindingID)).Replace(pattern)
}

// Example is a message that concerns nobody, for an administrator's trial.
func Example(now time.Time) Message {
	return compose([]Alert{{
		Key: "test-" + strconv.FormatInt(now.Unix(), 10), Kind: Trial, Raised: now,
		Text: "This is a test by an administrator. No study is concerned.",
	}})
}
