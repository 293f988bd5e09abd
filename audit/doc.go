// Package audit is the log book: it writes what was received, read, sent, seen
// and refused as DICOM audit messages (PS3.15 A.5), to a file and, where one is
// configured, to an audit repository by syslog over TLS (RFC 5424, RFC 5425; the
// profile of PS3.15 A.6).
//
// Promises: [Log.Record] never blocks on the network and returns only after the
// message stands in the file; the messages of one process stand there in the
// order of their calls. A repository that is away misses nothing: it gets, from
// where it stopped, what the file holds, also after a restart. Syslog has no
// acknowledgement, so what was under way when a connection broke is sent again,
// and may come twice. A message names the patient by ID alone, and only where
// the caller gives it.
package audit
