package dicomweb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
)

// Tags of a store's answer (PS3.18 I.2).
const (
	tagSOPClass      = "00081150" // Referenced SOP Class UID
	tagSOPInstance   = "00081155" // Referenced SOP Instance UID
	tagRetrieveURL   = "00081190"
	tagWarningReason = "00081196"
	tagFailureReason = "00081197"
	tagFailedSOPs    = "00081198"
	tagStoredSOPs    = "00081199"
)

// Outgoing is one Part 10 file to be stored.
type Outgoing struct {
	SOPInstanceUID string
	Size           int64 // in bytes, exactly
	Open           func() (io.ReadCloser, error)
}

// Unstored is an instance that an archive did not take. Reason is that of PS3.18
// I.2.2 and PS3.4 B.2.3.
type Unstored struct {
	SOPInstanceUID string
	Reason         uint16
}

// StoreError names the instances that an archive did not take.
type StoreError struct{ Failed []Unstored }

func (e *StoreError) Error() string {
	first := e.Failed[0]
	return fmt.Sprintf("the archive did not store %d objects; of %s it says %04Xh (%s)",
		len(e.Failed), first.SOPInstanceUID, first.Reason, reasonText(first.Reason))
}

// Full tells an archive that has no room, which may pass, from one that does not
// want the objects.
func (e *StoreError) Full() bool {
	return slices.ContainsFunc(e.Failed, func(u Unstored) bool { return u.Reason>>8 == 0xA7 })
}

// alreadyThere is the reason of an archive that has the instance (PS3.4 B.2.3).
const alreadyThere = 0x0111

func reasonText(reason uint16) string {
	switch {
	case reason>>8 == 0xA7:
		return "out of resources"
	case reason>>8 == 0xA9:
		return "the object does not match its class"
	case reason>>12 == 0xC:
		return "not understood"
	case reason == 0x0122:
		return "class not supported"
	case reason == 0x0124:
		return "not authorised"
	case reason == 0x0110:
		return "processing failure"
	}
	return "unknown reason"
}

// Store stores the files in the archive (PS3.18 10.5), all in one transfer, each
// streamed. It may be repeated: what the archive has already counts as stored.
// Instances that it did not take are a *StoreError.
func (c *Client) Store(ctx context.Context, files []Outgoing) error {
	boundary := multipart.NewWriter(io.Discard).Boundary()
	length, err := lengthOf(files, boundary)
	if err != nil {
		return err
	}
	response, err := c.do(ctx, call{
		method: http.MethodPost, url: c.at(nil, "studies"), length: length,
		header: http.Header{"Content-Type": {typeRelated + `; type="` + typeDICOM + `"; boundary=` + boundary}, "Accept": {typeJSON}},
		body:   func() (io.ReadCloser, error) { return streamed(files, boundary), nil },
		// 202: some with warnings or failures; 409: all failed. Both say which.
		fine: func(status int) bool { return status >= 200 && status < 300 || status == http.StatusConflict },
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return stored(response)
}

// stored reads an archive's answer. Success without a word is success.
func stored(response *http.Response) error {
	text, err := whole(response.Body)
	if err != nil && response.StatusCode != http.StatusConflict {
		return err
	}
	answer, err := parseDataset(text)
	var failed []Unstored
	for _, item := range answer.Items(tagFailedSOPs) {
		reason, _ := item.Number(tagFailureReason)
		if reason != alreadyThere {
			failed = append(failed, Unstored{item.Text(tagSOPInstance), uint16(reason)}) //nolint:gosec // US is 16 bits wide
		}
	}
	switch {
	case len(failed) > 0:
		return &StoreError{failed}
	case response.StatusCode == http.StatusConflict && (err != nil || len(answer.Items(tagFailedSOPs)) == 0):
		return &StatusError{Method: response.Request.Method, URL: bare(response.Request.URL), Status: response.StatusCode}
	}
	return nil
}

func partHeader() textproto.MIMEHeader { return textproto.MIMEHeader{"Content-Type": {typeDICOM}} }

// lengthOf is the length of the body, which spares archives that do not like
// bodies of unknown length.
func lengthOf(files []Outgoing, boundary string) (int64, error) {
	var frame counter
	err := frameParts(&frame, files, boundary, func(io.Writer, Outgoing) error { return nil })
	for _, file := range files {
		frame += counter(file.Size)
	}
	return int64(frame), err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// frameParts writes the multipart body around what fill writes.
func frameParts(w io.Writer, files []Outgoing, boundary string, fill func(io.Writer, Outgoing) error) error {
	writer := multipart.NewWriter(w)
	if err := writer.SetBoundary(boundary); err != nil {
		return err
	}
	for _, file := range files {
		part, err := writer.CreatePart(partHeader())
		if err != nil {
			return err
		}
		if err := fill(part, file); err != nil {
			return err
		}
	}
	return writer.Close()
}

// streamed gives the body while it is written.
func streamed(files []Outgoing, boundary string) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(frameParts(writer, files, boundary, copyFile))
	}()
	return reader
}

func copyFile(w io.Writer, file Outgoing) error {
	content, err := file.Open()
	if err != nil {
		return fmt.Errorf("%w: object %s: %w", errBody, file.SOPInstanceUID, err)
	}
	defer content.Close()
	switch n, err := io.Copy(w, content); {
	case err != nil:
		return fmt.Errorf("sending object %s: %w", file.SOPInstanceUID, err)
	case n != file.Size:
		return errors.Join(errBody, fmt.Errorf("object %s has %d bytes and was said to have %d", file.SOPInstanceUID, n, file.Size))
	}
	return nil
}
