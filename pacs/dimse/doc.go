// Package dimse speaks DICOM over a network in both roles: the upper layer of
// PS3.8 and the message services of PS3.7 that storage needs.
//
// A [Server] answers C-ECHO and C-STORE and takes the results of storage
// commitment; everything else is refused in the standard's words. A [Conn], made
// by [Dial], sends C-ECHO and C-STORE and asks for storage commitment.
//
// Promises:
//
//   - A dataset is never held in memory: it streams from the connection to the
//     callee and from the caller to the connection. An association costs a fixed
//     amount of memory whatever the peer sends.
//   - No length that a peer names is believed: memory grows with bytes that have
//     arrived, up to fixed limits.
//   - C-STORE is answered after [ServerOptions.Store] returned, never before.
//   - Every wait has an end: for the connection to become an association, for the
//     next message, for each PDU, for a whole message (a least rate), for each
//     write.
//   - [ServerOptions.Closed] comes once for each accepted association, after its
//     last Store returned.
//
// The package imports the standard library only and keeps no state of its own.
package dimse
