package dicomio

import (
	"fmt"
	"slices"
	"strings"

	"neurotriage"
)

// verdict says whether a model may read an image, in words for those who look
// after the archive. It quotes single words of descriptions only: whole
// descriptions are free text and may name a patient.
type verdict struct {
	eligible bool
	sequence neurotriage.SequenceKind
	why      string
}

// eligible judges one image by its headers. The first thing that speaks against
// it decides.
func (a *assessor) eligible(e evidence) verdict {
	use := a.use
	if why := notAnImage(e, use.Modality); why != "" {
		return verdict{sequence: neurotriage.UnknownSequence, why: why}
	}
	said, ok := a.hear(e)
	if !ok {
		return verdict{sequence: neurotriage.UnknownSequence, why: fmt.Sprintf("images of one series are described in more than %d ways", maxTexts)}
	}
	kind, part := sequenceOf(e, said), said.part
	switch {
	case part.contradiction != "":
		return verdict{sequence: kind.sequence, why: part.contradiction}
	case kind.sequence != neurotriage.T1:
		if !intended(use, kind.sequence) {
			return verdict{sequence: kind.sequence, why: kind.why}
		}
	case !part.found:
		return verdict{sequence: kind.sequence, why: part.why}
	}
	if !part.found {
		return verdict{sequence: kind.sequence, why: part.why}
	}
	why := kind.why
	if kind.sequence == neurotriage.T1 {
		agent := contrastOf(e, said)
		if agent.given {
			kind.sequence = neurotriage.T1C
		}
		why += "; " + agent.why
	}
	why += "; " + part.why
	if !intended(use, kind.sequence) {
		return verdict{sequence: kind.sequence, why: fmt.Sprintf("the model does not read %s: %s", kind.sequence, why)}
	}
	return verdict{eligible: true, sequence: kind.sequence, why: why}
}

func intended(use neurotriage.IntendedUse, kind neurotriage.SequenceKind) bool {
	return slices.Contains(use.Read, kind) || slices.Contains(use.RaiseOnly, kind)
}

// orDefaultUse stands in for a card that does not say what its model is for.
func orDefaultUse(use neurotriage.IntendedUse) neurotriage.IntendedUse {
	if use.Modality == "" {
		use.Modality = "MR"
	}
	if use.BodyPart == "" {
		use.BodyPart = "brain"
	}
	if len(use.Read)+len(use.RaiseOnly) == 0 {
		use.Read, use.RaiseOnly = []neurotriage.SequenceKind{neurotriage.T1C}, []neurotriage.SequenceKind{neurotriage.T1}
	}
	return use
}

// SOP classes of MR images (PS3.4 B.5).
const (
	classMR              = "1.2.840.10008.5.1.4.1.1.4"
	classEnhancedMR      = "1.2.840.10008.5.1.4.1.1.4.1"
	classSpectroscopy    = "1.2.840.10008.5.1.4.1.1.4.2"
	classEnhancedMRColor = "1.2.840.10008.5.1.4.1.1.4.3"
	classLegacyMR        = "1.2.840.10008.5.1.4.1.1.4.4"
	classSecondary       = "1.2.840.10008.5.1.4.1.1.7" // and its multi-frame kin .7.1 to .7.4
)

func isEnhanced(class string) bool {
	return class == classEnhancedMR || class == classEnhancedMRColor || class == classLegacyMR
}

// notAnImage says why an object is no grey MR image, or nothing.
func notAnImage(e evidence, modality string) string {
	switch {
	case e.modality == "":
		return "the modality is missing"
	case e.modality != modality:
		if words, ok := modalities[e.modality]; ok {
			return fmt.Sprintf("%s (%s), the model reads %s images", words, e.modality, modality)
		}
		return fmt.Sprintf("modality %s, the model reads %s images", e.modality, modality)
	case e.sopClass == classSpectroscopy:
		return "MR spectroscopy is no image"
	case e.sopClass == classSecondary || strings.HasPrefix(e.sopClass, classSecondary+"."):
		return "a secondary capture, such as a screenshot, has no reliable pixel values"
	case e.sopClass != classMR && !isEnhanced(e.sopClass) && e.sopClass != "":
		return fmt.Sprintf("SOP class %s is no MR image", e.sopClass)
	case !e.pixels:
		return "the object holds no image"
	case e.floating:
		return "floating point pixels hold computed values"
	case e.sopClass == classEnhancedMRColor || e.samples != 1 || e.photometric != "MONOCHROME1" && e.photometric != "MONOCHROME2":
		return fmt.Sprintf("a colour image (%s): such images show computed maps or overlays", photometricText(e))
	}
	return ""
}

func photometricText(e evidence) string {
	if e.photometric == "" {
		return "no photometric interpretation"
	}
	return e.photometric
}

// modalities puts words to the codes of PS3.3 C.7.3.1.1.1 that often lie beside
// images in MR studies.
var modalities = map[string]string{
	"SR": "a report object", "PR": "a presentation state", "KO": "a key object selection", "SEG": "a segmentation",
	"DOC": "a document", "REG": "a registration", "FID": "fiducials", "RTSTRUCT": "a radiotherapy structure set",
	"RTDOSE": "a radiotherapy dose", "RTPLAN": "a radiotherapy plan", "OT": "another kind of object",
	"CT": "computed tomography", "PT": "positron emission tomography", "CR": "computed radiography",
	"DX": "digital radiography", "US": "ultrasound", "XA": "angiography", "NM": "nuclear medicine", "SC": "a secondary capture",
}

// judgeSeries gives the series its verdict. Images that may not be read are left
// out of a series whose other images may, with a warning; what remains is
// returned.
func judgeSeries(series *neurotriage.Series, group []*instance, use neurotriage.IntendedUse) []*instance {
	known, assessor := map[evidence]verdict{}, newAssessor(use)
	var kept, damaged []*instance // damaged headers say too little: the series speaks for them
	var refused []verdict
	kinds := map[neurotriage.SequenceKind]verdict{}
	for _, i := range group {
		v, seen := known[i.evidence]
		if !seen {
			v = assessor.eligible(i.evidence)
			known[i.evidence] = v
		}
		if i.damaged != nil && !v.eligible {
			damaged = append(damaged, i)
		} else if !v.eligible {
			refused = append(refused, v)
		}
		if !v.eligible {
			continue
		}
		kept = append(kept, i)
		if _, seen := kinds[v.sequence]; !seen {
			kinds[v.sequence] = v
		}
	}
	if len(kept) == 0 {
		first := known[group[0].evidence]
		series.Sequence, series.Why = first.sequence, first.why
		return group
	}
	kept = append(kept, damaged...)
	chosen, ok := kinds[neurotriage.T1] // the careful reading of a mixed series: it never clears
	for kind, v := range kinds {
		if !ok || len(kinds) == 1 {
			series.Sequence, chosen, ok = kind, v, true
		}
	}
	series.Eligible, series.Sequence, series.Why = true, chosen.sequence, chosen.why
	if len(kinds) > 1 {
		series.Complete = false
		series.Warnings = append(series.Warnings, "some images of the series show contrast agent and some do not")
	}
	if len(refused) > 0 {
		series.Warnings = append(series.Warnings, fmt.Sprintf("%d of %d images were left out: %s", len(refused), len(group), refused[0].why))
	}
	return kept
}
