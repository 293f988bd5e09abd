// Package worklist is the notice board: the web page that radiologists look at.
//
// It shows what a [Store] holds and keeps nothing itself, so that two daemons
// show the same list and a restarted one shows it at once. Pages are whole
// without script; script only renews the list when something changes. Nothing
// is loaded from another host, and every text that came out of a DICOM file is
// escaped by html/template.
//
// Studies that were refused or could not be assessed are shown as NOT READ and
// stand above those that were read and not flagged: nobody must take silence
// for a clear result.
package worklist
