package dicomio

import (
	"math"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"

	"neurotriage"
)

// attributes are what the room keeps of one instance's headers.
type attributes struct {
	studyUID, seriesUID, sopUID, sopClass string
	transferSyntax                        string

	patient          neurotriage.Patient
	accession        string
	placer, filler   string // order numbers of the imaging service request (PS3.3 C.4.12)
	date, clock      string
	studyDescription string
	studyID          string
	utcOffset        string // of date and clock
	referring        string // physician

	seriesNumber   int
	instanceNumber int
	inAcquisition  int // images in the acquisition (0020,1002), 0 when not said
	acquisition    int
	mosaic         int // slices that a Siemens mosaic shows

	makers        makers
	concatenation concatenation
	dimensions    []tag.Tag // what the dimension indices of frames count

	facts  // of the first frame, or the one that a view shows
	image  image
	frames []facts // what the functional groups say of each; nil for a single frame
}

// image is how pixels are stored (PS3.3 C.7.6.3) and what they mean (C.11.1).
type image struct {
	present       bool // the data set has pixel data
	frames        int
	frame         FrameHeader
	units         line // from stored values to modality units
	hasPadding    bool
	padding       float64 // pixel padding value and range limit (C.7.5.1.1.2), stored units
	paddingLimit  float64
	lookupTable   bool // a modality LUT sequence stands in the place of slope and intercept
	floatingPoint bool // float or double float pixel data
}

// Tags that the parser's dictionary does not name.
var (
	tagContrastUsage = tag.Tag{Group: 0x0018, Element: 0x9341}
	tagPaddingLimit  = tag.Tag{Group: 0x0028, Element: 0x0121}
)

// read turns vetted headers into attributes.
func read(v vetted) (attributes, error) {
	data, err := parse(v)
	groups := newGroups(data, newTextDecoder(v.characterSet))
	r := groups.dataset()
	a := attributes{
		studyUID: r.ascii(tag.StudyInstanceUID), seriesUID: r.ascii(tag.SeriesInstanceUID),
		sopUID: r.ascii(tag.SOPInstanceUID), sopClass: r.ascii(tag.SOPClassUID),
		transferSyntax: v.transferSyntax,
		patient: neurotriage.Patient{
			Name: strings.TrimRight(r.text(tag.PatientName), "^= "), ID: r.text(tag.PatientID), Issuer: r.text(tag.IssuerOfPatientID),
			BirthDate: r.ascii(tag.PatientBirthDate), Sex: r.ascii(tag.PatientSex),
		},
		accession: r.text(tag.AccessionNumber),
		placer:    r.text(tag.PlacerOrderNumberImagingServiceRequest), filler: r.text(tag.FillerOrderNumberImagingServiceRequest),
		date: r.ascii(tag.StudyDate), clock: r.ascii(tag.StudyTime),
		studyDescription: r.text(tag.StudyDescription), studyID: r.text(tag.StudyID),
		utcOffset: r.ascii(tag.TimezoneOffsetFromUTC), referring: strings.TrimRight(r.text(tag.ReferringPhysicianName), "^= "),
		seriesNumber: r.integer(tag.SeriesNumber, 0), instanceNumber: r.integer(tag.InstanceNumber, 0),
		inAcquisition: r.integer(tag.ImagesInAcquisition, 0), acquisition: r.integer(tag.AcquisitionNumber, 0),
		mosaic:        v.mosaic,
		concatenation: readConcatenation(r), dimensions: readDimensions(r),
		makers: readMakers(r),
		image:  readImage(r, v),
		frames: groups.frames(r.integer(tag.NumberOfFrames, 1)),
	}
	a.take(readFrame(groups.frame(0)))
	if a.sopUID == "" {
		a.sopUID = v.mediaInstance
	}
	if a.sopClass == "" {
		a.sopClass = v.mediaClass
	}
	a.complete(&a.evidence)
	for n := range a.frames {
		a.complete(&a.frames[n].evidence)
	}
	return a, err
}

// take makes the attributes those of a frame.
func (a *attributes) take(f facts) {
	a.facts = f
	a.image.units = f.scaling.alone()
}

// complete adds what is the same for all frames.
func (a *attributes) complete(e *evidence) {
	e.sopClass, e.pixels, e.floating = a.sopClass, a.image.present, a.image.floatingPoint
	if a.mosaic > 1 {
		e.imageType += `\MOSAIC`
	}
}

func readImage(r *reader, v vetted) image {
	m := image{
		present: v.pixels.tag != 0,
		frames:  r.integer(tag.NumberOfFrames, 1),
		frame: FrameHeader{
			Rows: r.integer(tag.Rows, 0), Columns: r.integer(tag.Columns, 0),
			Samples:       r.integer(tag.SamplesPerPixel, 1),
			BitsAllocated: r.integer(tag.BitsAllocated, 0), BitsStored: r.integer(tag.BitsStored, 0),
			HighBit:         r.integer(tag.HighBit, -1),
			Signed:          r.integer(tag.PixelRepresentation, 0) == 1,
			Photometric:     r.ascii(tag.PhotometricInterpretation),
			InterleavedByte: r.integer(tag.PlanarConfiguration, 0) == 0,
		},
		lookupTable:   r.present(tag.ModalityLUTSequence),
		floatingPoint: v.pixels.tag == tagFloatPixels || v.pixels.tag == tagDoublePixels,
	}
	f := &m.frame
	if f.BitsStored == 0 {
		f.BitsStored = f.BitsAllocated
	}
	f.HighBit = max(f.HighBit, f.BitsStored-1) // a value cannot end above its highest bit: PS3.5 8.1.1
	m.hasPadding = r.present(tag.PixelPaddingValue)
	m.padding = signedValue(r.number(tag.PixelPaddingValue, 0), f.Signed)
	m.paddingLimit = m.padding
	if r.present(tagPaddingLimit) {
		m.paddingLimit = signedValue(r.number(tagPaddingLimit, 0), f.Signed)
	}
	return m
}

// signedValue reads "US or SS" attributes, which implicit files do not tell
// apart, by the pixel representation (PS3.3 C.7.5.1.1.2).
func signedValue(value float64, signed bool) float64 {
	if signed && value > math.MaxInt16 && value <= math.MaxUint16 {
		return value - math.MaxUint16 - 1
	}
	return value
}

// check refuses what the room cannot turn into a slice, in the words of the
// two kinds: broken and unsupported.
func (m image) check(limits Limits) error {
	f := m.frame
	switch {
	case f.Rows <= 0 || f.Columns <= 0 || m.frames <= 0:
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "check image: %d rows, %d columns, %d frames", f.Rows, f.Columns, m.frames)
	case f.Rows*f.Columns > limits.FramePixels:
		return neurotriage.Refuse(neurotriage.TooLarge, "check image: %d × %d pixels, at most %d are allowed", f.Rows, f.Columns, limits.FramePixels)
	case m.frames > limits.Frames:
		return neurotriage.Refuse(neurotriage.TooLarge, "check image: %d frames, at most %d are allowed", m.frames, limits.Frames)
	case m.floatingPoint || m.lookupTable:
		return neurotriage.Refuse(neurotriage.UnsupportedImage, "check image: floating point pixels and modality lookup tables are not read")
	case f.Samples != 1 || (f.Photometric != "MONOCHROME1" && f.Photometric != "MONOCHROME2"):
		return neurotriage.Refuse(neurotriage.UnsupportedImage, "check image: %d samples of %q, only grey images are read", f.Samples, f.Photometric)
	case f.BitsAllocated != 8 && f.BitsAllocated != 16 && f.BitsAllocated != 32:
		return neurotriage.Refuse(neurotriage.UnsupportedImage, "check image: %d bits allocated, 8, 16 and 32 are read", f.BitsAllocated)
	case f.BitsStored < 1 || f.BitsStored > f.BitsAllocated || f.HighBit >= f.BitsAllocated:
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "check image: %d bits stored below bit %d do not fit %d bits allocated",
			f.BitsStored, f.HighBit, f.BitsAllocated)
	case !m.units.sound():
		return neurotriage.Refuse(neurotriage.CorruptDICOM, "check image: rescale slope %g and intercept %g make no pixel values", m.units.slope, m.units.intercept)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
