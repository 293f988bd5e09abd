package jpeg2000

import (
	"fmt"

	"neurotriage/dicomio/codec"
)

type highSpace struct{}

func (w *workspace) decodeHigh(b *block, planes int, causal bool) error {
	return fmt.Errorf("code-blocks of high throughput: %w", codec.ErrUnsupported)
}
