package jpeg2000

import (
	"fmt"

	"neurotriage/dicomio/codec"
)

// budget is what decoding one frame may still cost. A codestream of some bytes
// can ask for any amount of work: a million precincts, 65,535 layers, thirty
// passes over data that is not there. What is allowed follows the number of
// pixels and leaves more room than any encoder was seen to need.
type budget struct {
	precincts int // of all tiles, for memory
	packets   int // read or passed over, for time
	pieces    int // shares of code-blocks in packets, for memory
	samples   int // times their bit planes, for time
}

func newBudget(pixels, precision int) budget {
	return budget{
		precincts: 1<<12 + pixels/64,
		packets:   1<<16 + pixels/4,
		pieces:    1<<18 + pixels/4,
		samples:   1<<24 + (precision+2)*pixels, // noise of 16 bits takes 16.4 times its pixels
	}
}

// spend takes cost away from one of the budget's numbers.
func spend(left *int, cost int, what string) error {
	if *left -= cost; *left < 0 {
		return fmt.Errorf("the codestream asks for more %s than an image of this size can need: %w", what, codec.ErrUnsupported)
	}
	return nil
}

// arena hands out slices that live as long as a tile; the next tile gets the
// same memory.
type arena[T any] struct {
	all, free []T
	used      int
}

// take gives n cleared elements.
func (a *arena[T]) take(n int) []T {
	if len(a.free) < n {
		a.free = make([]T, max(n, min(a.used, 1<<14))) // twice as many each time
	}
	out := a.free[:n:n]
	a.free = a.free[n:]
	a.used += n
	return out
}

// reset takes everything back.
func (a *arena[T]) reset() {
	if a.used > len(a.all) {
		a.all = make([]T, a.used)
	} else {
		clear(a.all[:a.used])
	}
	a.free, a.used = a.all, 0
}
