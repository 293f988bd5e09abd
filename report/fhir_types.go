package report

// The part of FHIR R4 (4.0.1) that a finding needs, in the order in which the
// specification lists the elements. No kept Go library of FHIR's models was found
// (docs/decisions); these are few enough to be read beside the specification.

type fhirBundle struct {
	ResourceType string      `json:"resourceType"`
	Type         string      `json:"type"`
	Entry        []fhirEntry `json:"entry"`
}

type fhirEntry struct {
	FullURL  string      `json:"fullUrl"`
	Resource any         `json:"resource"`
	Request  fhirRequest `json:"request"`
}

type fhirRequest struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfMatch     string `json:"ifMatch,omitempty"`
	IfNoneExist string `json:"ifNoneExist,omitempty"`
}

type fhirIdentifier struct {
	Type   *fhirConcept `json:"type,omitempty"`
	System string       `json:"system,omitempty"`
	Value  string       `json:"value,omitempty"`
}

type fhirCoding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type fhirConcept struct {
	Coding []fhirCoding `json:"coding,omitempty"`
	Text   string       `json:"text,omitempty"`
}

type fhirReference struct {
	Reference  string          `json:"reference,omitempty"`
	Type       string          `json:"type,omitempty"`
	Identifier *fhirIdentifier `json:"identifier,omitempty"`
	Display    string          `json:"display,omitempty"`
}

type fhirAnnotation struct {
	Text string `json:"text"`
}

type fhirQuantity struct {
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	System string  `json:"system,omitempty"`
	Code   string  `json:"code,omitempty"`
}

type fhirRange struct {
	High *fhirQuantity `json:"high,omitempty"`
	Text string        `json:"text,omitempty"`
}

type fhirDevice struct {
	ResourceType string           `json:"resourceType"`
	Identifier   []fhirIdentifier `json:"identifier"`
	Status       string           `json:"status"`
	Manufacturer string           `json:"manufacturer"`
	DeviceName   []fhirDeviceName `json:"deviceName"`
	ModelNumber  string           `json:"modelNumber,omitempty"`
	Type         fhirConcept      `json:"type"`
	Version      []fhirVersion    `json:"version,omitempty"`
	Note         []fhirAnnotation `json:"note,omitempty"`
}

type fhirDeviceName struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type fhirVersion struct {
	Value string `json:"value"`
}

type fhirObservation struct {
	ResourceType         string           `json:"resourceType"`
	Identifier           []fhirIdentifier `json:"identifier"`
	PartOf               []fhirReference  `json:"partOf,omitempty"`
	Status               string           `json:"status"`
	Category             []fhirConcept    `json:"category"`
	Code                 fhirConcept      `json:"code"`
	Subject              *fhirReference   `json:"subject,omitempty"`
	EffectiveDateTime    string           `json:"effectiveDateTime,omitempty"`
	Issued               string           `json:"issued"`
	ValueQuantity        *fhirQuantity    `json:"valueQuantity,omitempty"`
	ValueCodeableConcept *fhirConcept     `json:"valueCodeableConcept,omitempty"`
	DataAbsentReason     *fhirConcept     `json:"dataAbsentReason,omitempty"`
	Interpretation       []fhirConcept    `json:"interpretation,omitempty"`
	Note                 []fhirAnnotation `json:"note,omitempty"`
	Device               *fhirReference   `json:"device,omitempty"`
	ReferenceRange       []fhirRange      `json:"referenceRange,omitempty"`
	Component            []fhirComponent  `json:"component,omitempty"`
}

type fhirComponent struct {
	Code          fhirConcept   `json:"code"`
	ValueQuantity *fhirQuantity `json:"valueQuantity,omitempty"`
}

type fhirDiagnosticReport struct {
	ResourceType      string           `json:"resourceType"`
	Identifier        []fhirIdentifier `json:"identifier"`
	BasedOn           []fhirReference  `json:"basedOn,omitempty"`
	Status            string           `json:"status"`
	Category          []fhirConcept    `json:"category"`
	Code              fhirConcept      `json:"code"`
	Subject           *fhirReference   `json:"subject,omitempty"`
	EffectiveDateTime string           `json:"effectiveDateTime,omitempty"`
	Issued            string           `json:"issued"`
	Result            []fhirReference  `json:"result"`
	ImagingStudy      []fhirReference  `json:"imagingStudy"`
	Conclusion        string           `json:"conclusion"`
	ConclusionCode    []fhirConcept    `json:"conclusionCode"`
}

type fhirFlag struct {
	ResourceType string           `json:"resourceType"`
	Identifier   []fhirIdentifier `json:"identifier"`
	Status       string           `json:"status"`
	Category     []fhirConcept    `json:"category"`
	Code         fhirConcept      `json:"code"`
	Subject      fhirReference    `json:"subject"`
	Period       fhirPeriod       `json:"period"`
	Author       *fhirReference   `json:"author,omitempty"`
}

type fhirPeriod struct {
	Start string `json:"start"`
}
