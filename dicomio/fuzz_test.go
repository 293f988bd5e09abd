package dicomio_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

// fuzzLimits keep one run small, so that what is slow or large is a finding.
var fuzzLimits = dicomio.Limits{FileBytes: 1 << 20, HeaderBytes: 256 << 10, FramePixels: 1 << 16, Frames: 64, StudyBytes: 1 << 21, Files: 64}

// seeds are small files of every kind that the room tells apart.
func seeds() [][]byte {
	var all [][]byte
	for _, syntax := range []string{kit.ImplicitLittle, kit.ExplicitLittle, kit.ExplicitBig, kit.Deflated, kit.RLE} {
		images := kit.Heads(1, 6, 5)
		images[0].Slope, images[0].Intercept = 2, -1
		file := kit.Study{Series: []kit.Series{{Syntax: syntax, Images: images}}}.Files()[0]
		all = append(all, file.Data, file.Data[:len(file.Data)/2])
		if syntax != kit.RLE && syntax != kit.Deflated {
			all = append(all, kit.EncodeDataSet(syntax, file.Elements))
		}
	}
	for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.Deflated, kit.RLE} {
		all = append(all, kit.Study{Series: []kit.Series{{Enhanced: true, Syntax: syntax, Images: kit.Heads(3, 6, 5)}}}.Files()[0].Data)
	}
	return append(append(all, habits()...),
		spliced(kit.ExplicitLittle, nested(70)),
		spliced(kit.ExplicitLittle, nestedInReportedSequence(5)),
		spliced(kit.ExplicitLittle, longHead(0x00420011, "OB", 0xFFFFFFF0)),
		replaced(kit.Element{Tag: 0x00280120, VR: "US", Value: []uint16{0}}, kit.Element{Tag: 0x00280004, VR: "CS", Value: "MONOCHROME1"}),
		replaced(kit.Element{Tag: 0x00080005, VR: "CS", Value: `ISO 2022 IR 6\ISO 2022 IR 87`}, kit.Element{Tag: 0x00100010, VR: "PN", Value: "Yamada^Tarou=\x1b$B;3ED\x1b(B"}),
		replaced(kit.Element{Tag: 0x00280008, VR: "IS", Value: "3"}),
		[]byte("not dicom"))
}

// habits are enhanced images of several stacks, in parts, and with what vendors keep
// in private places.
func habits() [][]byte {
	frames := kit.Heads(4, 4, 4)
	for n := range frames {
		frames[n].Extra = []kit.Element{
			at(12 * (n / 2)), kit.Macro(mrEcho, fd(effectiveTE, float64(10+n%2))), lo(0x20050014, philipsOldCreator),
			kit.Macro(frameContent, sh(stackID, "1"), ul(inStack, uint32(1+n/2)), ul(indexValues, uint32(1+n/2), uint32(1+n%2))),
			kit.Macro(0x2005140F, philips{ss: float64(1 + n)}.private(0x10)...), kit.Macro(0x00289145, philips{rs: 2}.rescale()...),
			kit.Macro(0x002111FE, lo(0x00210011, "SIEMENS MR SDI 02"), cs(0x00211175, `ORIGINAL\PRIMARY\M\ND`)),
		}
	}
	var all [][]byte
	for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle} {
		series := kit.Series{
			Enhanced: true, Syntax: syntax, Parts: 2, Images: frames,
			Extra: []kit.Element{{Tag: dimensions, VR: "SQ", Value: []kit.Item{kit.Dimension(inStack, frameContent), kit.Dimension(effectiveTE, mrEcho)}}},
		}
		for _, file := range (kit.Study{Series: []kit.Series{series}}).Files() {
			all = append(all, file.Data)
		}
	}
	classic := kit.Series{Images: kit.Heads(1, 4, 4), Extra: append(philips{rs: 2, ss: 4}.private(0x10),
		lo(0x00290010, "SIEMENS CSA HEADER"), kit.Element{Tag: 0x00291010, VR: "OB", Value: csaHeader("NumberOfImagesInMosaic", "35")})}
	return append(all, kit.Study{Series: []kit.Series{classic}}.Files()[0].Data)
}

// FuzzReadSlice: whatever the bytes, the answer is a whole slice or a refusal.
func FuzzReadSlice(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<20 {
			t.Skip("larger than the cap")
		}
		slice, err := dicomio.ReadSlice(bytes.NewReader(file), fuzzLimits)
		if err != nil {
			var refusal *neurotriage.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		if len(slice.Pixels) == 0 || len(slice.Pixels) != slice.Rows*slice.Columns {
			t.Fatalf("%d pixels for %d × %d", len(slice.Pixels), slice.Rows, slice.Columns)
		}
		for i, v := range slice.Pixels {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("pixel %d is %g", i, v)
			}
		}
	})
}

// FuzzZip: an archive gives whole studies, or a refusal, and every slice of an
// eligible series comes out once, read or refused.
func FuzzZip(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(kit.ZipFiles([]kit.File{{Name: "a", Data: seed}, {Name: "b", Data: sound().Data}}))
	}
	f.Add(kit.ZipFiles([]kit.File{{Name: "a", Data: habits()[0]}, {Name: "b", Data: habits()[1]}}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if len(archive) > 1<<20 {
			t.Skip("larger than the cap")
		}
		studies, _, err := dicomio.Scan(t.Context(), dicomio.Zip(bytes.NewReader(archive), int64(len(archive))), dicomio.Options{Limits: fuzzLimits, Parallel: 2})
		if err != nil && reason(err) == neurotriage.Reason("plain: "+err.Error()) {
			t.Fatalf("no refusal: %v", err)
		}
		for _, study := range studies {
			want := 0
			for _, series := range study.Study().Series {
				if series.Eligible {
					want += len(series.Slices)
				}
				if series.Why == "" {
					t.Fatal("a series does not say why")
				}
			}
			read, refused := slicesOf(t, study)
			if got := len(read) + len(refused); got != want {
				t.Fatalf("%d slices of %d came out", got, want)
			}
			if err := study.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
