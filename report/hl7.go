package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strconv"
	"strings"

	"neurotriage"
)

// HL7 says who speaks to whom in messages of HL7 v2.5.1, and how.
type HL7 struct {
	SendingApplication, SendingFacility     string
	ReceivingApplication, ReceivingFacility string
	Authority                               string // who assigned the patient identifiers (PID-3.4); empty: whom the images name
	Processing                              string // MSH-11: P production (the default), T training, D debugging
}

// hl7Stamp is the form of a time with its offset (HL7 v2.5.1 2.A.77).
const hl7Stamp = "20060102150405-0700"

// ORU makes the observation result ORU^R01 of a finding and the control id that
// its acknowledgement names. The same annotation gives the same bytes, so that a
// message sent again is known by its receiver. Segments end with CR; the frame of
// the wire is the sender's business.
func (h HL7) ORU(a Annotation) (message []byte, controlID string) {
	controlID = h.controlID(a)
	var out strings.Builder
	out.WriteString(h.header(a, controlID))
	out.WriteString(h.patient(a))
	out.WriteString(hl7Line("ORC", numbered{1: "RE", 2: hl7Text(a.Study.PlacerOrder), 3: hl7Text(a.filler())}))
	out.WriteString(h.request(a))
	out.WriteString(hl7Line("NTE", numbered{1: "1", 2: "O", 3: hl7Text(ResearchUse)}))
	if priority := hl7Priority(a.priority()); priority != "" {
		out.WriteString(hl7Line("TQ1", numbered{1: "1", 9: hl7Parts(priority, hl7PriorityName[priority], "HL70485")}))
	}
	for i, o := range h.observations(a) {
		out.WriteString(o.line(i+1, a))
	}
	return []byte(out.String()), controlID
}

// controlID fits into the 20 characters of MSH-10 and differs between receivers,
// which may stand behind one interface engine.
func (h HL7) controlID(a Annotation) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.Finding.ID, h.ReceivingApplication, h.ReceivingFacility}, "\n")))
	return "NT" + base32.StdEncoding.EncodeToString(sum[:])[:18]
}

// header is MSH (2.15.9). MSH-2 holds the encoding characters themselves, so the
// field separator after the segment's name counts as MSH-1.
func (h HL7) header(a Annotation, controlID string) string {
	processing := h.Processing
	if processing == "" {
		processing = "P"
	}
	return hl7Line("MSH", numbered{
		1: hl7Encoding, 2: hl7Text(h.SendingApplication), 3: hl7Text(h.SendingFacility),
		4: hl7Text(h.ReceivingApplication), 5: hl7Text(h.ReceivingFacility),
		6: a.Finding.Finished.UTC().Format(hl7Stamp), 8: "ORU^R01^ORU_R01", 9: controlID,
		10: processing, 11: "2.5.1", 17: "UNICODE UTF-8",
	})
}

// patient is PID (3.4.2), or nothing where the headers name nobody: an invented
// identifier would be filed under somebody. There is no PV1, since images do not
// know the visit.
func (h HL7) patient(a Annotation) string {
	p := a.Study.Patient
	if p.ID == "" && p.Name == "" {
		return ""
	}
	return hl7Line("PID", numbered{
		1: "1", 3: hl7Parts(p.ID, "", "", cmp.Or(h.Authority, p.Issuer), "MR"), 5: hl7Name(p.Name), 7: hl7Time(p.BirthDate, ""), 8: hl7Text(p.Sex),
	})
}

// request is OBR (4.5.3). The accession number stands in OBR-18, where imaging
// looks for it (IHE RAD TF-2, 4.4).
func (h HL7) request(a Annotation) string {
	return hl7Line("OBR", numbered{
		1: "1", 2: hl7Text(a.Study.PlacerOrder), 3: hl7Text(a.filler()), 4: hl7Parts("BRAIN_TRIAGE", "Triage of brain MRI", codeScheme),
		5: hl7Priority(a.priority()), 7: hl7Offset(hl7Time(a.Study.Date, a.Study.Time), a.Study.UTCOffset), 18: hl7Text(a.accession()),
		22: a.Finding.Finished.UTC().Format(hl7Stamp), 24: "RAD", 25: hl7Status(a),
	})
}

// hl7Status is P, preliminary, since no person has verified the result, or C for
// a revision (table 0123). Never X: receivers cancel the order then.
func hl7Status(a Annotation) string {
	if a.Finding.Replaces != "" {
		return "C"
	}
	return "P"
}

var hl7PriorityName = map[string]string{"S": "Stat", "A": "As soon as possible", "R": "Routine"}

// hl7Priority maps to table 0485, which knows nothing between ASAP and routine.
func hl7Priority(p neurotriage.Priority) string {
	switch p {
	case neurotriage.Stat:
		return "S"
	case neurotriage.ASAP, neurotriage.Urgent:
		return "A"
	case neurotriage.Routine:
		return "R"
	}
	return ""
}

// observation is one OBX (7.4.2) with the notes that follow it.
type observation struct {
	kind, code, value, units, normal, abnormal string
	sub                                        int // tells OBX of one code apart
	missing                                    bool
	notes                                      []string
}

func (o observation) line(number int, a Annotation) string {
	status, sub := hl7Status(a), ""
	if o.missing {
		status = "X" // of an OBX: the result cannot be obtained (table 0085)
	}
	if o.sub > 0 {
		sub = strconv.Itoa(o.sub)
	}
	text := hl7Line("OBX", numbered{
		1: strconv.Itoa(number), 2: o.kind, 3: o.code, 4: sub, 5: o.value, 6: o.units, 7: o.normal, 8: o.abnormal, 11: status,
		14: a.Finding.Finished.UTC().Format(hl7Stamp), 18: hl7Device(a.Finding.Model),
	})
	for i, note := range o.notes {
		text += hl7Line("NTE", numbered{1: strconv.Itoa(i + 1), 2: "O", 3: hl7Text(note)})
	}
	return text
}

// hl7Device names the model as the device that it is (EI).
func hl7Device(m neurotriage.ModelRef) string {
	if m.Digest == "" {
		return ""
	}
	return hl7Parts(m.Name, neurotriage.Manufacturer, neurotriage.DeviceUID(m.Digest), "ISO")
}

func ownCode(code, meaning string) string { return hl7Parts(code, meaning, codeScheme) }

// observations lists what the finding says: the disposition first, since some
// receivers show one line.
func (h HL7) observations(a Annotation) []observation {
	f := a.Finding
	all := []observation{{
		kind: "CWE", code: ownCode("DISPOSITION", "Triage disposition"), value: ownCode(string(f.Disposition), words(f.Disposition)),
		abnormal: hl7Abnormal(f.Disposition), missing: !a.read() && !f.Flags.GliomaReview, notes: f.Warnings,
	}}
	if f.Reason != "" {
		all = append(all, observation{kind: "CWE", code: ownCode("REASON", "Why not read"), value: ownCode(string(f.Reason), a.reason())})
	}
	for _, label := range slices.Sorted(maps.Keys(f.Probabilities)) {
		o := observation{
			kind: "NM", code: ownCode(strings.ToUpper(label)+"_PROBABILITY", "Probability of "+label),
			value: strconv.FormatFloat(f.Probabilities[label], 'f', -1, 64), units: "1^no units^UCUM",
		}
		if label == neurotriage.Glioma {
			o.normal = "<" + strconv.FormatFloat(f.Thresholds.GliomaReview, 'f', -1, 64)
			if f.Flags.GliomaReview {
				o.abnormal = "H"
			}
		}
		all = append(all, o)
	}
	text := func(code, value string) {
		if value != "" {
			all = append(all, observation{kind: "ST", code: code, value: hl7Text(value)})
		}
	}
	text("110180^Study Instance UID^DCM", f.StudyInstanceUID)
	text("111001^Algorithm Name^DCM", f.Model.Name)
	text("111003^Algorithm Version^DCM", strings.TrimSpace(f.Model.Version+" "+f.Model.Digest))
	text(ownCode("FINDING_ID", "Identifier of the finding"), f.ID)
	text(ownCode("REPLACES", "Identifier of the finding that this one revises"), f.Replaces)
	for i, r := range f.Reports {
		all = append(all, observation{
			kind: "ST", code: ownCode("REPORT_UID", "SOP instance UID of a report"), sub: i + 1, value: hl7Text(r.SOPInstanceUID),
			notes: []string{r.Kind},
		})
	}
	return all
}

// hl7Abnormal is OBX-8 (table 0078): AA asks for the review, A for a look. There
// is no N: the absence of a flag is not normality.
func hl7Abnormal(d neurotriage.Disposition) string {
	switch d {
	case neurotriage.GliomaReview:
		return "AA"
	case neurotriage.TumourSuspected:
		return "A"
	}
	return ""
}
