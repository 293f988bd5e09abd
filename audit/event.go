package audit

import "time"

// Kind is what happened, in the terms of PS3.15 A.5.3.
type Kind string

// The kinds of event.
const (
	Start      Kind = "start"      // Application Activity: the daemon started
	Stop       Kind = "stop"       // Application Activity: it stopped
	Received   Kind = "received"   // DICOM Instances Transferred: instances came in
	Sent       Kind = "sent"       // DICOM Instances Transferred: instances went out
	Read       Kind = "read"       // DICOM Instances Accessed: a study was read by the model or seen by a person
	Changed    Kind = "changed"    // DICOM Instances Accessed: a person said something of a study
	Export     Kind = "export"     // Export: results went to a system outside DICOM
	Query      Kind = "query"      // Query: somebody listed what there is
	Refused    Kind = "refused"    // Security Alert: an association or a request was turned away
	Login      Kind = "login"      // User Authentication
	Logout     Kind = "logout"     // User Authentication
	Configured Kind = "configured" // Security Alert: a setting was changed while running
)

// Event is one thing to be written. Kind is required; what is empty is left out
// where the standard lets it be.
type Event struct {
	Kind    Kind
	Failed  bool   // it was tried and did not succeed
	Detail  string // in words: why it failed, what was changed
	Time    time.Time
	User    string // who asked: a person's login, an AE title; empty: this process
	Peer    string // the other side: AE title, host or URL
	Address string // its network address, as host, host:port or URL; the user's where there is no peer
	Studies []Study
}

// Study is what an event was about.
type Study struct {
	UID             string
	PatientID       string
	AccessionNumber string
	SOPClasses      map[string]int // SOP class UID to number of instances
}
