package dicomio

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// concatenation is the place of an object in one that was too large to be stored as
// a whole (PS3.3 C.7.6.16.2.2.4). Its parts lie in one series, so their frames meet
// in the stacks of that series like those of one object; what remains is to see
// that all parts are there.
type concatenation struct {
	uid    string
	number int // from 1
	total  int // 0 when not said
	offset int // frames before this part, -1 when not said
}

var (
	tagConcatenation       = tag.Tag{Group: 0x0020, Element: 0x9161}
	tagConcatenationNumber = tag.Tag{Group: 0x0020, Element: 0x9162}
	tagConcatenationTotal  = tag.Tag{Group: 0x0020, Element: 0x9163}
	tagConcatenationOffset = tag.Tag{Group: 0x0020, Element: 0x9228}
)

func readConcatenation(r *reader) concatenation {
	return concatenation{
		uid: r.ascii(tagConcatenation), number: r.integer(tagConcatenationNumber, 0),
		total: r.integer(tagConcatenationTotal, 0), offset: r.integer(tagConcatenationOffset, -1),
	}
}

// concatenationFaults says what is wrong with the concatenations of a series.
func concatenationFaults(objects []*instance) []string {
	var faults []string
	parts := slices.DeleteFunc(slices.Clone(objects), func(i *instance) bool { return i.concatenation.uid == "" })
	for _, one := range groupBy(parts, func(i *instance) string { return i.concatenation.uid }) {
		slices.SortStableFunc(one, func(a, b *instance) int { return cmp.Compare(a.concatenation.number, b.concatenation.number) })
		if fault := concatenationFault(one); fault != "" {
			faults = append(faults, fault)
		}
	}
	return faults
}

// concatenationFault judges the parts of one concatenation, in order.
func concatenationFault(parts []*instance) string {
	total, frames := 0, 0
	for n, i := range parts {
		c := i.concatenation
		total = max(total, c.total, c.number)
		switch {
		case c.number < 1 || c.total > 0 && c.number > c.total:
			return fmt.Sprintf("a part of a concatenation is numbered %d of %d", c.number, c.total)
		case n+1 < len(parts) && c.number == parts[n+1].concatenation.number:
			return fmt.Sprintf("two parts of a concatenation are numbered %d", c.number)
		case c.number == n+1 && c.offset >= 0 && c.offset != frames:
			return fmt.Sprintf("part %d of a concatenation begins behind frame %d, those before it have %d", c.number, c.offset, frames)
		}
		frames += max(1, i.image.frames)
	}
	if missing := total - len(parts); missing > 0 {
		return fmt.Sprintf("%d of %d parts of a concatenation are missing", missing, total)
	}
	return ""
}
