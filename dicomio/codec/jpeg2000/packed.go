package jpeg2000

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"neurotriage/dicomio/codec"
)

// packedHeaders collects the segments PPM or PPT of one header (T.800 A.7.4 and
// A.7.5), which may stand in any order.
type packedHeaders []packedPart

type packedPart struct {
	index byte
	body  []byte
}

var errPackedTwice = fmt.Errorf("packet headers packed in the main header and in a tile's: %w", codec.ErrUnsupported)

// add takes a segment.
func (p *packedHeaders) add(body []byte) error {
	if len(body) < 1 || len(*p) == 256 {
		return errors.New("jpeg 2000 packed packet headers are cut off or too many")
	}
	*p = append(*p, packedPart{body[0], body[1:]})
	return nil
}

// joined puts the segments in order.
func (p *packedHeaders) joined() ([]byte, error) {
	slices.SortStableFunc(*p, func(a, b packedPart) int { return cmp.Compare(a.index, b.index) })
	var all []byte
	for i, part := range *p {
		if i > 0 && part.index == (*p)[i-1].index {
			return nil, fmt.Errorf("jpeg 2000 packed packet headers %d stand twice", part.index)
		}
		all = append(all, part.body...)
	}
	return all, nil
}

// split cuts the packet headers of the next tile-part off those of PPM.
func split(packed []byte) (headers, rest []byte, err error) {
	if len(packed) < 4 || be32(packed) > len(packed)-4 {
		return nil, nil, errors.New("jpeg 2000 packed packet headers end before the tile-parts do")
	}
	length := be32(packed)
	return packed[4 : 4+length], packed[4+length:], nil
}
