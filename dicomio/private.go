package dicomio

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// What vendors say in private elements and nowhere else. Each reserves a block of
// its group by a creator's name (PS3.5 7.8.1); the block differs between files.
const (
	creatorPhilips    = "Philips MR Imaging DD 001"
	creatorPhilipsOld = "Philips MR Imaging DD 005" // of the values before an archive changed them
	creatorSiemens    = "SIEMENS MR HEADER"         // Numaris
	creatorSiemensXA  = "SIEMENS MR SDI 02"
	creatorGE         = "GEMS_PARM_01"
)

// lastBlock bounds the search for a creator: real files use the first few blocks.
const lastBlock = 0x1F

// reserved is a creator's block in a group.
type reserved struct {
	group   uint16
	creator string
}

// blocksOf finds the blocks that creators reserved among some elements, or nil.
func blocksOf(l level) map[reserved]uint16 {
	var blocks map[reserved]uint16
	for t, el := range l {
		if t.Group%2 == 0 || t.Element < 0x10 || t.Element > lastBlock {
			continue
		}
		name := (&reader{levels: []level{{t: el}}}).ascii(t)
		if blocks == nil {
			blocks = map[reserved]uint16{}
		}
		if at, taken := blocks[reserved{t.Group, name}]; !taken || t.Element < at {
			blocks[reserved{t.Group, name}] = t.Element
		}
	}
	return blocks
}

// private gives the tag of a private element by its place in the creator's block,
// or zero where the creator has none.
func (r *reader) private(group uint16, creator string, low uint16) tag.Tag {
	for _, blocks := range r.blocks {
		if block, ok := blocks[reserved{group, creator}]; ok {
			return tag.Tag{Group: group, Element: block<<8 | low}
		}
	}
	return tag.Tag{}
}

// wantedPrivate names the private elements that are read, in any block.
func wantedPrivate(t uint32) bool {
	element := t & 0xFFFF
	low := byte(element)
	switch t >> 16 {
	case 0x0019, 0x0021, 0x0043, 0x2005:
		if element >= 0x10 && element <= lastBlock {
			return true
		}
	}
	if element < 0x1000 {
		return false
	}
	switch t >> 16 {
	case 0x0019:
		return low == 0x0A // images in mosaic
	case 0x0021:
		return low == 0x75 // image type of a frame
	case 0x0043:
		return low == 0x2F // image type
	case 0x2005:
		return low == 0x09 || low == 0x0A || low == 0x0D || low == 0x0E // scaling
	}
	return false
}

// privateSequence names the private sequences that are looked into: Philips' copy
// of the classic headers of a frame, and what Siemens XA says of one.
func privateSequence(t uint32) bool {
	return t&0xFFFF >= 0x1000 && (t>>16 == 0x2005 && byte(t) == 0x0F || t>>16 == 0x0021 && byte(t) == 0xFE)
}

// privateTypes are values of Image Type that stand in private elements only, by
// the names that imageTypes knows.
func privateTypes(r *reader) []string {
	var types []string
	if r.unsigned(r.private(0x0019, creatorSiemens, 0x0A)) > 1 {
		types = append(types, "MOSAIC")
	}
	xa := r.private(0x0021, creatorSiemensXA, 0x75)
	for _, value := range r.values(xa) {
		for one := range strings.SplitSeq(value, `\`) { // of implicit files in one piece
			types = append(types, strings.ToUpper(one))
		}
	}
	parts := [...]string{"", "P", "R", "I"} // magnitude, phase, real and imaginary part
	if part := r.unsigned(r.private(0x0043, creatorGE, 0x2F)); part < len(parts) && parts[part] != "" {
		types = append(types, parts[part])
	}
	return types
}

// unsigned gives a small number that may come as the bytes of a UN element.
func (r *reader) unsigned(t tag.Tag) int {
	if el := r.find(t); el != nil {
		if raw, ok := el.Value.GetValue().([]byte); ok {
			if len(raw) < 2 {
				return 0
			}
			return int(binary.LittleEndian.Uint16(raw))
		}
	}
	return max(0, r.integer(t, 0))
}

// holdsCSA reports the element in which Siemens Numaris keeps its own header. Where
// an archive rewrote Image Type, only that tells a mosaic from a slice.
func holdsCSA(el element) bool {
	return el.tag>>16 == 0x0029 && el.tag&0xFFFF >= 0x1000 && byte(el.tag) == 0x10 &&
		(el.vr == "OB" || el.vr == "UN") && el.length >= csaEntryBytes && el.length <= 1<<20
}

// csa notes how many slices a mosaic shows.
func (w *wall) csa(el element) error {
	value := make([]byte, el.length)
	if err := w.in.read(value); err != nil {
		return err
	}
	w.out.mosaic = max(w.out.mosaic, csaNumber(value, "NumberOfImagesInMosaic"))
	return nil
}

const (
	csaNameBytes  = 64
	csaEntryBytes = csaNameBytes + 20 // name, vm, vr, type, items, mark
	csaMaxItems   = 64
)

// csaNumber reads the first value of an entry of a CSA header, or gives 0. An entry
// is its name, five words of which the fourth counts its items, and the items: four
// words of which the second holds the length, and text padded to whole words.
func csaNumber(csa []byte, name string) int {
	at := bytes.Index(csa, append([]byte(name), 0))
	if at < 0 || at+csaEntryBytes > len(csa) {
		return 0
	}
	items := binary.LittleEndian.Uint32(csa[at+csaNameBytes+12:])
	at += csaEntryBytes
	for range min(items, csaMaxItems) {
		if at+16 > len(csa) {
			return 0
		}
		length := int64(binary.LittleEndian.Uint32(csa[at+4:]))
		at += 16
		if length > int64(len(csa)-at) {
			return 0
		}
		text := strings.Trim(string(csa[at:at+int(length)]), " \x00")
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
		at += (int(length) + 3) &^ 3
	}
	return 0
}
