package dicomio_test

import (
	"bytes"
	"slices"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// encapsulatedFrames is an enhanced RLE image of four frames, its frames' bytes beside
// it.
func encapsulatedFrames() (kit.File, kit.Fragments) {
	file := kit.Study{Series: []kit.Series{{Enhanced: true, Syntax: kit.RLE, Images: kit.Heads(4, 20, 30)}}}.Files()[0]
	return file, file.Element(pixelData).Value.(kit.Fragments)
}

// cut splits each frame into fragments of at most size bytes, and gives where
// each frame begins, counted from the first item tag.
func cut(frames kit.Fragments, size int) (parts kit.Fragments, offsets []uint32, wide []uint64) {
	at := uint32(0)
	for _, frame := range frames {
		offsets, wide = append(offsets, at), append(wide, uint64(at))
		for part := range slices.Chunk(frame, size) {
			parts = append(parts, part)
			at += 8 + uint32(len(part))
		}
	}
	return parts, offsets, wide
}

// Whatever the tables say, each codec gets exactly one frame.
func TestFramesInFragments(t *testing.T) {
	file, frames := encapsulatedFrames()
	want, _ := slicesOf(t, opened(t, []kit.File{file}, dicomio.Options{}))
	if len(want) != 4 {
		t.Fatalf("%d frames", len(want))
	}
	whole, offsets, wide := cut(frames, 1<<20)
	parts, cutOffsets, cutWide := cut(frames, 100)
	wrong := slices.Clone(cutOffsets)
	wrong[2] += 2
	lengths := make([]uint64, len(frames))
	padded := make(kit.Fragments, len(frames))
	for n, frame := range frames {
		lengths[n] = uint64(len(frame))
		padded[n] = append(bytes.Clone(frame), make([]byte, 2+2*n)...)
	}
	ov := func(tag uint32, values []uint64) kit.Element { return kit.Element{Tag: tag, VR: "OV", Value: values} }
	const extended, extendedLengths = 0x7FE00001, 0x7FE00002
	table := func(offsets []uint32, fragments kit.Fragments) kit.Element {
		return kit.Element{Tag: pixelData, VR: "OB", Value: kit.Table{Offsets: offsets, Fragments: fragments}}
	}
	cases := []struct {
		name     string
		elements []kit.Element
		want     neurotriage.Reason
	}{
		{"one fragment a frame, no table", []kit.Element{table(nil, whole)}, read},
		{"one fragment a frame, basic table", []kit.Element{table(offsets, whole)}, read},
		{"one fragment a frame, extended table", []kit.Element{table(nil, whole), ov(extended, wide), ov(extendedLengths, lengths)}, read},
		{"one fragment a frame, a table that lies", []kit.Element{table(wrong, whole)}, read},
		{"padding behind frames, lengths told", []kit.Element{table(nil, padded), ov(extendedLengths, lengths)}, read},
		{"padding behind frames", []kit.Element{table(nil, padded)}, read},
		{"lengths that lie", []kit.Element{table(nil, whole), ov(extendedLengths, []uint64{1 << 40, 0, 1 << 63, 1 << 32})}, read},
		{"several fragments, basic table", []kit.Element{table(cutOffsets, parts)}, read},
		{"several fragments, extended table", []kit.Element{table(nil, parts), ov(extended, cutWide)}, read},
		{"several fragments, a basic table that lies, an extended one that does not", []kit.Element{table(wrong, parts), ov(extended, cutWide)}, read},
		{"several fragments, no table", []kit.Element{table(nil, parts)}, read},
		{"several fragments, a table that lies", []kit.Element{table(wrong, parts)}, read},
		{"several fragments, a table of another length", []kit.Element{table(cutOffsets[:3], parts)}, read},
		{"several fragments that cannot be told apart", []kit.Element{table(nil, append(kit.Fragments{make([]byte, 100)}, parts...))}, neurotriage.CorruptDICOM},
		{"fewer fragments than frames", []kit.Element{table(nil, whole[:3])}, neurotriage.CorruptDICOM},
	}
	for _, c := range cases {
		study, err := dicomio.Open(t.Context(), dicomio.Paths([]string{written(t, kit.EncodeFile(kit.RLE, file.With(c.elements...)))}), dicomio.Options{})
		if err != nil {
			if reason(err) != c.want {
				t.Errorf("%s: got %v, want %s", c.name, err, c.want)
			}
			continue
		}
		got, refused := slicesOf(t, study)
		if c.want != read {
			if len(got) > 0 || refused[0].Reason != c.want {
				t.Errorf("%s: read %d, refused %v", c.name, len(got), refused)
			}
		} else if len(got) != 4 {
			t.Errorf("%s: read %d, refused %v", c.name, len(got), refused)
		}
		for n, slice := range got {
			if !slices.Equal(slice.Pixels, want[n].Pixels) {
				t.Errorf("%s: slice %d differs", c.name, n)
			}
		}
		if err := study.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Frames that are encapsulated without being compressed (PS3.5 A.4.11), of an
// odd number of bytes each, padded to even fragments.
func TestEncapsulatedUncompressed(t *testing.T) {
	images := kit.Heads(3, 5, 7)
	var fragments kit.Fragments
	for n := range images {
		images[n].Bits = 8
		raw := make([]byte, 36)
		for i := range images[n].Stored {
			images[n].Stored[i] &= 255
			raw[i] = byte(images[n].Stored[i])
		}
		fragments = append(fragments, raw)
	}
	file := kit.Study{Series: []kit.Series{{Enhanced: true, Images: images}}}.Files()[0]
	want, _ := slicesOf(t, opened(t, []kit.File{file}, dicomio.Options{}))
	data := kit.EncodeFile("1.2.840.10008.1.2.1.98", file.With(kit.Element{Tag: pixelData, VR: "OB", Value: fragments}))
	got, refused := slicesOf(t, open(t, dicomio.Options{}, written(t, data)))
	if len(got) != 3 || len(want) != 3 {
		t.Fatalf("read %d of %d, refused %v", len(got), len(want), refused)
	}
	for n := range got {
		if !slices.Equal(got[n].Pixels, want[n].Pixels) {
			t.Errorf("frame %d differs", n)
		}
	}
}

// Fragments in a transfer syntax that has none are damage, and no crash.
func TestFragmentsWhereNoneBelong(t *testing.T) {
	file, frames := encapsulatedFrames()
	for _, syntax := range []string{kit.ExplicitLittle, kit.ExplicitBig} {
		data := kit.EncodeFile(syntax, file.With(kit.Element{Tag: pixelData, VR: "OB", Value: frames}))
		if _, err := dicomio.Open(t.Context(), dicomio.Paths([]string{written(t, data)}), dicomio.Options{}); reason(err) != neurotriage.CorruptDICOM {
			t.Errorf("%s: got %v", syntax, err)
		}
	}
}

// Pixel data that holds fewer frames than are announced is refused as a whole.
func TestMissingFrames(t *testing.T) {
	file := kit.Study{Series: []kit.Series{{Enhanced: true, Images: kit.Heads(10, 8, 8)}}}.Files()[0]
	pixels := file.Element(pixelData).Value.([]byte)
	for name, elements := range map[string][]kit.Element{
		"five of ten frames":  {{Tag: pixelData, VR: "OW", Value: pixels[:len(pixels)/2]}},
		"a million frames":    {is(0x00280008, "1000000")},
		"eleven frames":       {is(0x00280008, "11")},
		"no frames":           {is(0x00280008, "0")},
		"frames that are NaN": {is(0x00280008, "NaN"), {Tag: pixelData, VR: "OW", Value: pixels[:16]}},
	} {
		want := neurotriage.CorruptDICOM
		if name == "a million frames" {
			want = neurotriage.TooLarge
		}
		_, err := dicomio.Open(t.Context(), dicomio.Paths([]string{written(t, kit.EncodeFile(kit.ExplicitLittle, file.With(elements...)))}), dicomio.Options{})
		if reason(err) != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// Few bytes may not announce more frames than can be held.
func TestStudyFrames(t *testing.T) {
	series := kit.Series{Enhanced: true, Images: kit.Heads(10, 8, 8)}
	files := kit.Study{Series: []kit.Series{series, series}}.Files()
	for limit, want := range map[int]neurotriage.Reason{20: read, 19: neurotriage.TooLarge} {
		got, _, err := opening(t, files, dicomio.Options{Limits: dicomio.Limits{StudyFrames: limit}})
		if got != want {
			t.Errorf("limit %d: got %v, want %s", limit, err, want)
		}
	}
}

// Two copies of an enhanced image are one; when a later frame differs, they are not.
func TestEnhancedCopies(t *testing.T) {
	series := kit.Series{Enhanced: true, Images: kit.Heads(13, 8, 8)}
	one := kit.Study{Series: []kit.Series{series}}.Files()[0]
	series.Syntax = kit.RLE
	two := named("rle", kit.Study{Series: []kit.Series{series}}.Files()[0])
	changedPixels := bytes.Clone(one.Element(pixelData).Value.([]byte))
	changedPixels[len(changedPixels)-2] ^= 1
	three := named("other", changed(one, kit.Element{Tag: pixelData, VR: "OW", Value: changedPixels}))
	for _, c := range []struct {
		other kit.File
		want  neurotriage.Reason
	}{{two, read}, {named("twin", one), read}, {three, neurotriage.InconsistentStudy}} {
		got, study, err := opening(t, []kit.File{one, c.other}, dicomio.Options{})
		if got != c.want || err == nil && len(study.Series[0].Slices) != 13 {
			t.Errorf("%s: got %s (%v)", c.other.Name, got, err)
		}
	}
}

// written puts one file into a folder of its own.
func written(t *testing.T, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	lay(t, dir, []kit.File{{Name: "one.dcm", Data: data}})
	return dir
}
