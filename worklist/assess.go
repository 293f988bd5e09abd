package worklist

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"neurotriage"
)

// Desk takes what people say of findings.
type Desk interface {
	// Assess stores a verdict on the finding in force. Errors that wrap
	// ErrOutdated or ErrVerdict are the visitor's to mend.
	Assess(ctx context.Context, a Assessment) error
	// Assessments calls fn with every assessment there is, oldest first.
	Assessments(ctx context.Context, fn func(Assessment) error) error
}

// Errors of a desk.
var (
	ErrOutdated = errors.New("the study has a newer finding")
	ErrVerdict  = errors.New("not a valid verdict")
)

// Assessment is a verdict with what the finding said. Assess fills in all that
// stands below Note.
type Assessment struct {
	Judgement
	StudyInstanceUID string
	Note             string
	Disposition      neurotriage.Disposition
	Predicted        string
	Glioma           float64
	Scored           bool
	Threshold        float64
	Sequence         neurotriage.SequenceKind
	Model            string // digest
}

func (b *Board) assess(w http.ResponseWriter, r *http.Request) {
	a := Assessment{StudyInstanceUID: r.PathValue("uid"), Note: strings.TrimSpace(r.PostFormValue("note"))}
	a.FindingID, a.User = r.PostFormValue("finding"), visitor(r).Name
	a.Verdict = r.PostFormValue("verdict")
	if a.Verdict == "corrected" {
		a.Label = r.PostFormValue("label")
	}
	err := b.options.Desk.Assess(r.Context(), a)
	switch {
	case errors.Is(err, ErrOutdated):
		http.Error(w, "The study has a newer finding by now. Go back, reload, and look at that one.", http.StatusConflict)
	case errors.Is(err, ErrVerdict):
		http.Error(w, "This verdict is not complete: "+err.Error(), http.StatusBadRequest)
	case err != nil:
		b.fail(w, fmt.Errorf("storing the assessment: %w", err))
	default:
		b.book.done(r, "assessed a finding", strings.TrimSpace(a.Verdict+" "+a.Label)+", finding "+a.FindingID)
		http.Redirect(w, r, "/study/"+a.StudyInstanceUID+"#assessment", http.StatusSeeOther)
	}
}

var csvHead = []string{
	"time", "study_instance_uid", "finding_id", "verdict", "label", "user", "note",
	"disposition", "predicted", "glioma_probability", "glioma_threshold", "sequence", "model_digest",
}

// serveCSV exports every assessment for retraining. The last verdict on a
// finding is the one that counts; all are given, so that a change of mind shows.
func (b *Board) serveCSV(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="assessments.csv"`)
	sheet := csv.NewWriter(w)
	err := sheet.Write(csvHead)
	if err == nil {
		err = b.options.Desk.Assessments(r.Context(), func(a Assessment) error { return sheet.Write(csvLine(a)) })
	}
	sheet.Flush()
	if err = errors.Join(err, sheet.Error()); err != nil {
		b.options.Logger.Error("the export of assessments is cut short", "error", err)
		panic(http.ErrAbortHandler) // the client must see that the file is not whole
	}
}

func csvLine(a Assessment) []string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	glioma := ""
	if a.Scored {
		glioma = number(a.Glioma)
	}
	line := []string{
		a.Time.UTC().Format(time.RFC3339Nano), a.StudyInstanceUID, a.FindingID, a.Verdict, a.Label, a.User, a.Note,
		string(a.Disposition), a.Predicted, glioma, number(a.Threshold), string(a.Sequence), a.Model,
	}
	for i := range line {
		line[i] = inert(line[i])
	}
	return line
}

// inert keeps a spreadsheet from running text as a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// labels are what a finding can be corrected to: the model's classes, and what
// it does not know.
func labels(f *neurotriage.Finding) []string {
	list := make([]string, 0, len(f.Probabilities)+1)
	for label := range f.Probabilities {
		list = append(list, label)
	}
	if len(list) == 0 {
		list = append(list, neurotriage.Glioma, neurotriage.Meningioma, neurotriage.Normal, neurotriage.Pituitary)
	}
	slices.Sort(list)
	return append(list, "other")
}
