package dicomio_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
)

const ownDevice = "2.25.4711"

// madeBy gives the first file of a study as the equipment made it.
func madeBy(name string, elements ...kit.Element) []byte {
	file := plainStudy(name, 1).Files()[0]
	return kit.EncodeFile(kit.ExplicitLittle, file.With(elements...))
}

func plainStudy(name string, n int) kit.Study {
	return kit.Study{Name: name, Series: []kit.Series{{Agent: "GADOLINIUM", Images: kit.Heads(n, 32, 32)}}}
}

func TestPeekOwn(t *testing.T) {
	manufacturer := func(name string) kit.Element { return kit.Element{Tag: 0x00080070, VR: "LO", Value: name} }
	device := func(uid string) kit.Element { return kit.Element{Tag: 0x00181002, VR: "UI", Value: uid} }
	contributed := func(elements ...kit.Element) kit.Element {
		return kit.Element{Tag: 0x0018A001, VR: "SQ", Value: []kit.Item{{manufacturer("ACME")}, elements}}
	}
	cases := []struct {
		name     string
		elements []kit.Element
		own      bool
	}{
		{"nobody", nil, false},
		{"another's", []kit.Element{manufacturer("SIEMENS"), device("1.2.3")}, false},
		{"ours", []kit.Element{manufacturer("neurotriage")}, true},
		{"ours in capitals, as archives coerce", []kit.Element{manufacturer("NEUROTRIAGE ")}, true},
		{"named beside another", []kit.Element{manufacturer("neurotriage viewer")}, false},
		{"ours by device", []kit.Element{manufacturer("ARCHIVE"), device(ownDevice)}, true},
		{"ours by one of several devices", []kit.Element{device(`1.2\` + ownDevice)}, true},
		{"ours by contribution", []kit.Element{contributed(manufacturer("neurotriage"))}, true},
		{"ours by a contributing device", []kit.Element{contributed(device(ownDevice))}, true},
		{"another's contribution", []kit.Element{contributed(device("1.2.3"))}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			head, err := dicomio.Peek(bytes.NewReader(madeBy("own", c.elements...)), dicomio.Limits{}, []string{ownDevice})
			if err != nil || head.Own != c.own || head.Damaged != nil {
				t.Errorf("own %v, damaged %v, %v; want own %v", head.Own, head.Damaged, err, c.own)
			}
		})
	}
}

func TestPeek(t *testing.T) {
	for _, syntax := range []string{kit.ExplicitLittle, kit.ImplicitLittle, kit.Deflated} {
		file := plainStudy("peek", 2).Files()[1]
		data := kit.EncodeFile(syntax, file.With(kit.Element{Tag: 0x0008103E, VR: "LO", Value: "T1 POST"}))
		var passed bytes.Buffer
		stream := io.TeeReader(iotest.OneByteReader(bytes.NewReader(data)), &passed)
		head, err := dicomio.Peek(stream, dicomio.Limits{}, nil)
		if err != nil || head.Damaged != nil {
			t.Fatal(err, head.Damaged)
		}
		if head.StudyInstanceUID != kit.UID("peek") || head.SOPInstanceUID == "" || head.SeriesInstanceUID == "" ||
			head.SOPClassUID != "1.2.840.10008.5.1.4.1.1.4" || head.TransferSyntaxUID != syntax ||
			head.Modality != "MR" || head.SeriesDescription != "T1 POST" {
			t.Errorf("%s: %+v", syntax, head)
		}
		if _, err := io.Copy(io.Discard, stream); err != nil || !bytes.Equal(passed.Bytes(), data) {
			t.Errorf("%s: what passed is not the object (%v)", syntax, err)
		}
		if rest := kit.EncodeDataSet(syntax, nil); head.Dataset < 132 || head.Dataset > int64(len(data)-len(rest)) {
			t.Errorf("%s: the data set begins at %d of %d", syntax, head.Dataset, len(data))
		}
	}
}

// TestOrders finds what a message to an order system needs.
func TestOrders(t *testing.T) {
	file := plainStudy("orders", 1).Files()[0]
	file.Data = madeBy("orders",
		kit.Element{Tag: 0x00080090, VR: "PN", Value: "Roe^Richard"}, kit.Element{Tag: 0x00402016, VR: "LO", Value: "P77"},
		kit.Element{Tag: 0x00402017, VR: "LO", Value: "F78"}, kit.Element{Tag: 0x00100021, VR: "LO", Value: "HOSP"})
	s := opened(t, []kit.File{file}, dicomio.Options{}).Study()
	if s.Patient.Issuer != "HOSP" || s.Referring != "Roe^Richard" || s.PlacerOrder != "P77" || s.FillerOrder != "F78" {
		t.Errorf("issuer %q, orders %q %q", s.Patient.Issuer, s.PlacerOrder, s.FillerOrder)
	}
}

func TestPeekFaults(t *testing.T) {
	whole := madeBy("faults")
	broken := errors.New("the line is cut")
	if _, err := dicomio.Peek(io.MultiReader(bytes.NewReader(whole[:600]), iotest.ErrReader(broken)), dicomio.Limits{}, nil); !errors.Is(err, broken) {
		t.Errorf("an error of the stream became %v", err)
	}
	if _, err := dicomio.Peek(strings.NewReader("not DICOM at all"), dicomio.Limits{}, nil); !errors.Is(err, dicomio.ErrNotDICOM) {
		t.Errorf("text became %v", err)
	}
	head, err := dicomio.Peek(bytes.NewReader(whole[:len(whole)-100]), dicomio.Limits{}, nil)
	if err != nil || head.Damaged == nil || head.StudyInstanceUID != kit.UID("faults") {
		t.Errorf("half an image: %+v, %v", head, err)
	}
}

// A study that came back from an archive with our reports in it reads as before.
func TestOwnObjectsAreNoPartOfAStudy(t *testing.T) {
	study := plainStudy("returned", 3)
	files := study.Files()
	before := opened(t, files, dicomio.Options{}).Study()
	report := plainStudy("returned", 1).Files()[0]
	report.Name = "report.dcm"
	report.Elements = report.With(
		kit.Element{Tag: 0x00080018, VR: "UI", Value: "2.25.99"}, kit.Element{Tag: 0x0020000E, VR: "UI", Value: "2.25.98"},
		kit.Element{Tag: 0x00080070, VR: "LO", Value: neurotriage.Manufacturer})
	report.Data = kit.EncodeFile(kit.ExplicitLittle, report.Elements)
	after := opened(t, append(files, report), dicomio.Options{}).Study()
	if len(after.Series) != 1 || len(after.Series[0].Slices) != 3 || after.Skipped != before.Skipped || len(after.Warnings) != len(before.Warnings) {
		t.Errorf("with our own object: %+v", after)
	}
	data := kit.ZipFiles([]kit.File{report})
	_, err := dicomio.Open(t.Context(), dicomio.Zip(bytes.NewReader(data), int64(len(data))), dicomio.Options{})
	var refusal *neurotriage.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != neurotriage.StudyNotFound {
		t.Errorf("our objects alone: %v", err)
	}
}
