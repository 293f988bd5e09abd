// Package events is the post room: it takes announced studies from NATS
// JetStream and delivers findings, alerts, dead letters and the worklist's
// state. Names and rules are those of docs/EVENTS.md.
//
// Promises:
//
//   - An announcement is delivered at least once, and kept until a finding or a
//     dead letter is stored.
//   - A study's finding, its alert and its worklist entry are stored exactly once,
//     however often and by how many daemons the delivery is repeated: each is
//     published expecting nothing before it, and a repeat completes what is missing.
//   - An older run never overwrites a newer worklist entry.
//   - Only attempts that were the study's own fault, or that ended in a crash,
//     count towards gave_up.
//   - Streams and buckets that were not made by this package are never altered.
//   - No call waits for ever on a lost server: it ends with an error that wraps
//     [neurotriage.ErrSurroundings], and the connection heals on its own.
//
// DESIGN.md says how, and at what price.
package events
