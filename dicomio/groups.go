package dicomio

import (
	"maps"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// Enhanced multi-frame images say what differs from frame to frame in functional
// groups (PS3.3 C.7.6.16): one item a frame, and one item for all frames. Each
// item holds macros, sequences of one item whose attributes are those of classic
// images under another roof (PS3.3 C.8.13). A frame's reader lays the three
// levels over one another, so that all that reads classic headers reads these.

// facts are what differs from frame to frame.
type facts struct {
	geometry geometry
	evidence evidence
	echo     int    // number, 0 where echoes are not numbered
	temporal int    // point in time
	stack    string // Stack ID (PS3.3 C.7.6.16.2.2)
	inStack  int    // In-Stack Position Number, 0 when not said
	indices  []int  // Dimension Index Values, in the order of the dimensions
	scaling  scaling
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
	top      level
	below    level                 // what holds for all frames: the shared group's, then top's
	blocks   []map[reserved]uint16 // of shared and top
	perFrame []*dicom.SequenceItemValue
	decoder  textDecoder
}

func newGroups(data dicom.Dataset, decoder textDecoder) *groups {
	g := &groups{top: levelOf(data.Elements), decoder: decoder}
	var shared level
	if el := g.top[tag.SharedFunctionalGroupsSequence]; el != nil {
		shared = flattened(firstItem(el))
	}
	g.below = maps.Clone(g.top)
	maps.Copy(g.below, shared)
	if el := g.top[tag.PerFrameFunctionalGroupsSequence]; el != nil {
		g.perFrame = items(el)
	}
	g.blocks = []map[reserved]uint16{blocksOf(shared), blocksOf(g.top)}
	return g
}

// dataset reads what concerns the whole object, its identity above all: groups
// may quote other objects (PS3.3 C.7.6.16.2.17).
func (g *groups) dataset() *reader { return &reader{levels: []level{g.top}, decoder: g.decoder} }

// frame reads frame n, from 0. What a group says goes before the data set, which
// then says MIXED or nothing (PS3.3 C.8.13.1).
func (g *groups) frame(n int) *reader {
	if n >= len(g.perFrame) {
		return &reader{levels: []level{g.below}, blocks: g.blocks, decoder: g.decoder}
	}
	own := flattened(elementsOf(g.perFrame[n]))
	return &reader{
		levels: []level{own, g.below}, blocks: append([]map[reserved]uint16{blocksOf(own)}, g.blocks...), decoder: g.decoder,
	}
}

// frames reads what the groups say of each frame, as far as there are frames.
func (g *groups) frames(announced int) []facts {
	if announced <= 1 || len(g.perFrame) == 0 {
		return nil
	}
	all := make([]facts, min(announced, len(g.perFrame)))
	for n := range all {
		all[n] = readFrame(g.frame(n))
	}
	return all
}

func readFrame(r *reader) facts {
	f := facts{
		geometry: readGeometry(r), evidence: readEvidence(r),
		echo: r.integer(tag.EchoNumbers, 0), temporal: r.integer(tag.TemporalPositionIdentifier, 0),
		stack: r.ascii(tagStackID), inStack: r.integer(tagInStack, 0), indices: readIndices(r),
		scaling: readScaling(r),
	}
	if f.temporal == 0 {
		f.temporal = r.integer(tagTemporalIndex, 0)
	}
	return f
}

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
		0x00409096, // real world value mapping
		0x004008EA: // and its unit
		return true
	}
	return false
}
