package dicomio

import (
	"math"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// Enhanced multi-frame images say what differs from frame to frame in functional
// groups (PS3.3 C.7.6.16): one item a frame, and one item for all frames. Each
// item holds macros, sequences of one item whose attributes are those of classic
// images under another roof (PS3.3 C.8.13). A frame's reader lays the three
// levels over one another, so that all that reads classic headers reads these.

// frame is what differs from frame to frame.
type frame struct {
	geometry         geometry
	evidence         evidence
	echo, temporal   int
	stack            string // Stack ID (PS3.3 C.7.6.16.2.2)
	slope, intercept float64
}

// level is one place in which attributes stand, by tag; of doubles the first.
type level map[tag.Tag]*dicom.Element

func levelOf(elements []*dicom.Element) level {
	l := make(level, len(elements))
	l.add(elements)
	return l
}

func (l level) add(elements []*dicom.Element) {
	for _, el := range elements {
		if l[el.Tag] == nil {
			l[el.Tag] = el
		}
	}
}

// flattened gives a functional group's macros and the attributes in them.
func flattened(item []*dicom.Element) level {
	l := levelOf(item)
	for _, macro := range item {
		l.add(firstItem(macro))
	}
	return l
}

// groups are the levels of one data set.
type groups struct {
	top, shared level
	perFrame    []*dicom.SequenceItemValue
	decoder     textDecoder
}

func newGroups(data dicom.Dataset, decoder textDecoder) *groups {
	g := &groups{top: levelOf(data.Elements), decoder: decoder}
	if el := g.top[tag.SharedFunctionalGroupsSequence]; el != nil {
		g.shared = flattened(firstItem(el))
	}
	if el := g.top[tag.PerFrameFunctionalGroupsSequence]; el != nil {
		g.perFrame = items(el)
	}
	return g
}

// dataset reads what concerns the whole object, its identity above all: groups
// may quote other objects (PS3.3 C.7.6.16.2.17).
func (g *groups) dataset() *reader { return &reader{levels: []level{g.top}, decoder: g.decoder} }

// frame reads frame n, from 0. What a group says goes before the data set, which
// then says MIXED or nothing (PS3.3 C.8.13.1).
func (g *groups) frame(n int) *reader {
	r := &reader{levels: []level{g.shared, g.top}, decoder: g.decoder}
	if n < len(g.perFrame) {
		elements, _ := g.perFrame[n].GetValue().([]*dicom.Element)
		r.levels = []level{flattened(elements), g.shared, g.top}
	}
	return r
}

// frames reads what the groups say of each frame, as far as there are frames.
func (g *groups) frames(announced int) []frame {
	if announced <= 1 || len(g.perFrame) == 0 {
		return nil
	}
	all := make([]frame, min(announced, len(g.perFrame)))
	for n := range all {
		all[n] = readFrame(g.frame(n))
	}
	return all
}

func readFrame(r *reader) frame {
	f := frame{
		geometry: readGeometry(r), evidence: readEvidence(r),
		echo: r.integer(tag.EchoNumbers, 0), temporal: r.integer(tag.TemporalPositionIdentifier, 0),
		stack: r.ascii(tagStackID),
	}
	f.slope, f.intercept = readRescale(r)
	if f.echo == 0 { // enhanced images number no echoes: their times tell them apart
		f.echo = int(math.Round(10 * min(max(0, r.number(tagEffectiveEcho, 0)), 1e6)))
	}
	if f.temporal == 0 {
		f.temporal = r.integer(tagTemporalIndex, 0)
	}
	return f
}

// readRescale gives slope and intercept (PS3.3 C.11.1, C.7.6.16.2.9). Philips
// writes images without them and keeps its own pair in a private group: stored
// values are the scanner's times the scale slope, plus the scale intercept.
func readRescale(r *reader) (slope, intercept float64) {
	scale := r.single(tagPhilipsSlope)
	if r.find(tag.RescaleSlope) != nil || scale == 0 || !finite(scale) || r.ascii(tagPhilipsCreator) != philipsCreator {
		return readSlope(r, tag.RescaleSlope, 1), readSlope(r, tag.RescaleIntercept, 0)
	}
	return 1 / scale, -r.single(tagPhilipsIntercept) / scale
}

const philipsCreator = "Philips MR Imaging DD 001"

var (
	tagStackID          = tag.Tag{Group: 0x0020, Element: 0x9056}
	tagTemporalIndex    = tag.Tag{Group: 0x0020, Element: 0x9128}
	tagPhilipsCreator   = tag.Tag{Group: 0x2005, Element: 0x0010}
	tagPhilipsIntercept = tag.Tag{Group: 0x2005, Element: 0x100D}
	tagPhilipsSlope     = tag.Tag{Group: 0x2005, Element: 0x100E}
)

// wantedNested names the sequences that are looked into below others: the macros
// that eligibility and geometry need, and what stands in those.
func wantedNested(t uint32) bool {
	switch t {
	case 0x00082218, // anatomic region, within frame anatomy
		0x00180012, 0x00189341, // contrast agent and its usage
		0x00189112, // MR timing and related parameters
		0x00189114, // MR echo
		0x00189115, // MR modifier
		0x00189117, // MR diffusion
		0x00189226, // MR image frame type
		0x00189251, // arterial spin labelling
		0x00209071, // frame anatomy
		0x00209111, // frame content
		0x00209113, // plane position
		0x00209116, // plane orientation
		0x00209170, // what a legacy converted image could not place, shared
		0x00209171, // and per frame
		0x00289110, // pixel measures
		0x00289145, // pixel value transformation
		0x2005140F: // Philips' copy of the classic headers
		return true
	}
	return false
}

// wantedPrivate names the private elements that are read.
func wantedPrivate(t uint32) bool {
	return t == 0x20050010 || t == 0x2005100D || t == 0x2005100E
}
