// Package neurotriage is the vocabulary of the triage daemon: the values that
// travel from a study's announcement to its finding, and the one error that no
// retry can cure. It imports the standard library only, and every room of the
// house imports it.
//
// The data's walk: a [Job] arrives; its study is opened as a [Study] whose
// [Series] are eligible or say why not; each [Slice] is read in modality units;
// a [Model] turns slices into a [Reading], whose [Finding] leaves the house.
// What cannot be read leaves as a [Refusal].
//
// Values, not handles: nothing here holds a connection, a file, a logger, a
// context or a lock. JSON names are fixed by docs/schemas and by goldens.
//
// The package exports more names than the house's limit of twenty because it is
// the one place where names are shared; a second vocabulary would be worse.
//
// neurotriage is research software. A finding orders a worklist; it is not a
// diagnosis.
package neurotriage
