//go:build !race

package dicomio_test

const underRace = false
