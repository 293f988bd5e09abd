// Package alert is the bell: it tells people by webhook, mail and chat that a
// study was flagged, that a reading changed, or that a study waits too long.
//
// A [Bell] rings one destination. Its caller hands it one alert after another
// from a feed that remembers what is not yet done; the bell answers nil when it is
// done with an alert and an *[Again] when it wants to see it again later. So what
// waits for the end of quiet hours, for its turn or for its escalation waits in
// the feed, outlives the daemon, and is held by one daemon at a time.
//
// Promises: an alert is sent at least once or ended by a person, never dropped.
// One that is sent again has the same key. What was held back goes out in one
// message with whatever waits beside it. An alert about a flagged study passes
// quiet hours, unless the configuration says otherwise. No message names the
// patient, unless the configuration says so. Once somebody has acknowledged the
// finding or judged it, nothing more is sent about it.
package alert
