package jpeg2000

import (
	"errors"
	mathbits "math/bits"
)

var errHighLength = errors.New("the lengths of a high-throughput code-block are damaged")

// highLengths reads the lengths of the codewords of a T.814 code-block (T.814
// B.2 and B.3). Passes are grouped in sets of cleanup, significance propagation and
// magnitude refinement; a set may be empty and then only counts a bit plane, and
// the last one that is not has the samples.
func (r *packetReader) highLengths(b *block, header *headerBits, passes int) error {
	if b.cleanup == 0 {
		done, err := r.firstCleanup(b, header, passes)
		if err != nil || done == passes {
			return err
		}
		passes -= done
	}
	for passes > 0 {
		if kind := b.passes % 3; kind == 0 {
			if length := header.length(int(b.length)); length > 0 {
				if err := r.set(b, length, 1); err != nil {
					return err
				}
			} else {
				b.passes++
			}
			passes--
		} else {
			count := min(passes, 3-int(kind))
			r.refine(b, header.length(int(b.length)+count-1), uint8(count))
			passes -= count
		}
	}
	return header.err()
}

// firstCleanup reads up to the first cleanup that has data. Until then a length
// is as wide as if the block were of T.800, because placeholders and it count as
// one codeword.
func (r *packetReader) firstCleanup(b *block, header *headerBits, passes int) (done int, err error) {
	count := passes - (int(b.passes)+passes-1)%3 // passes to the last cleanup that can be here
	width := func(passes int) int { return mathbits.Len(uint(passes)) - 1 }
	if count < 1 {
		if header.length(int(b.length)+width(passes)) != 0 {
			return 0, errHighLength
		}
		b.passes += uint8(passes)
		return passes, header.err()
	}
	length := header.length(int(b.length) + width(count))
	if length > 0 {
		return count, r.set(b, length, count)
	}
	if header.bits(width(passes)-width(count)) != 0 { // nothing but placeholders
		return 0, errHighLength
	}
	b.passes += uint8(passes)
	return passes, header.err()
}

// set starts a set whose cleanup is the last of count passes. What earlier sets
// brought is coarser and forgotten.
func (r *packetReader) set(b *block, length int32, count int) error {
	if length < 2 {
		return errHighLength
	}
	b.passes += uint8(count)
	b.cleanup, b.refinements = b.passes, 0
	r.delivered = append(r.delivered, delivery{block: b, length: length, passes: 1, most: highCleanup})
	return nil
}

// refine adds passes to the set, or to an empty one.
func (r *packetReader) refine(b *block, length int32, count uint8) {
	b.passes += count
	d := delivery{block: b, length: length, passes: count, most: highRefinement}
	if b.passes-b.cleanup < 3 {
		b.refinements += count
	} else {
		d.most = highIgnored
	}
	r.delivered = append(r.delivered, d)
}

// What a piece of a high-throughput block belongs to.
const (
	highIgnored = iota
	highCleanup
	highRefinement
)
