package dicomweb

import (
	"context"
	"net/http"
	"net/url"
)

// Search asks for studies, series or instances (PS3.18 10.6): path is "studies",
// or "studies", UID, "series" and so on. The archive decides how many it gives
// at once; query holds limit and offset for more.
func (c *Client) Search(ctx context.Context, query url.Values, path ...string) ([]Dataset, error) {
	response, err := c.do(ctx, call{method: http.MethodGet, url: c.at(query, path...), header: http.Header{"Accept": {typeJSON}}})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return nil, nil
	}
	text, err := whole(response.Body)
	if err != nil {
		return nil, err
	}
	return parseDatasets(text)
}

// Well asks the archive for as little as possible. An answer that only means no
// to this question counts as well; trouble, a refused login and silence do not.
func (c *Client) Well(ctx context.Context) error {
	response, err := c.once(ctx, call{
		method: http.MethodGet, url: c.at(url.Values{"limit": {"1"}}, "studies"), header: http.Header{"Accept": {typeJSON}},
		fine: func(status int) bool {
			return status < 500 && status != http.StatusUnauthorized && status != http.StatusForbidden &&
				status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
		},
	})
	if err != nil {
		return err
	}
	return response.Body.Close()
}
