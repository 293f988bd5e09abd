package dicomio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"neurotriage"
)

// maxSpellings bounds what samePatient compares: no patient has more names.
const maxSpellings = 64

// samePatient refuses a study whose files speak of two people. One differing
// attribute is not enough where others agree: names are spelt differently and
// change, and merged archives hold two identifiers for one person.
func samePatient(all []*instance) *neurotriage.Refusal {
	distinct := map[neurotriage.Patient]*instance{}
	for _, i := range all {
		if len(distinct) > maxSpellings {
			return neurotriage.Refuse(neurotriage.InconsistentStudy, "read study: more than %d ways to name its patient", maxSpellings)
		}
		p := neurotriage.Patient{Name: foldName(i.patient.Name), ID: strings.ToUpper(strings.TrimSpace(i.patient.ID)), BirthDate: i.patient.BirthDate}
		for other, from := range distinct {
			if different(p, other) {
				return neurotriage.Refuse(neurotriage.InconsistentStudy,
					"read study: %s and %s are of different patients", from.file.Name, i.file.Name)
			}
		}
		if distinct[p] == nil {
			distinct[p] = i
		}
	}
	return nil
}

// different weighs identifier, birth date and name.
func different(a, b neurotriage.Patient) bool {
	differs := func(x, y string) bool { return x != "" && y != "" && x != y }
	agrees := func(x, y string) bool { return x != "" && x == y }
	id, birth, name := differs(a.ID, b.ID), differs(a.BirthDate, b.BirthDate), differs(a.Name, b.Name)
	switch {
	case id:
		return !(agrees(a.Name, b.Name) && agrees(a.BirthDate, b.BirthDate))
	case agrees(a.ID, b.ID):
		return birth && name
	}
	return birth || name // no identifier to go by
}

// foldName compares names without case, separators and prefixes (PS3.5 6.2.1).
func foldName(name string) string {
	alphabetic, _, _ := strings.Cut(name, "=")
	return strings.Join(strings.FieldsFunc(strings.ToUpper(alphabetic), func(r rune) bool {
		return r == '^' || r == ' ' || r == ',' || r == '.' || r == '-'
	}), " ")
}

// unique leaves one of several files with the same SOP instance UID (PS3.5 9.1:
// it is one object), and refuses the study when they are not the same object.
func unique(ctx context.Context, all []*instance, limits Limits) ([]*instance, []string, error) {
	byUID, place := map[string]*instance{}, map[string]int{}
	kept := make([]*instance, 0, len(all))
	doubles := 0
	for _, i := range all {
		first := byUID[i.sopUID]
		if first == nil {
			byUID[i.sopUID], place[i.sopUID] = i, len(kept)
			kept = append(kept, i)
			continue
		}
		doubles++
		same, better, err := compare(ctx, first, i, limits)
		if err != nil {
			return nil, nil, err
		}
		if !same {
			return nil, nil, neurotriage.Refuse(neurotriage.InconsistentStudy,
				"read study: %s and %s have the same SOP instance UID %s and different content", first.file.Name, i.file.Name, i.sopUID)
		}
		if better {
			kept[place[i.sopUID]] = i
			byUID[i.sopUID] = i
		}
	}
	if doubles == 0 {
		return kept, nil, nil
	}
	return kept, []string{fmt.Sprintf("%d files are copies of others and were left out", doubles)}, nil
}

// compare reports whether two files hold one object, and whether the second is
// the better copy. Copies may differ in transfer syntax and file meta.
func compare(ctx context.Context, a, b *instance, limits Limits) (same, better bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, false, err
	}
	if a.damaged != nil || b.damaged != nil { // a torn copy beside a whole one
		return a.seriesUID == b.seriesUID, a.damaged != nil && b.damaged == nil, nil
	}
	if equal, err := equalBytes(a.file, b.file); equal || err != nil {
		return equal, false, err
	}
	if a.seriesUID != b.seriesUID || a.geometry != b.geometry || a.image.frame.Rows != b.image.frame.Rows ||
		a.image.frame.Columns != b.image.frame.Columns || a.scaling != b.scaling {
		return false, false, nil
	}
	if !a.image.present || a.transferSyntax == b.transferSyntax && !a.canDecode() {
		return false, false, nil
	}
	if !a.canDecode() || !b.canDecode() { // one object in two syntaxes, as archives keep it
		return true, b.canDecode(), nil
	}
	same, err = samePixels(ctx, a, b, limits)
	return same, false, err
}

// samePixels compares two copies frame by frame.
func samePixels(ctx context.Context, a, b *instance, limits Limits) (bool, error) {
	left, right := expand([]*instance{a}, limits), expand([]*instance{b}, limits)
	if len(left) != len(right) {
		return false, nil
	}
	for n := range left {
		x, errA := left[n].slice(n, limits, nil)
		y, errB := right[n].slice(n, limits, nil)
		if err := errors.Join(errA, errB, ctx.Err()); err != nil {
			if asRefusal(err) != nil {
				return false, nil
			}
			return false, err
		}
		if !slices.Equal(x.Pixels, y.Pixels) {
			return false, nil
		}
	}
	return true, nil
}

func (i *instance) canDecode() bool { return readable(i.transferSyntax) }

// equalBytes compares two files without holding either.
func equalBytes(a, b File) (bool, error) {
	if a.Size != b.Size {
		return false, nil
	}
	x, err := a.Open()
	if err != nil {
		return false, judge(err, "open", a.Name)
	}
	defer x.Close()
	y, err := b.Open()
	if err != nil {
		return false, judge(err, "open", b.Name)
	}
	defer y.Close()
	left, right := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errX := io.ReadFull(x, left)
		m, errY := io.ReadFull(y, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		if err := errors.Join(ended(errX), ended(errY)); err != nil {
			if errors.Is(err, errTruncated) {
				return true, nil
			}
			return false, judge(err, "read", a.Name)
		}
	}
}
