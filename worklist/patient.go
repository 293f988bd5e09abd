package worklist

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"neurotriage"
)

// Patients says who the patient of a study is.
type Patients interface {
	// Patient reads it from the study's headers. An error that wraps ErrNotFound
	// says that they are not at hand any more.
	Patient(ctx context.Context, e Entry) (neurotriage.Patient, error)
}

// patientTime is how long a page waits for the headers of a study that lies on
// a slow share. Looking goes on meanwhile, so that a reload shows it.
const patientTime = 1500 * time.Millisecond

const patientAct = "see the patient"

// person is the patient as the page words it, or why nobody is named.
type person struct {
	Name, ID, Birth, Sex string
	Note                 string
}

// patient gives nil where nobody could say who the patient is.
func (b *Board) patient(r *http.Request, e Entry) *person {
	if b.options.Patients == nil || b.options.Identity == nil || e.FindingID == "" {
		return nil
	}
	who := visitor(r)
	if !b.options.Identity(who) {
		if who.Anonymous {
			return &person{Note: "not shown to visitors whom nobody knows"}
		}
		return &person{Note: "not shown to the role " + who.Role.String()}
	}
	ctx, stop := context.WithTimeout(r.Context(), patientTime)
	defer stop()
	found, err := b.options.Patients.Patient(ctx, e)
	switch {
	case errors.Is(err, ErrNotFound):
		return &person{Note: "not at hand: the study has left the place it was read from"}
	case errors.Is(err, context.DeadlineExceeded):
		return &person{Note: "still being looked up: reload"}
	case err != nil:
		b.options.Logger.Warn("who the patient is cannot be read", "study", e.StudyInstanceUID, "error", err)
		return &person{Note: "cannot be read just now"}
	}
	if !b.book.same(r, who, patientAct) {
		b.book.done(r, patientAct, "")
	}
	return newPerson(found, b.now())
}

func newPerson(p neurotriage.Patient, now time.Time) *person {
	shown := &person{Name: personName(p.Name), ID: p.ID, Birth: p.BirthDate, Sex: p.Sex}
	if born, err := time.Parse("20060102", p.BirthDate); err == nil {
		shown.Birth = fmt.Sprintf("%s (%d years)", born.Format(time.DateOnly), years(born, now))
	}
	if word, ok := map[string]string{"M": "male", "F": "female", "O": "other"}[p.Sex]; ok { // PS3.3 C.7.1.1
		shown.Sex = word
	}
	if shown.Name+shown.ID == "" {
		shown.Note = "the study names nobody"
	}
	return shown
}

// personName words a DICOM person name: groups of alphabetic, ideographic and
// phonetic form, each of family, given and middle name, prefix and suffix
// (PS3.5 6.2, PN).
func personName(name string) string {
	var groups []string
	for group := range strings.SplitSeq(name, "=") {
		family, rest, _ := strings.Cut(group, "^")
		rest = strings.Join(strings.FieldsFunc(rest, func(c rune) bool { return c == '^' }), " ")
		word := strings.TrimSpace(family)
		if rest = strings.TrimSpace(rest); rest != "" {
			word = strings.TrimPrefix(word+", "+rest, ", ")
		}
		if word != "" {
			groups = append(groups, word)
		}
	}
	return strings.Join(groups, " · ")
}

func years(born, now time.Time) int {
	full := now.Year() - born.Year()
	if now.Month() < born.Month() || now.Month() == born.Month() && now.Day() < born.Day() {
		full--
	}
	return max(0, full)
}
