// Command conformance writes docs/CONFORMANCE.md from the tables of the code, so
// that the page says what is done and not what was once meant. A test fails when
// the committed page is out of date.
//
// Run it from anywhere in the repository: go run ./docs/conformance
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"neurotriage/dicomio"
)

//go:generate go run .

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run() error {
	path, err := target()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(page()), 0o644); err != nil { //nolint:gosec // documentation, for everybody
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// target is the page's path below the folder of go.mod above the working one.
func target() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for folder != filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return filepath.Join(folder, "docs", "CONFORMANCE.md"), nil
		}
		folder = filepath.Dir(folder)
	}
	return "", fmt.Errorf("find the repository: no go.mod above %s", folder)
}

// page is the whole text.
func page() string {
	var out strings.Builder
	limits := dicomio.DefaultLimits()
	out.WriteString(head)
	table(&out, "Storage SOP classes", "SOP class", dicomio.SOPClasses())
	out.WriteString("Any other SOP class is not eligible: \"SOP class … is no MR image\", or its modality's reason.\n\n")
	table(&out, "Transfer syntaxes", "transfer syntax", dicomio.TransferSyntaxes())
	out.WriteString(images)
	fmt.Fprintf(&out, `## Limits

Beyond these a study is refused as too_large.

| what | default |
|---|---|
| bytes of one file, and of what one deflated data set inflates to | %d |
| bytes of all files of a study | %d |
| files in one place | %d |
| pixels of a frame | %d |
| frames of one object | %d |
| frames of all multi-frame objects of a study | %d |
| bytes of the headers of one file | %d |
| an archive beyond 64 MiB inflates at most | %d times |
`, limits.FileBytes, limits.StudyBytes, limits.Files, limits.FramePixels, limits.Frames, limits.StudyFrames, limits.HeaderBytes, limits.ZipRatio)
	receiver(&out)
	out.WriteString(web)
	return out.String()
}

// table writes one table of what is supported.
func table(out *strings.Builder, title, of string, rows []dicomio.Support) {
	fmt.Fprintf(out, "## %s\n\n| %s | UID | read | what happens |\n|---|---|---|---|\n", title, of)
	for _, row := range rows {
		read := "no"
		if row.Read {
			read = "yes"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", row.Name, row.UID, read, row.What)
	}
	out.WriteString("\n")
}

const head = `# DICOM conformance: what is read

This page is generated from the code by ` + "`go run ./docs/conformance`" + `. It concerns objects read from folders, archives and peers.
Every object is looked at; those that no model may read make their series not eligible, with the reason in the finding.

`

const images = `Any other transfer syntax is refused as unsupported_transfer_syntax when a series in it is eligible; its headers are read all the same.
Frames are found by the basic or the extended offset table, or by how their codestreams begin where tables are empty or wrong.

## Images

| what | read | otherwise |
|---|---|---|
| samples per pixel | 1 | RGB, YBR and other colour images are not eligible |
| photometric interpretation | MONOCHROME2; MONOCHROME1, mirrored about its range | PALETTE COLOR and others are not eligible |
| bits allocated | 8, 16, 32 (8 and 16 where compressed with JPEG, JPEG-LS, JPEG 2000) | unsupported_image |
| bits stored, high bit | any that fit; missing bits stored are those allocated, a high bit below them is raised; bits around them (overlays) are cut off | corrupt_dicom |
| pixel representation | unsigned, signed | |
| precision of a codestream | at most the bits allocated; up to the bits stored its samples go below the high bit, above them it has the stored words | more than allocated: corrupt_dicom |
| JPEG | baseline, extended and lossless, Huffman coded | progressive, hierarchical, arithmetic: unsupported_image |
| JPEG 2000, high throughput included | any tiles, progressions, precincts, layers, packed headers and passes | over 30 bit planes, both kinds of code-block in one codestream, more work than the pixels explain: unsupported_image |
| length of pixel data | odd, and with bytes behind the last frame | too short: corrupt_dicom |
| rescale slope and intercept | see Units | NaN or a slope of 0: corrupt_dicom |
| modality lookup table | no | unsupported_image |
| float and double float pixel data | no | not eligible: computed values |
| window, presentation, overlay planes | not used | |
| pixel padding value and range | becomes the smallest value of a real pixel | |
| mosaics (Siemens: Image Type, the private count of slices, the CSA header; XA: the private image type of a frame) | no | not eligible |

## Frames and stacks

| what | what happens |
|---|---|
| places, spacing, rescale, timing, frame type, contrast agent, anatomy | from per-frame, else shared functional groups, else the data set (PS3.3 C.7.6.16); sequences of one item, also legacy converted |
| frames without functional groups | incomplete, never clears |
| order of slices | by place along the normal; then In-Stack Position Number, Dimension Index Values, instance and frame number |
| a place is missing in a stack | the stack is ordered by its numbers or indices, with or without a Dimension Index Sequence; incomplete, never clears |
| numbers in the stack contradict places | places are used, with a warning |
| several Stack IDs, echoes (by number, or by times more than 0.3 ms apart), points in time, orientations | each is a stack of its own, in order; they are laid behind one another; incomplete, never clears |
| frames in one place | told apart by further dimensions, as far as these make stacks; else doubled, incomplete |
| magnitude beside phase, real, imaginary, diffusion or projection frames | others are left out with a warning; Siemens XA's and GE's private image types count |
| concatenations (PS3.3 C.7.6.16.2.2.4) | parts are joined; a missing, doubled or misnumbered part: incomplete, with the reason. A missing last part shows only where In-concatenation Total Number is given |

## Units

Slices of a series come in units of one kind, and a model's preparation windows each slice by percentiles, so that a common factor does
not matter. In this order:

1. Modality units: stored value × Rescale Slope + Rescale Intercept, of the frame's group or the data set. Where they are absent, Philips'
   copy of them in (2005,xx0A) and (2005,xx09) of "Philips MR Imaging DD 005" stands in.
2. The values that a Philips scanner computed, (stored − SI) ÷ SS by (2005,xx0D) and (2005,xx0E) of "Philips MR Imaging DD 001", where every
   image of the series has them and one lacks a rescale, or where rescale shows them by a scale that differs between images (Philips scales
   slices and points in time each for itself, and archives may overwrite the rescale).
3. Real world values (PS3.3 C.7.6.16.2.11), linear and in one unit, where an image has no rescale and every image has them.
4. Else modality units, with stored values where no rescale stands, and a warning when only some images have one.

Private elements are found by their creator in any block from 10 to 1F, also in implicit files, and in the private sequences
(2005,xx0F) and (0021,xxFE) of functional groups, with or without a VR (not in explicit big endian where the VR is UN).

## Files

| what | what happens |
|---|---|
| no preamble, no file meta, any name | read |
| standard elements with VR UN | read by the dictionary's VR (not in explicit big endian) |
| DICOMDIR and other objects without a study | counted as skipped |
| zip archives | read; archives within them are not opened |
| a file that grows, or is cut and was written less than 3 s ago | waited for until its size rests for 0.5 s, at most 10 s, and one minute for all files of a place; then read as it is: what it lacks is refused as corrupt_dicom. An archive without an end likewise |
| several files of one SOP instance | identical, or the same object in two transfer syntaxes: one is used, with a warning; else inconsistent_study |
| character sets | all of PS3.3 C.12.1.1.2; unknown ones never fail |

`
