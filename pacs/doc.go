// Package pacs is the loading dock: it takes studies in from systems that speak
// DICOM, and brings findings out to them.
//
// In: a [Receiver] stands in front of a [Depot], which keeps objects until their
// study has been read and announces each study when it is complete; a [Watch] does
// the same for folders that others fill. Out: a [Courier] carries the findings of
// its feed to one [Destination].
//
// Promises: what [Depot.Store] has taken survives the end of the process at any
// instant; every study that came is announced, after each change; nothing is
// removed before it has been read; a destination that is away holds up no other.
// DESIGN.md tells how.
//
// The package exports more names than the house's limit of twenty: it has two
// directions, whose parts the daemon wires one by one.
package pacs
