package dicomio

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Support says what happens to the objects of one SOP class, or in one transfer
// syntax. It is what the code does, not what it is meant to do: docs/CONFORMANCE.md
// is written from it.
type Support struct {
	UID, Name string
	Read      bool
	What      string // what happens, in words
}

// TransferSyntaxes lists the transfer syntaxes that the room knows by name, in
// the order of their UIDs. All others come out as those that are not read.
func TransferSyntaxes() []Support {
	uids := append(slices.Collect(maps.Keys(compressedNames)), implicitLittle, explicitLittle, explicitBig, deflatedLittle)
	slices.SortFunc(uids, compareUIDs)
	var all []Support
	for _, uid := range uids {
		s := Support{UID: uid, Name: layoutOf(uid).name, Read: readable(uid)}
		switch {
		case !s.Read:
			s.What = "refused as unsupported_transfer_syntax, if the series is eligible"
		case codecFor(uid) == nil:
			s.What = "pixels are read where they lie"
		default:
			s.What = "frames are decoded one by one"
		}
		all = append(all, s)
	}
	return all
}

// SOPClasses lists the storage SOP classes that are met in MR studies, in the
// order of their UIDs, with what eligibility says of an image in them.
func SOPClasses() []Support {
	var all []Support
	for _, class := range slices.SortedFunc(maps.Keys(classNames), compareUIDs) {
		named := classNames[class]
		e := evidence{modality: named.modality, sopClass: class, pixels: true, samples: 1, photometric: "MONOCHROME2"}
		if class == classEnhancedMRColor {
			e.photometric = "RGB"
		}
		s := Support{UID: class, Name: named.name, What: notAnImage(e, "MR")}
		if s.What == "" {
			s.Read, s.What = true, "read where eligible"
			if isEnhanced(class) {
				s.What = "read frame by frame where eligible"
			}
		}
		all = append(all, s)
	}
	return all
}

// compareUIDs orders UIDs by their numbers.
func compareUIDs(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
	})
}

// classNames are SOP classes (PS3.4 B.5) and the modality that stands in them.
var classNames = map[string]struct{ name, modality string }{
	classMR:                          {"MR Image", "MR"},
	classEnhancedMR:                  {"Enhanced MR Image", "MR"},
	classSpectroscopy:                {"MR Spectroscopy", "MR"},
	classEnhancedMRColor:             {"Enhanced MR Color Image", "MR"},
	classLegacyMR:                    {"Legacy Converted Enhanced MR Image", "MR"},
	classSecondary:                   {"Secondary Capture Image", "MR"},
	classSecondary + ".1":            {"Multi-frame Single Bit Secondary Capture Image", "MR"},
	classSecondary + ".2":            {"Multi-frame Grayscale Byte Secondary Capture Image", "MR"},
	classSecondary + ".3":            {"Multi-frame Grayscale Word Secondary Capture Image", "MR"},
	classSecondary + ".4":            {"Multi-frame True Color Secondary Capture Image", "MR"},
	"1.2.840.10008.5.1.4.1.1.1":      {"Computed Radiography Image", "CR"},
	"1.2.840.10008.5.1.4.1.1.2":      {"CT Image", "CT"},
	"1.2.840.10008.5.1.4.1.1.2.1":    {"Enhanced CT Image", "CT"},
	"1.2.840.10008.5.1.4.1.1.11.1":   {"Grayscale Softcopy Presentation State", "PR"},
	"1.2.840.10008.5.1.4.1.1.20":     {"Nuclear Medicine Image", "NM"},
	"1.2.840.10008.5.1.4.1.1.66":     {"Raw Data", "MR"},
	"1.2.840.10008.5.1.4.1.1.66.1":   {"Spatial Registration", "REG"},
	"1.2.840.10008.5.1.4.1.1.66.4":   {"Segmentation", "SEG"},
	"1.2.840.10008.5.1.4.1.1.30":     {"Parametric Map", "MR"},
	"1.2.840.10008.5.1.4.1.1.88.22":  {"Enhanced SR", "SR"},
	"1.2.840.10008.5.1.4.1.1.88.33":  {"Comprehensive SR", "SR"},
	"1.2.840.10008.5.1.4.1.1.88.34":  {"Comprehensive 3D SR", "SR"},
	"1.2.840.10008.5.1.4.1.1.88.59":  {"Key Object Selection Document", "KO"},
	"1.2.840.10008.5.1.4.1.1.104.1":  {"Encapsulated PDF", "DOC"},
	"1.2.840.10008.5.1.4.1.1.128":    {"Positron Emission Tomography Image", "PT"},
	"1.2.840.10008.5.1.4.1.1.481.3":  {"RT Structure Set", "RTSTRUCT"},
	"1.2.840.10008.5.1.4.1.1.6.1":    {"Ultrasound Image", "US"},
	"1.2.840.10008.5.1.4.1.1.12.1":   {"X-Ray Angiographic Image", "XA"},
	"1.2.840.10008.5.1.4.1.1.88.67":  {"X-Ray Radiation Dose SR", "SR"},
	"1.2.840.10008.5.1.4.1.1.77.1.4": {"VL Photographic Image", "XC"},
}
