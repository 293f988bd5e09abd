package pacs_test

import (
	"bytes"
	"fmt"
	"testing"

	"neurotriage/internal/kit"
	"neurotriage/pacs"
)

// BenchmarkStore keeps MR images of 170 KB, one after the other.
func BenchmarkStore(b *testing.B) {
	file := (kit.Study{Name: "bench", Series: []kit.Series{{Images: kit.Heads(1, 292, 292)}}}).Files()[0]
	in, data := incoming("others", file)
	instance := text(file, 0x00080018)
	for _, sync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			opts := options(b.TempDir(), newOffice())
			opts.Sync = sync
			d, err := pacs.OpenDepot(opts)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				in.SOPInstanceUID = fmt.Sprintf("%s%0*d", instance[:10], len(instance)-10, n)
				if _, err := d.Store(b.Context(), in, bytes.NewReader(bytes.Replace(data, []byte(instance), []byte(in.SOPInstanceUID), 1))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
