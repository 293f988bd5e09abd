package dicomio

import "github.com/suyashkumar/dicom/pkg/tag"

// The value representations of PS3.5 table 6.2-1, by how they are treated.

// shortVR reports VRs whose explicit length has 16 bits (PS3.5 table 7.1-2).
func shortVR(vr string) bool {
	switch vr {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT",
		"PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US":
		return true
	}
	return false
}

// longVR reports VRs whose explicit length has 32 bits (PS3.5 table 7.1-1).
func longVR(vr string) bool {
	switch vr {
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		return true
	}
	return false
}

func knownVR(vr string) bool { return shortVR(vr) || longVR(vr) }

// unitBytes is the size of one value of a binary VR, and 1 for text.
func unitBytes(vr string) uint32 {
	switch vr {
	case "SS", "US":
		return 2
	case "AT", "FL", "SL", "UL":
		return 4
	case "FD":
		return 8
	}
	return 1
}

// wanted reports whether the room looks at an element, and the parser takes it.
func wanted(el element, depth int) bool {
	group := uint16(el.tag >> 16)
	switch {
	case privateSequence(el.tag):
		return depth > 0 && (el.vr == "SQ" || el.vr == "UN")
	case el.vr == "SQ":
		return depth > 0 && wantedNested(el.tag) || depth == 0 && wantedSequence(el.tag)
	case wantedPrivate(el.tag):
		return el.length <= 64 && el.length%unitBytes(el.vr) == 0 && (shortVR(el.vr) || el.vr == "UN")
	case group%2 == 1 || uint16(el.tag) == 0: // private, group length (PS3.5 7.2)
		return false
	case el.length == undefinedLength || el.length > maxValueBytes || el.length%unitBytes(el.vr) != 0:
		return false
	case !shortVR(el.vr) && el.vr != "UC":
		return false
	case depth > 0:
		return true
	}
	switch group {
	case 0x0008, 0x0010, 0x0018, 0x0020, 0x0028:
		return true
	case 0x0040: // the order's numbers with who asked for it and who carries it out
		return el.tag == 0x00402016 || el.tag == 0x00402017
	}
	return false
}

// wantedSequence names the sequences that eligibility and geometry look into.
func wantedSequence(t uint32) bool {
	switch t {
	case 0x00082218, // anatomic region
		0x00081032, // procedure code
		0x00180012, // contrast/bolus agent
		0x0018A001, // contributing equipment
		0x00189341, // contrast/bolus usage
		0x00209222, // dimension index
		0x00283000, // modality LUT
		0x00409096, // real world value mapping
		0x52009229, // shared functional groups
		0x52009230: // per-frame functional groups
		return true
	}
	return false
}

// dictionaryVR gives the VR of implicit elements (PS3.6), UN for unknown ones.
func dictionaryVR(t uint32) string {
	if isPixels(t) {
		return "OW"
	}
	info, err := tag.Find(tag.Tag{Group: uint16(t >> 16), Element: uint16(t)})
	if err != nil || len(info.VRs) == 0 {
		return "UN"
	}
	return info.VRs[0]
}
