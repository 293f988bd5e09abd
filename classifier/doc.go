// Package classifier is the reading room: slices become tensors, tensors
// scores, scores a finding. It applies the model card's rules and nothing else,
// and knows the network only as a [Runner].
//
// Promises:
//   - The same slices in any order of arrival, with any number of workers, give
//     the same reading: results are placed by index and ties are broken by it.
//   - Pixels of at most KeySlices slices a tumour class outlive their scoring,
//     beside those that the workers hold.
//   - A slice that cannot be read never clears a study, and a score that is not
//     a finite number never becomes a finding.
//
// docs/RECIPE.md states how a slice becomes a tensor, DESIGN.md why.
package classifier
