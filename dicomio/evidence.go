package dicomio

import (
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// evidence is all that eligibility may judge by.
type evidence struct {
	modality, sopClass string
	pixels             bool
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
}

var (
	tagEffectiveEcho  = tag.Tag{Group: 0x0018, Element: 0x9082}
	tagInversionTimes = tag.Tag{Group: 0x0018, Element: 0x9079}
	tagDiffusionB     = tag.Tag{Group: 0x0018, Element: 0x9087}
	tagAcqContrast    = tag.Tag{Group: 0x0008, Element: 0x9209}
	tagPulseSequence  = tag.Tag{Group: 0x0018, Element: 0x9005}
	tagCodeMeaning    = tag.Tag{Group: 0x0008, Element: 0x0104}
)

func readEvidence(r *reader) evidence {
	joined := func(t tag.Tag) string { return strings.ToUpper(strings.Join(r.values(t), `\`)) }
	e := evidence{
		modality: strings.ToUpper(r.ascii(tag.Modality)),
		samples:  r.integer(tag.SamplesPerPixel, 1), photometric: r.ascii(tag.PhotometricInterpretation),
		imageType: joined(tag.ImageType),
		bodyPart:  strings.ToUpper(r.ascii(tag.BodyPartExamined)),
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
		e.bodyPart = strings.ToUpper(r.within(tag.AnatomicRegionSequence, tagCodeMeaning))
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
	return e
}
