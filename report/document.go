package report

import (
	"strings"

	"neurotriage"
	"neurotriage/dicomio"
)

// The series of our objects. The numbers stand behind those of any scanner.
var seriesOfKind = map[string]struct {
	modality, description string
	number                int
}{
	KindSR:        {"SR", "neurotriage finding (research use only)", 99001},
	KindKeyImage:  {"OT", "neurotriage key images (research use only)", 99002},
	KindKeyObject: {"KO", "neurotriage key objects (research use only)", 99003},
}

// common lists the modules that all objects share: patient, study, series,
// equipment and SOP common (PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.2, C.12.1).
func (d *document) common(kind, what string, instance int) dicomio.Dataset {
	s, p, series := d.study, d.study.Patient, seriesOfKind[kind]
	set := dicomio.Dataset{
		el(0x00100010, "PN", personName(p.Name)), identifier(0x00100020, "LO", p.ID),
		el(0x00100030, "DA", date(p.BirthDate)), cs(0x00100040, sex(p.Sex)),
		ui(0x0020000D, s.UID), el(0x00080020, "DA", date(s.Date)), el(0x00080030, "TM", timeOfDay(s.Time)),
		el(0x00080090, "PN", personName(string(s.Referring))), sh(0x00200010, s.ID),
		identifier(0x00080050, "SH", s.AccessionNumber), lo(0x00081030, s.Description),
		cs(0x00080060, series.modality), ui(0x0020000E, seriesUID(d.finding.ID, kind)), is(0x00200011, series.number),
		lo(0x0008103E, series.description), is(0x00200013, instance),
		ui(0x00080016, classes[kind]), ui(0x00080018, d.uid(what)),
		day(0x00080012, d.at), clock(0x00080013, d.at), day(0x00080023, d.at), clock(0x00080033, d.at),
		sq(0x0018A001, d.contribution()),
	}
	if p.ID != "" && p.Issuer != "" {
		set = append(set, identifier(0x00100021, "LO", p.Issuer))
	}
	if d.offset != "" {
		set = append(set, el(0x00080201, "SH", d.offset))
	}
	return append(set, d.equipment()...)
}

// equipment is the model as a device (PS3.3 C.7.5.1, C.7.5.2): its UID changes
// with every training (IHE AI Results).
func (d *document) equipment() dicomio.Dataset {
	model := d.finding.Model
	return dicomio.Dataset{
		lo(0x00080070, neurotriage.Manufacturer), lo(0x00081090, orUnknown(model.Name)),
		lo(0x00181000, d.serial()), ui(0x00181002, d.device),
		el(0x00181020, "LO", line(d.version, 64)+`\`+line(orUnknown(model.Version), 64)),
	}
}

// contribution names the model once more as what processed the images, where
// readers look that do not ask for the equipment (PS3.3 C.12.1.5).
func (d *document) contribution() dicomio.Dataset {
	return append(d.equipment(), processing.sequence(0x0040A170), moment(0x0018A002, d.at),
		st(0x0018A003, "Classification of slices and triage of the study, runtime "+orUnknown(d.finding.Model.Runtime)))
}

// serial is the model's digest: what a device has on its back.
func (d *document) serial() string {
	return orUnknown(strings.TrimPrefix(d.finding.Model.Digest, "sha256:"))
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func sex(s string) string {
	switch s {
	case "M", "F", "O":
		return s
	}
	return ""
}

// observer is the observation context (TID 1001, 1002, 1004): a device made this.
func (d *document) observer() []item {
	return []item{
		codeItem(obsContext, conceptObserverType, observerDevice),
		uidItem(obsContext, conceptDeviceUID, d.device),
		textItem(obsContext, conceptDeviceName, "neurotriage"),
		textItem(obsContext, conceptDeviceMaker, neurotriage.Manufacturer),
		textItem(obsContext, conceptDeviceModel, orUnknown(d.finding.Model.Name)),
		textItem(obsContext, conceptDeviceSerial, d.serial()),
	}
}

func language() item { return codeItem(modifier, conceptLanguage, english) }

// schemes introduces the private codes (PS3.3 C.12.1.1.7).
func schemes() dicomio.Element {
	return sq(0x00080110, dicomio.Dataset{
		sh(0x00080102, privateScheme), st(0x00080115, "Words of the neurotriage program"), st(0x00080116, neurotriage.Manufacturer),
	})
}
