package classifier

import (
	"slices"
	"sync"

	"neurotriage"
)

// place is where a slice stands in the study.
type place struct{ series, index int }

// candidate is a slice that may become a key slice, with what its picture needs.
type candidate struct {
	place
	image neurotriage.KeyImage
	p     float64 // of the class it is kept for
}

// candidates keeps, for each tumour class, the few likeliest slices seen so far
// and lets go of the pixels of all others. Which of them lead is known only at
// the end. Its order is total, so the outcome does not depend on arrival.
type candidates struct {
	most  int
	mutex sync.Mutex
	best  [][]candidate // by label; likeliest first
}

func newCandidates(labels, most int) *candidates {
	return &candidates{most: most, best: make([][]candidate, labels)}
}

// offer keeps the slice for one label if it is among the likeliest; image is
// called only then.
func (c *candidates) offer(label int, at place, p float64, image func() neurotriage.KeyImage) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	mine := candidate{place: at, p: p}
	i, _ := slices.BinarySearchFunc(c.best[label], mine, order)
	if i == c.most {
		return
	}
	mine.image = image()
	kept := slices.Insert(c.best[label], i, mine)
	if len(kept) > c.most {
		kept[c.most] = candidate{} // lets go of its pixels
		kept = kept[:c.most]
	}
	c.best[label] = kept
}

// order puts the likelier slice first; of equals, the earlier one.
func order(a, b candidate) int {
	if d := compare(b.p, a.p); d != 0 {
		return d
	}
	if a.series != b.series {
		return a.series - b.series
	}
	return a.index - b.index
}
