package dicomio

import (
	"errors"
	"testing"

	"neurotriage/dicomio/codec"
)

// No frame may take two seconds: those that would are refused before a byte of
// them is looked at.
func TestLargeWaveletFramesAreRefusedUnread(t *testing.T) {
	for _, c := range []struct {
		rows, columns int
		refused       bool
	}{{2048, 2048, false}, {2048, 2049, true}, {4096, 4096, true}, {1, 1 << 23, true}} {
		header := FrameHeader{Rows: c.rows, Columns: c.columns, BitsAllocated: 16, BitsStored: 12, HighBit: 11}
		err := codecFor("1.2.840.10008.1.2.4.90")(nil, []byte("not a codestream"), header)
		if err == nil || errors.Is(err, codec.ErrUnsupported) != c.refused {
			t.Errorf("%d × %d: %v", c.rows, c.columns, err)
		}
	}
}
