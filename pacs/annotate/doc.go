// Package annotate takes findings to what orders the reading room's work: a
// receiver of HL7 messages, a FHIR server, a DICOM worklist by UPS-RS, and
// Orthanc's own labels and metadata. Each is a [pacs.Destination]; what a message
// says is made elsewhere and handed in, save for DICOM's workitem and Orthanc's
// words, which are no documents.
//
// Promises: the same parcel sent again leaves the receiver as it was, because
// whatever names it (control id, identifier, UID, label) follows from the
// finding. A superseded finding is not shown. A priority or label that is there
// is raised and never lowered. Errors name no patient, also where the receiver's
// words do.
package annotate
