// Package kit holds the tools of tests: a writer of DICOM studies and a golden
// file comparison. It imports the vocabulary and dicomio only, and tests that
// use it are external. Everything it writes is deterministic.
package kit
