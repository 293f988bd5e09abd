package dicomio

import (
	"fmt"
	"strings"

	"neurotriage"
)

// byTiming tells what repetition, echo and inversion times make of a sequence
// at 1 to 3 T, or nothing where that is open. Values are in ms and degrees.
func byTiming(e evidence) neurotriage.SequenceKind {
	gradient := hasValue(e.scanning, "GR") && !hasValue(e.scanning, "SE")
	switch {
	case e.te <= 0 && e.tr <= 0:
		return ""
	case gradient:
		return gradientTiming(e)
	}
	return spinTiming(e)
}

// gradientTiming judges gradient echoes: short echoes only are T1, and only when
// prepared by an inversion, or spoiled with a flip angle that saturates.
func gradientTiming(e evidence) neurotriage.SequenceKind {
	inverted := e.ti >= 400 && e.ti <= 1500
	volume := e.acquisitionType == "3D"
	switch {
	case e.te > 12:
		return neurotriage.Susceptibility
	case volume && inverted:
		return neurotriage.T1 // MPRAGE and its kin
	case volume && e.tr > 0 && e.tr < 15 && e.te >= 1.6 && e.flip >= 8 && hasValue(e.variant, "SP"):
		return neurotriage.T1 // spoiled; time-of-flight repeats more slowly
	case e.acquisitionType == "2D" && e.tr >= 80 && e.tr <= 700 && e.flip >= 50:
		return neurotriage.T1
	}
	return ""
}

// spinTiming judges spin echoes, and what does not say how it was scanned as
// far as the times alone are conclusive.
func spinTiming(e evidence) neurotriage.SequenceKind {
	known := hasValue(e.scanning, "SE")
	switch {
	case e.ti >= 1500 && e.tr >= 4000 && known:
		return neurotriage.FLAIR
	case e.ti > 0 && e.ti < 300 && known:
		return neurotriage.UnknownSequence // fat is nulled: STIR
	case e.te >= 60:
		return neurotriage.T2
	case !known:
		return ""
	case e.ti >= 300 && e.ti < 1500 && e.te <= 45 && e.tr <= 4000:
		return neurotriage.T1 // inversion recovery, "T1 FLAIR"
	case e.tr > 0 && e.tr <= 1200 && e.te > 0 && e.te <= 45:
		return neurotriage.T1
	case e.tr > 1500 && e.te > 0 && e.te <= 45 && e.ti == 0:
		return neurotriage.ProtonDensity
	}
	return ""
}

// timingText gives the times that were judged.
func timingText(e evidence) string {
	var parts []string
	if e.scanning != "" {
		parts = append(parts, "scanning sequence "+strings.ReplaceAll(e.scanning, `\`, "+"))
	}
	for _, t := range []struct {
		name  string
		value float64
	}{{"TR", e.tr}, {"TE", e.te}, {"TI", e.ti}} {
		if t.value > 0 {
			parts = append(parts, fmt.Sprintf("%s %.4g ms", t.name, t.value))
		}
	}
	return strings.Join(parts, ", ")
}
