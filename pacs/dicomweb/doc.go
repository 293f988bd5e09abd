// Package dicomweb speaks DICOM over HTTP (PS3.18): a client that searches
// (QIDO-RS), retrieves (WADO-RS), stores (STOW-RS) and keeps work items
// (UPS-RS), and a receiver that takes what others store.
//
// Promises of the client: it connects to no URL and to no address that its
// [Guard] does not allow, at every request, redirect and name look-up anew; it
// knows no proxy but a configured one; credentials go to the configured origin
// only; objects are streamed, never held in memory whole; a transfer that
// stands still ends; what may be over in a moment (429, 502, 503, 504, a broken
// connection) is tried again within bounds, no sooner than Retry-After says.
//
// Errors are an [ErrNotAllowed], a *[StatusError] with the archive's answer, an
// [ErrBroken] for an answer that is not what the standard says, or those of the
// network. Their texts hold addresses and UIDs, never what an archive wrote.
package dicomweb
