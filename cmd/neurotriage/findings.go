package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"neurotriage"
)

// writeFindings prints findings for a person: one row each, then what there is
// to say about single studies.
func (a *app) writeFindings(findings []neurotriage.Finding) error {
	view := table{head: []string{"STUDY", "VERDICT", "WHY", "PREDICTED", "P", "P(GLIOMA)", "SERIES", "SLICES"}}
	for _, finding := range findings {
		view.add(a.findingRow(finding)...)
	}
	if err := view.write(a.out, a.style); err != nil {
		return err
	}
	var notes strings.Builder
	for _, finding := range findings {
		a.writeNotes(&notes, finding)
	}
	if _, err := io.WriteString(a.out, notes.String()); err != nil {
		return fmt.Errorf("write the notes: %w", err)
	}
	return nil
}

// mostReasons is how many series of a study say why they were not read.
const mostReasons = 8

// writeNotes tells why nothing of a study was read, and its warnings.
func (a *app) writeNotes(w io.Writer, finding neurotriage.Finding) {
	var lines []string
	if finding.Reason == neurotriage.NothingEligible {
		for i, series := range finding.Series {
			if i == mostReasons {
				lines = append(lines, fmt.Sprintf("and %s more", plural(len(finding.Series)-i, "series", "series")))
				break
			}
			lines = append(lines, "series "+series.SeriesInstanceUID+": "+series.Why)
		}
	}
	for _, warning := range finding.Warnings {
		lines = append(lines, a.style.warn("warning: ")+warning)
	}
	if len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n  %s\n", a.style.bold(finding.StudyInstanceUID), strings.Join(lines, "\n  "))
	}
}

func (a *app) findingRow(finding neurotriage.Finding) []cell {
	verdict, paint := a.verdict(finding.Disposition)
	read, slices := 0, 0
	for _, series := range finding.Series {
		if series.Eligible {
			read++
			slices += series.Slices
		}
	}
	top, glioma := "", ""
	if finding.Probabilities != nil {
		top = probability(finding.Probabilities[finding.Predicted])
		glioma = probability(finding.Probabilities[neurotriage.Glioma])
	}
	return []cell{
		plainCell(finding.StudyInstanceUID), {text: verdict, paint: paint}, plainCell(string(finding.Reason)),
		plainCell(finding.Predicted), numberCell(top), numberCell(glioma),
		numberCell(fmt.Sprintf("%d/%d", read, len(finding.Series))), numberCell(strconv.Itoa(slices)),
	}
}

// verdict says a disposition in words. What nobody read is shown as NOT READ,
// whatever the reason.
func (a *app) verdict(disposition neurotriage.Disposition) (string, func(string) string) {
	switch disposition {
	case neurotriage.GliomaReview:
		return "GLIOMA REVIEW", a.style.bad
	case neurotriage.TumourSuspected:
		return "tumour suspected", a.style.warn
	case neurotriage.NotFlagged:
		return "not flagged", a.style.good
	case neurotriage.NotAssessable:
		return "NOT READ", a.style.warn
	case neurotriage.Refused:
		return "NOT READ, refused", a.style.bad
	}
	return string(disposition), nil
}

func probability(p float64) string { return strconv.FormatFloat(p, 'f', 3, 64) }

// tally counts the findings by verdict, for the last line on standard error.
func (a *app) tally(findings []neurotriage.Finding) string {
	counts, order := map[string]int{}, []string{}
	for _, finding := range findings {
		verdict, _ := a.verdict(finding.Disposition)
		if counts[verdict] == 0 {
			order = append(order, verdict)
		}
		counts[verdict]++
	}
	parts := []string{}
	for _, verdict := range order {
		parts = append(parts, fmt.Sprintf("%d %s", counts[verdict], verdict))
	}
	return plural(len(findings), "study", "studies") + ": " + strings.Join(parts, "; ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// writeJSON prints one value, indented, for programs.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write JSON to standard output: %w", err)
	}
	return nil
}

// writeLine prints one value as one line of JSON.
func writeLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write JSON to standard output: %w", err)
	}
	return nil
}
