// Package report is the writing desk: it puts a reading on paper, as key images
// (PNG), as JSON, as DICOM objects for the archive ([Objects]), and as HL7 and
// FHIR messages.
//
// Promises: a key image shows isotropic pixels (a round head stays round), the
// window that the model saw, and says on its face which label, probability and
// model it shows and that it is for research only. Neither a key image nor a
// written reading names the patient; objects and messages do. Nothing is coded
// as a finding that is not suspected, and nothing as normal. The same reading
// gives the same bytes.
package report
