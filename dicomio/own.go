package dicomio

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"neurotriage"
)

// Objects that this program made come back with the study from every archive
// that forwards what it gets. They are no part of the study that is read: not
// counted, not judged, not mentioned.

// tagContributing is the Contributing Equipment Sequence (PS3.3 C.12.1.1.5).
var tagContributing = tag.Tag{Group: 0x0018, Element: 0xA001}

// makers are the devices that made an object.
type makers struct {
	own     bool     // one is of our manufacture
	devices []string // UIDs (0018,1002)
}

// readMakers looks at the equipment (PS3.3 C.7.5.1) and at what contributed.
func readMakers(r *reader) makers {
	var m makers
	m.add(r)
	if el := r.find(tagContributing); el != nil {
		for _, item := range items(el) {
			elements, _ := item.GetValue().([]*dicom.Element)
			m.add(&reader{levels: []level{levelOf(elements)}, decoder: r.decoder})
		}
	}
	return m
}

func (m *makers) add(r *reader) {
	m.own = m.own || strings.EqualFold(r.text(tag.Manufacturer), neurotriage.Manufacturer)
	m.devices = append(m.devices, r.values(tag.DeviceUID)...)
}

// are reports whether the object is one of ours: by manufacturer, or by a device
// UID of ours, for archives that coerce the manufacturer.
func (m makers) are(devices []string) bool {
	return m.own || slices.ContainsFunc(m.devices, func(uid string) bool { return slices.Contains(devices, uid) })
}

// Head is what Peek finds out about one object.
type Head struct {
	StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID string

	TransferSyntaxUID string
	Modality          string
	SeriesDescription string
	AccessionNumber   string

	Own     bool  // made by this program
	Dataset int64 // where the data set begins: what is before it may differ between copies
	// Damaged says why the object is not whole, as far as it was read; the fields
	// hold what came before.
	Damaged error
}

// ErrNotDICOM says that a stream holds no DICOM object.
var ErrNotDICOM = errNotDICOM

// Peek reads one object's headers from a stream, up to its pixel data, under the
// limits of reading a study and without holding more than they allow. How far it
// reads ahead of that is not said: who wants the whole object copies what passes
// (io.TeeReader), and then the rest. devices are our own device UIDs. The error
// is ErrNotDICOM or that of the stream.
func Peek(r io.Reader, limits Limits, devices []string) (Head, error) {
	in := newInput(&lasting{r: r}, -1) // one pass, even over what could be read at an offset
	if !looksLikeDICOM(in) {
		return Head{}, errNotDICOM
	}
	v, err := vet(in, limits.orDefault())
	if err != nil && asRefusal(err) == nil && !errors.Is(err, errTruncated) {
		return Head{}, err
	}
	a, readErr := read(v)
	h := Head{
		StudyInstanceUID: a.studyUID, SeriesInstanceUID: a.seriesUID, SOPInstanceUID: a.sopUID, SOPClassUID: a.sopClass,
		TransferSyntaxUID: a.transferSyntax, Modality: a.evidence.modality, SeriesDescription: a.evidence.series,
		AccessionNumber: a.accession, Own: a.makers.are(devices), Dataset: v.dataset, Damaged: errors.Join(err, readErr),
	}
	if h.StudyInstanceUID == "" && h.SOPClassUID == "" && !in.magic {
		return Head{}, errNotDICOM
	}
	return h, nil
}

// lasting gives the first error of a stream for ever: the wall may ask again.
type lasting struct {
	r   io.Reader
	err error
}

func (l *lasting) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p)
	l.err = err
	return n, err
}
