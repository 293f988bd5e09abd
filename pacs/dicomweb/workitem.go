package dicomweb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrExists is the error for a work item that is there already.
var ErrExists = errors.New("the work item exists")

// CreateWorkitem makes a work item under the UID (UPS-RS, PS3.18 11.4). One that
// exists is an error that wraps ErrExists.
func (c *Client) CreateWorkitem(ctx context.Context, uid string, item Dataset) error {
	// PS3.18 11.4.1 names the UID as the parameter itself; a query library would
	// write an equals sign after it, which archives were seen to refuse.
	target := c.at(nil, "workitems")
	target.RawQuery = url.QueryEscape(uid)
	err := c.put(ctx, http.MethodPost, target, []Dataset{item})
	return exists(err)
}

// UpdateWorkitem changes attributes of a work item (PS3.18 11.6). transaction is
// that of its claim; empty while it is scheduled.
func (c *Client) UpdateWorkitem(ctx context.Context, uid, transaction string, changes Dataset) error {
	query := url.Values{}
	if transaction != "" {
		query.Set("transaction-uid", transaction)
	}
	return c.put(ctx, http.MethodPost, c.at(query, "workitems", uid), []Dataset{changes})
}

// Workitem gives a work item (PS3.18 11.5).
func (c *Client) Workitem(ctx context.Context, uid string) (Dataset, error) {
	response, err := c.do(ctx, call{method: http.MethodGet, url: c.at(nil, "workitems", uid), header: http.Header{"Accept": {typeJSON}}})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := whole(response.Body)
	if err != nil {
		return nil, err
	}
	return parseDataset(text)
}

// put sends data sets as JSON and expects no more than a yes.
func (c *Client) put(ctx context.Context, method string, target *url.URL, content []Dataset) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("writing DICOM JSON: %w", err)
	}
	response, err := c.do(ctx, call{
		method: method, url: target, length: int64(len(text)),
		header: http.Header{"Content-Type": {typeJSON}, "Accept": {typeJSON}},
		body:   func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
	})
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func exists(err error) error {
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusConflict {
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	return err
}
