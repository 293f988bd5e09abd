// Package evaluation measures a classifier on folders of labelled pictures: one
// file is one slice, the largest probability is the answer, nothing is pooled.
//
// The figures are those of scikit-learn's classification_report and
// confusion_matrix with all labels named and zero_division=0 (testdata holds
// its answers), so papers and scripts that use those can be compared directly.
// What the model does not answer is never dropped silently: it is counted
// beside the figures, with its reason.
package evaluation
