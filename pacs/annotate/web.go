package annotate

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"neurotriage"
)

// Web says where a service is and how to prove oneself to it.
type Web struct {
	Base                  string        // such as https://fhir.example.org/r4
	Token, User, Password string        // a bearer token, else user and password, if set
	TLS                   *tls.Config   // authorities and client certificate; nil: the system's and none
	Timeout               time.Duration // of one request; default 30 s
}

// web speaks to one service. It follows no redirect, which could carry
// credentials and patients elsewhere, and uses no proxy of the environment.
type web struct {
	opts Web
	http *http.Client
}

func newWeb(opts Web) (*web, error) {
	base, err := url.Parse(opts.Base)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("the address of a service is an http or https URL without user and query, such as https://fhir.example.org/r4")
	}
	opts.Base = strings.TrimSuffix(opts.Base, "/")
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if opts.TLS != nil {
		secure = opts.TLS.Clone()
		secure.MinVersion = max(secure.MinVersion, tls.VersionTLS12)
	}
	return &web{opts: opts, http: &http.Client{
		Timeout:       opts.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
	}}, nil
}

// request is one call. Its body is small.
type request struct {
	method, path string // the path begins with a slash and may hold a query
	header       map[string]string
	body         []byte
}

// reply is what came back, with any status.
type reply struct {
	status int
	header http.Header
	body   []byte
}

const mostReply = 8 << 20 // bytes

// do makes the call. Its errors are outages; what the service says is judged by
// the caller, with fault for what it does not know.
func (w *web) do(ctx context.Context, r request) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, w.opts.Base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("User-Agent", "neurotriage")
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	switch {
	case w.opts.Token != "":
		req.Header.Set("Authorization", "Bearer "+w.opts.Token)
	case w.opts.User != "":
		req.SetBasicAuth(w.opts.User, w.opts.Password)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // its URL may hold an identifier
		}
		return reply{}, fmt.Errorf("%s: %w: %w", w.at(r), neurotriage.ErrSurroundings, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostReply+1))
	if err == nil && len(body) > mostReply {
		err = fmt.Errorf("the answer has more than %d bytes", mostReply)
	}
	if err != nil {
		return reply{}, fmt.Errorf("%s: %w: %w", w.at(r), neurotriage.ErrSurroundings, err)
	}
	return reply{resp.StatusCode, resp.Header, body}, nil
}

// at names a call without its query.
func (w *web) at(r request) string {
	path, _, _ := strings.Cut(r.path, "?")
	return r.method + " " + w.opts.Base + path
}

// fault makes an error of an answer that was not hoped for. Where no parcel
// would get through it is an outage.
func (w *web) fault(r request, got reply, words string) error {
	outage, cure := false, ""
	switch got.status {
	case http.StatusUnauthorized:
		outage, cure = true, "check the token, or user and password, configured for it"
	case http.StatusForbidden:
		outage, cure = true, "grant the configured login the right to this"
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		outage = true
	}
	if got.status >= 300 && got.status < 400 {
		outage, cure = true, "configure the address that it redirects to"
	}
	text := fmt.Sprintf("%s is answered %d %s", w.at(r), got.status, http.StatusText(got.status))
	for _, more := range []string{words, cure} {
		if more != "" {
			text += "; " + more
		}
	}
	if outage {
		return fmt.Errorf("%w: %s", neurotriage.ErrSurroundings, text)
	}
	return errors.New(text)
}

func (r reply) fine() bool { return r.status >= 200 && r.status < 300 }
