// Package pacs is the loading dock: studies come in from systems that speak
// DICOM, and findings go out to archives and worklists.
//
// In: a [Receiver] takes objects by C-STORE, a [Depot] keeps them and announces a
// study once it is complete, a [Watch] does so for folders that others fill.
// What was answered with success is on the disk; what is not read is not removed.
//
// Out: a [Courier] brings the findings of one feed to one [Destination]. Each has
// its own, so that one that is dead holds up no other; what it could not deliver
// waits, and what is delivered twice leaves the receiver as it was. [CStore] and
// [STOW] carry DICOM objects, pacs/annotate messages and labels.
//
// DESIGN.md tells the walk of an image in, that of a finding out, and which test
// holds each promise.
package pacs
