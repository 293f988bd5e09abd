package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"neurotriage"
)

// FHIR says how the resources of an R4 server (4.0.1) are to be named.
type FHIR struct {
	// PatientSystem is the URI under which the server knows patient identifiers,
	// such as urn:oid:1.2.3; empty: none is given.
	PatientSystem string
	// FindPatient makes the server look the patient up by that identifier
	// (a conditional reference); otherwise the reference is a logical one, which
	// every server takes.
	FindPatient bool
	// AccessionSystem is the URI of accession numbers; empty: none is given.
	AccessionSystem string
}

// FHIRReport is what a server holds already about the study; the zero value
// stands for nothing. A caller finds it with [FHIR.ReportQuery].
type FHIRReport struct {
	ID      string // of the DiagnosticReport
	Version string // its ETag
}

// The systems of the identifiers that this project gives.
const (
	systemStudy   = "urn:neurotriage:study"   // one DiagnosticReport and one Flag for a study
	systemFinding = "urn:neurotriage:finding" // observations of a finding
	systemCodes   = "urn:neurotriage:codes"
	systemUID     = "urn:dicom:uid" // PS3.20, as ImagingStudy.identifier has it
	systemURI     = "urn:ietf:rfc:3986"
)

// ReportQuery is the search for the study's DiagnosticReport.
func (FHIR) ReportQuery(studyUID string) string {
	return "DiagnosticReport?" + identifierQuery(fhirIdentifier{System: systemStudy, Value: studyUID})
}

// Bundle makes the transaction of a finding: the model as a Device, the
// disposition and the probability as Observations, the study's DiagnosticReport,
// and a Flag when the study is to be reviewed.
//
// All but the report are created unless they exist (ifNoneExist), so that a
// repeat changes nothing. The report is one for each study: created unless it
// exists, and replaced by a revision, which then is amended; former names what
// the server holds. A Flag is never taken back: that is a person's decision.
func (h FHIR) Bundle(a Annotation, former FHIRReport) ([]byte, error) {
	b := fhirMaker{FHIR: h, a: a}
	device := b.add("device", b.device(), b.deviceIdentifier())
	result := b.add("disposition", b.disposition(device), b.finding("disposition"))
	results := []fhirReference{result}
	if p, scored := a.Finding.Probabilities[neurotriage.Glioma]; scored {
		results = append(results, b.add("probability", b.probability(p, device), b.finding("probability")))
	}
	b.addReport(b.report(results, former), former)
	if a.Finding.Flags.GliomaReview {
		b.add("flag", b.flag(device), fhirIdentifier{System: systemStudy, Value: a.Finding.StudyInstanceUID})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fhirBundle{ResourceType: "Bundle", Type: "transaction", Entry: b.entries}); err != nil {
		return nil, fmt.Errorf("writing the bundle of finding %s: %w", a.Finding.ID, err)
	}
	return out.Bytes(), nil
}

// fhirMaker collects the entries of one bundle.
type fhirMaker struct {
	FHIR
	a       Annotation
	entries []fhirEntry
}

// fhirSpace is the UUIDv5 name space of full URLs within a bundle, a random UUID
// drawn once: 5d2a7c1f-0b8e-4f6a-9c41-7e3d90a6b812.
var fhirSpace = [16]byte{0x5d, 0x2a, 0x7c, 0x1f, 0x0b, 0x8e, 0x4f, 0x6a, 0x9c, 0x41, 0x7e, 0x3d, 0x90, 0xa6, 0xb8, 0x12}

// add puts a resource into the bundle that is created unless one has the
// identifier, and gives the reference to it.
func (b *fhirMaker) add(name string, resource any, id fhirIdentifier) fhirReference {
	full := b.fullURL(name)
	b.entries = append(b.entries, fhirEntry{FullURL: full, Resource: resource, Request: fhirRequest{
		Method: "POST", URL: resourceType(resource), IfNoneExist: identifierQuery(id),
	}})
	return fhirReference{Reference: full}
}

func (b *fhirMaker) addReport(r fhirDiagnosticReport, former FHIRReport) {
	query := identifierQuery(fhirIdentifier{System: systemStudy, Value: b.a.Finding.StudyInstanceUID})
	request := fhirRequest{Method: "POST", URL: "DiagnosticReport", IfNoneExist: query}
	if former.ID != "" {
		request = fhirRequest{Method: "PUT", URL: "DiagnosticReport/" + url.PathEscape(former.ID), IfMatch: former.Version}
	}
	b.entries = append(b.entries, fhirEntry{FullURL: b.fullURL("report"), Resource: struct {
		ID string `json:"id,omitempty"`
		fhirDiagnosticReport
	}{former.ID, r}, Request: request})
}

func (b *fhirMaker) fullURL(name string) string {
	return "urn:uuid:" + neurotriage.UUIDv5(fhirSpace, b.a.Finding.ID+"\n"+name)
}

func resourceType(resource any) string {
	switch resource.(type) {
	case fhirDevice:
		return "Device"
	case fhirObservation:
		return "Observation"
	}
	return "Flag"
}

// identifierQuery escapes the bar that parts system from value too, since a
// server reads it after decoding.
func identifierQuery(id fhirIdentifier) string {
	return "identifier=" + url.QueryEscape(id.System+"|"+id.Value)
}

func (b *fhirMaker) deviceIdentifier() fhirIdentifier {
	return fhirIdentifier{System: systemURI, Value: "urn:oid:" + neurotriage.DeviceUID(b.a.Finding.Model.Digest)}
}

func (b *fhirMaker) device() fhirDevice {
	m := b.a.Finding.Model
	name := m.Name
	if name == "" {
		name = neurotriage.Manufacturer // a refusal may name no model
	}
	d := fhirDevice{
		ResourceType: "Device", Identifier: []fhirIdentifier{b.deviceIdentifier()}, Status: "active",
		Manufacturer: neurotriage.Manufacturer, DeviceName: []fhirDeviceName{{Name: name, Type: "model-name"}}, ModelNumber: m.Name,
		Type: fhirConcept{Coding: []fhirCoding{{System: "http://snomed.info/sct", Code: "706689003", Display: "Application program software"}}},
		Note: []fhirAnnotation{{Text: ResearchUse}},
	}
	if m.Digest != "" {
		d.Version = []fhirVersion{{Value: strings.TrimSpace(m.Version + " " + m.Digest)}}
	}
	return d
}

// finding identifies one observation of the finding.
func (b *fhirMaker) finding(what string) fhirIdentifier {
	return fhirIdentifier{System: systemFinding, Value: b.a.Finding.ID + "/" + what}
}

func ownConcept(code, text string) fhirConcept {
	return fhirConcept{Coding: []fhirCoding{{System: systemCodes, Code: code, Display: text}}, Text: text}
}

func codeOf(system, code, display string) fhirConcept {
	return fhirConcept{Coding: []fhirCoding{{System: system, Code: code, Display: display}}}
}

func imagingCategory() []fhirConcept {
	return []fhirConcept{codeOf("http://terminology.hl7.org/CodeSystem/observation-category", "imaging", "Imaging")}
}

func (b *fhirMaker) observation(what string, code fhirConcept, device fhirReference) fhirObservation {
	return fhirObservation{
		ResourceType: "Observation", Identifier: []fhirIdentifier{b.finding(what)}, PartOf: []fhirReference{b.imagingStudy()},
		Status: "preliminary", Category: imagingCategory(), Code: code, Subject: b.subject(), EffectiveDateTime: b.day(),
		Issued: b.issued(), Device: &device,
	}
}

func (b *fhirMaker) disposition(device fhirReference) fhirObservation {
	f := b.a.Finding
	o := b.observation("disposition", ownConcept("disposition", "Triage disposition"), device)
	value := ownConcept(string(f.Disposition), words(f.Disposition))
	o.ValueCodeableConcept = &value
	if !b.a.read() && !f.Flags.GliomaReview {
		// A value and the reason for its absence exclude each other (obs-6).
		absent := codeOf("http://terminology.hl7.org/CodeSystem/data-absent-reason", "not-performed", "Not Performed")
		absent.Text = strings.TrimSuffix(words(f.Disposition)+": "+b.a.reason(), ": ")
		o.ValueCodeableConcept, o.DataAbsentReason = nil, &absent
	}
	if code := hl7Abnormal(f.Disposition); code != "" {
		display := map[string]string{"A": "Abnormal", "AA": "Critical abnormal"}[code]
		o.Interpretation = []fhirConcept{codeOf("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", code, display)}
	}
	for _, warning := range f.Warnings {
		o.Note = append(o.Note, fhirAnnotation{Text: warning})
	}
	o.Note = append(o.Note, fhirAnnotation{Text: ResearchUse})
	return o
}

func (b *fhirMaker) probability(p float64, device fhirReference) fhirObservation {
	f := b.a.Finding
	o := b.observation("probability", ownConcept("glioma_probability", "Probability of glioma"), device)
	o.ValueQuantity = ratio(p)
	o.ReferenceRange = []fhirRange{{High: ratio(f.Thresholds.GliomaReview), Text: "below the threshold of the review"}}
	if f.Flags.GliomaReview {
		o.Interpretation = []fhirConcept{codeOf("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "H", "High")}
	}
	for _, label := range slices.Sorted(maps.Keys(f.Probabilities)) {
		if label != neurotriage.Glioma {
			o.Component = append(o.Component, fhirComponent{
				Code: ownConcept(label+"_probability", "Probability of "+label), ValueQuantity: ratio(f.Probabilities[label]),
			})
		}
	}
	return o
}

// ratio is a number of dimension one in UCUM.
func ratio(value float64) *fhirQuantity {
	return &fhirQuantity{Value: value, System: "http://unitsofmeasure.org", Code: "1"}
}

func (b *fhirMaker) report(results []fhirReference, former FHIRReport) fhirDiagnosticReport {
	f := b.a.Finding
	r := fhirDiagnosticReport{
		ResourceType: "DiagnosticReport", Status: "preliminary",
		Identifier: []fhirIdentifier{
			{System: systemStudy, Value: f.StudyInstanceUID},
			{System: systemFinding, Value: f.ID},
		},
		Category: []fhirConcept{codeOf("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")},
		Code:     ownConcept("brain_triage", "Triage of brain MRI"), Subject: b.subject(), EffectiveDateTime: b.day(), Issued: b.issued(),
		Result: results, ImagingStudy: []fhirReference{b.imagingStudy()},
		Conclusion: strings.TrimSuffix(words(f.Disposition)+": "+b.a.reason(), ": ") + ". " + ResearchUse,
		ConclusionCode: []fhirConcept{
			ownConcept(string(f.Disposition), words(f.Disposition)),
		},
	}
	if former.ID != "" || f.Replaces != "" {
		r.Status = "amended"
	}
	if number := b.a.accession(); number != "" && b.AccessionSystem != "" {
		acsn := codeOf("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN", "Accession ID")
		r.BasedOn = []fhirReference{{
			Type: "ServiceRequest", Identifier: &fhirIdentifier{Type: &acsn, System: b.AccessionSystem, Value: number},
		}}
	}
	return r
}

func (b *fhirMaker) flag(device fhirReference) fhirFlag {
	subject := b.subject()
	if subject == nil {
		subject = &fhirReference{Display: "patient of study " + b.a.Finding.StudyInstanceUID} // 1..1
	}
	return fhirFlag{
		ResourceType: "Flag", Identifier: []fhirIdentifier{{System: systemStudy, Value: b.a.Finding.StudyInstanceUID}}, Status: "active",
		Category: []fhirConcept{codeOf("http://terminology.hl7.org/CodeSystem/flag-category", "clinical", "Clinical")},
		Code:     ownConcept(string(neurotriage.GliomaReview), words(neurotriage.GliomaReview)), Subject: *subject,
		Period: fhirPeriod{Start: b.issued()}, Author: &device,
	}
}

// subject refers to the patient, or is nil where nobody is named.
func (b *fhirMaker) subject() *fhirReference {
	id := b.a.Study.Patient.ID
	if id == "" || b.PatientSystem == "" {
		return nil
	}
	if b.FindPatient {
		return &fhirReference{Reference: "Patient?" + identifierQuery(fhirIdentifier{System: b.PatientSystem, Value: id})}
	}
	return &fhirReference{Type: "Patient", Identifier: &fhirIdentifier{System: b.PatientSystem, Value: id}}
}

// imagingStudy is a logical reference: the server may know the study or not.
func (b *fhirMaker) imagingStudy() fhirReference {
	return fhirReference{Type: "ImagingStudy", Identifier: &fhirIdentifier{System: systemUID, Value: "urn:oid:" + b.a.Finding.StudyInstanceUID}}
}

// day is the study's date; its time would need an offset, which most studies do
// not say.
func (b *fhirMaker) day() string {
	day, err := time.Parse("20060102", hl7Time(b.a.Study.Date, ""))
	if err != nil {
		return ""
	}
	return day.Format(time.DateOnly)
}

// issued is an instant (R4 2.24.0.1).
func (b *fhirMaker) issued() string { return b.a.Finding.Finished.UTC().Format(time.RFC3339Nano) }
