package dicomio

import (
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// evidence is all that eligibility may judge by.
type evidence struct {
	modality, sopClass string
	pixels, floating   bool // pixel data, and of floating point numbers
	samples            int
	photometric        string
	imageType          string // values joined by backslashes, upper case
	bodyPart           string // body part examined, else the anatomic region's meaning; upper case

	series, protocol, study string // descriptions

	scanning, variant, options string // values joined by backslashes
	acquisitionType            string // 2D, 3D
	sequenceName               string
	acquisitionContrast        string  // (0008,9209), enhanced images
	tr, te, ti, flip           float64 // ms, ms, ms, degrees; 0 when absent
	echoTrain                  int
	diffusion                  bool // a b-value above 0 is given

	agent        string // contrast/bolus agent
	agentPresent bool   // a contrast sequence has items
	agentDenied  bool   // the header says that none was administered before this frame
}

var (
	tagEffectiveEcho  = tag.Tag{Group: 0x0018, Element: 0x9082}
	tagInversionTimes = tag.Tag{Group: 0x0018, Element: 0x9079}
	tagDiffusionB     = tag.Tag{Group: 0x0018, Element: 0x9087}
	tagAcqContrast    = tag.Tag{Group: 0x0008, Element: 0x9209}
	tagPulseSequence  = tag.Tag{Group: 0x0018, Element: 0x9005}
	tagCodeMeaning    = tag.Tag{Group: 0x0008, Element: 0x0104}

	tagFrameType      = tag.Tag{Group: 0x0008, Element: 0x9007}
	tagCalculation    = tag.Tag{Group: 0x0008, Element: 0x9207}
	tagComplexPart    = tag.Tag{Group: 0x0008, Element: 0x9208}
	tagEchoPulse      = tag.Tag{Group: 0x0018, Element: 0x9008}
	tagInversion      = tag.Tag{Group: 0x0018, Element: 0x9009}
	tagPhaseContrast  = tag.Tag{Group: 0x0018, Element: 0x9014}
	tagTimeOfFlight   = tag.Tag{Group: 0x0018, Element: 0x9015}
	tagSpoiling       = tag.Tag{Group: 0x0018, Element: 0x9016}
	tagEchoPlanar     = tag.Tag{Group: 0x0018, Element: 0x9018}
	tagDirectionality = tag.Tag{Group: 0x0018, Element: 0x9075}
	tagSpinLabelling  = tag.Tag{Group: 0x0018, Element: 0x9251}
	tagAgentGiven     = tag.Tag{Group: 0x0018, Element: 0x9342}
)

func readEvidence(r *reader) evidence {
	joined := func(t tag.Tag) string { return clip(strings.ToUpper(strings.Join(r.values(t), `\`))) }
	e := evidence{
		modality: strings.ToUpper(r.ascii(tag.Modality)),
		samples:  r.integer(tag.SamplesPerPixel, 1), photometric: r.ascii(tag.PhotometricInterpretation),
		imageType: joined(tag.ImageType),
		bodyPart:  clip(strings.ToUpper(r.ascii(tag.BodyPartExamined))),
		series:    r.text(tag.SeriesDescription), protocol: r.text(tag.ProtocolName), study: r.text(tag.StudyDescription),
		scanning: joined(tag.ScanningSequence), variant: joined(tag.SequenceVariant), options: joined(tag.ScanOptions),
		acquisitionType:     strings.ToUpper(r.ascii(tag.MRAcquisitionType)),
		sequenceName:        r.text(tag.SequenceName),
		acquisitionContrast: strings.ToUpper(r.ascii(tagAcqContrast)),
		tr:                  r.number(tag.RepetitionTime, 0), te: r.number(tag.EchoTime, 0), ti: r.number(tag.InversionTime, 0),
		flip:      r.number(tag.FlipAngle, 0),
		echoTrain: r.integer(tag.EchoTrainLength, 0),
		diffusion: r.number(tagDiffusionB, 0) > 0,
		agent:     r.text(tag.ContrastBolusAgent),
		agentPresent: r.present(tag.ContrastBolusAgentSequence) ||
			r.present(tagContrastUsage),
	}
	if e.bodyPart == "" {
		e.bodyPart = clip(strings.ToUpper(r.within(tag.AnatomicRegionSequence, tagCodeMeaning)))
	}
	if e.te == 0 {
		e.te = r.number(tagEffectiveEcho, 0)
	}
	if e.ti == 0 {
		e.ti = r.number(tagInversionTimes, 0)
	}
	if e.sequenceName == "" {
		e.sequenceName = r.text(tagPulseSequence)
	}
	readEnhanced(r, &e)
	for _, value := range privateTypes(r) {
		e.imageType += `\` + value
	}
	return e
}

// readEnhanced puts what enhanced MR images say in terms of their own (PS3.3
// C.8.13) into those of classic ones. Where classic attributes stand too, as in
// legacy converted images, those are kept.
func readEnhanced(r *reader, e *evidence) {
	term := func(t tag.Tag) string { return strings.ToUpper(r.ascii(t)) }
	yes := func(t tag.Tag) bool { return term(t) == "YES" }
	if r.present(tagFrameType) { // the frame's own; Image Type is MIXED when frames differ
		e.imageType = strings.ToUpper(strings.Join(r.values(tagFrameType), `\`))
	}
	for _, t := range []tag.Tag{tagComplexPart, tagCalculation} { // PS3.3 C.8.13.3.1.2, C.8.16.2.1.3
		if _, known := imageTypes[term(t)]; known {
			e.imageType += `\` + term(t)
		}
	}
	if e.scanning == "" {
		e.scanning = scanningOf(term(tagEchoPulse), yes(tagInversion), yes(tagEchoPlanar))
	}
	if spoiling := term(tagSpoiling); e.variant == "" && spoiling != "" && spoiling != "NONE" {
		e.variant = "SP"
	}
	switch e.acquisitionContrast {
	case "", "UNKNOWN", "MIXED":
		switch {
		case yes(tagTimeOfFlight):
			e.acquisitionContrast = "TOF"
		case yes(tagPhaseContrast):
			e.acquisitionContrast = "FLOW_ENCODED"
		case r.present(tagSpinLabelling):
			e.acquisitionContrast = "PERFUSION"
		}
	}
	if direction := term(tagDirectionality); direction != "" && direction != "NONE" {
		e.diffusion = true
	}
	e.agentDenied = term(tagAgentGiven) == "NO"
}

// scanningOf gives Scanning Sequence (0018,0020) for the attributes that stand in
// its place in enhanced images (PS3.3 C.8.13.4.1, C.8.13.5.4).
func scanningOf(echo string, inversion, echoPlanar bool) string {
	var values []string
	switch echo {
	case "SPIN":
		values = append(values, "SE")
	case "GRADIENT":
		values = append(values, "GR")
	case "BOTH":
		values = append(values, "SE", "GR")
	}
	if inversion {
		values = append(values, "IR")
	}
	if echoPlanar {
		values = append(values, "EP")
	}
	return strings.Join(values, `\`)
}
