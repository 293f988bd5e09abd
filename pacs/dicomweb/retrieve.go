package dicomweb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Types of bodies (PS3.18 8.7).
const (
	typeDICOM   = "application/dicom"
	typeJSON    = "application/dicom+json"
	typeRelated = "multipart/related"
)

// Retrieve streams the instances of a study, or of one of its series, as Part 10
// files in the transfer syntaxes in which the archive keeps them (PS3.18 10.4).
// A part is read before the next one is asked for. An error ends the iteration;
// one that a part's reader gives is that of the network or an ErrBroken.
func (c *Client) Retrieve(ctx context.Context, study, series string) iter.Seq2[io.Reader, error] {
	return func(yield func(io.Reader, error) bool) {
		response, err := c.retrieve(ctx, study, series)
		if err != nil {
			yield(nil, err)
			return
		}
		defer response.Body.Close()
		if response.StatusCode == http.StatusNoContent {
			return
		}
		for part, err := range parts(response) {
			if !yield(part, err) || err != nil {
				return
			}
		}
	}
}

func (c *Client) retrieve(ctx context.Context, study, series string) (*http.Response, error) {
	path := []string{"studies", study}
	if series != "" {
		path = append(path, "series", series)
	}
	ask := func(accept string) (*http.Response, error) {
		return c.do(ctx, call{method: http.MethodGet, url: c.at(nil, path...), header: http.Header{"Accept": {accept}}})
	}
	// As stored, since converting costs the archive time and may lose what we read.
	response, err := ask(typeRelated + `; type="` + typeDICOM + `"; transfer-syntax=*`)
	if status, ok := errors.AsType[*StatusError](err); ok && (status.Status == http.StatusNotAcceptable || status.Status == http.StatusBadRequest) {
		response, err = ask(typeRelated + `; type="` + typeDICOM + `"`) // older archives do not know the asterisk
	}
	return response, err
}

// parts takes an answer apart: that of the standard, or the single object that
// some archives send when there is only one.
func parts(response *http.Response) iter.Seq2[io.Reader, error] {
	return func(yield func(io.Reader, error) bool) {
		kind, params, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
		switch {
		case err == nil && kind == typeDICOM:
			yield(&partReader{response.Body}, nil)
			return
		case err != nil || kind != typeRelated || params["boundary"] == "":
			yield(nil, fmt.Errorf("%w: the archive sends %q where %s was asked for", ErrBroken, kind, typeRelated))
			return
		}
		reader := multipart.NewReader(response.Body, params["boundary"])
		for {
			part, err := reader.NextRawPart()
			if err == io.EOF { // the end; one inside another error is a body cut off
				return
			}
			if err != nil {
				yield(nil, brokenBy(err))
				return
			}
			if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind != "" && kind != typeDICOM {
				yield(nil, fmt.Errorf("%w: the archive sends a part of type %q where %s was asked for", ErrBroken, kind, typeDICOM))
				return
			}
			if !yield(&partReader{part}, nil) {
				return
			}
		}
	}
}

// partReader tells a transfer that broke off from a receiver's trouble.
type partReader struct{ body io.Reader }

func (p *partReader) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	if err != nil && err != io.EOF { //nolint:errorlint // see parts
		err = brokenBy(err)
	}
	return n, err
}

func brokenBy(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: the transfer of the objects broke off: %w", ErrBroken, err)
}

// Place takes a location's URL apart: the root of the service, which may stand
// alone or be followed by studies/{study}, and perhaps series/{series} (PS3.18
// 10.1). study and series are empty where the URL does not name them.
func Place(raw string) (root, study, series string, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", "", errors.New("allowed is the address of a DICOMweb service or of a study in it, without query and fragment")
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	if at := slices.Index(path, "studies"); at >= 0 {
		switch rest := path[at:]; {
		case len(rest) == 1:
		case len(rest) == 2:
			study = rest[1]
		case len(rest) == 4 && rest[2] == "series":
			study, series = rest[1], rest[3]
		default:
			return "", "", "", errors.New("what follows studies in the url names neither a study nor a series of one")
		}
		path = path[:at]
	}
	u.Path = "/" + strings.Join(path, "/")
	return strings.TrimSuffix(u.String(), "/"), study, series, nil
}
