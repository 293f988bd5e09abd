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
| samples per pixel | 1 | a colour image is not eligible |
| photometric interpretation | MONOCHROME1, MONOCHROME2 | not eligible |
| bits allocated | 8, 16, 32 (8 and 16 where compressed with JPEG, JPEG-LS, JPEG 2000) | unsupported_image |
| bits stored, high bit | any that fit | corrupt_dicom |
| pixel representation | unsigned, signed | |
| rescale slope and intercept | of the data set or of the frame's functional group; Philips' private scaling where there is none | NaN or a slope of 0: corrupt_dicom |
| modality lookup table, floating point pixels | no | unsupported_image |
| window, presentation, overlays | not used | |
| pixel padding value and range | becomes the smallest value of a real pixel | |
| number of frames above 1 | places from per-frame functional groups (PS3.3 C.7.6.16) | without them: incomplete, never clears |
| several stacks, echoes or points in time | laid behind one another | incomplete, never clears |

`
