package pacs

import (
	"bytes"
	"testing"

	"neurotriage/dicomio"
)

// header is the file meta information of a file that we write.
func header(t testing.TB) []byte {
	t.Helper()
	meta, err := dicomio.FileMeta("1.2.840.10008.5.1.4.1.1.88.34", "2.25.1", "1.2.840.10008.1.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

func TestOpenFile(t *testing.T) {
	meta := header(t)
	dataset := []byte{8, 0, 5, 0, 'C', 'S', 0, 0}
	cases := []struct {
		name string
		data []byte
		ok   bool
	}{
		{"as we write it", append(bytes.Clone(meta), dataset...), true},
		{"without a data set", meta, true},
		{"nothing", nil, false},
		{"a preamble alone", make([]byte, preamble+4), false},
		{"cut off in the header", meta[:len(meta)-60], false},
		{"cut off in an element's head", meta[:preamble+4+5], false},
		{"another prefix", bytes.Replace(meta, []byte("DICM"), []byte("MCID"), 1), false},
		{"no instance", bytes.Replace(meta, []byte("2.25.1"), []byte("2.25.x"), 1), false},
		{"a length beyond the end", bytes.Replace(meta, []byte("UI\x06\x00"), []byte("UI\xff\xff"), 1), false},
	}
	for _, c := range cases {
		f, err := openFile(c.data)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.ok && (f.sopClass != "1.2.840.10008.5.1.4.1.1.88.34" || f.sopInstance != "2.25.1" || f.transferSyntax != "1.2.840.10008.1.2.1" ||
			!bytes.Equal(f.dataset, c.data[len(meta):])) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func FuzzOpenFile(f *testing.F) {
	f.Add(append(header(f), 8, 0, 5, 0))
	f.Add([]byte("DICM"))
	f.Fuzz(func(t *testing.T, data []byte) {
		opened, err := openFile(data)
		if err == nil && !bytes.HasSuffix(data, opened.dataset) {
			t.Error("the data set is not the file's end")
		}
	})
}
