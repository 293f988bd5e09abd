// Package report is the writing desk: it puts a reading on paper. So far it
// writes key images as PNG and the reading itself as JSON; structured reports
// and messages of other standards join it with their own work.
//
// Promises: a key image shows isotropic pixels (a round head stays round), the
// window that the model saw, and says on its face which label, probability and
// model it shows and that it is for research only. Neither a key image nor a
// written reading names the patient. The same reading gives the same bytes.
package report
