package dicomweb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Times of a client, unless the options say otherwise.
const (
	handshakeTime  = 10 * time.Second
	answerTime     = 2 * time.Minute // to the first byte; archives gather a study before
	stillTime      = time.Minute     // without a byte moving
	redirects      = 5
	mostOfAnAnswer = 32 << 20 // bytes of an answer that is read whole
)

// Options say where an archive is and how a client proves itself to it.
type Options struct {
	Root  string // of the service, such as https://pacs.example.org/dicom-web
	Guard *Guard // required
	// Token is a bearer token; else User and Password are shown, if set.
	Token, User, Password string
	TLS                   *tls.Config   // authorities and client certificate; nil: the system's and none
	Attempts              int           // of a call; default 4
	LongestWait           time.Duration // between two attempts; default 15 s
	Still                 time.Duration // without a byte moving, after which a transfer ends; default 1 min
}

// Client is the client of one archive. It may be used by several goroutines.
type Client struct {
	root  *url.URL
	opts  Options
	http  *http.Client
	sleep func(ctx context.Context, d time.Duration) error // test hook
}

// New makes a client and connects to nothing. It refuses a root that the guard
// does not allow.
func New(opts Options) (*Client, error) {
	root, err := url.Parse(strings.TrimSuffix(opts.Root, "/"))
	if err != nil || root.Host == "" || root.Scheme != "http" && root.Scheme != "https" || root.RawQuery != "" {
		return nil, errors.New("the root of a DICOMweb service is an http or https address such as https://pacs.example.org/dicom-web")
	}
	if opts.Guard == nil {
		return nil, errors.New("making a DICOMweb client: a guard is needed")
	}
	if err := opts.Guard.Check(root); err != nil {
		return nil, err
	}
	if opts.Attempts <= 0 {
		opts.Attempts = 4
	}
	if opts.LongestWait <= 0 {
		opts.LongestWait = 15 * time.Second
	}
	if opts.Still <= 0 {
		opts.Still = stillTime
	}
	c := &Client{root: root, opts: opts, sleep: sleep}
	c.http = &http.Client{CheckRedirect: c.redirected, Transport: &authorised{client: c, next: &http.Transport{
		Proxy:                 nil, // one from the environment would see everything and undo the guard
		DialContext:           opts.Guard.dial,
		TLSClientConfig:       secure(opts.TLS),
		TLSHandshakeTimeout:   handshakeTime,
		ResponseHeaderTimeout: answerTime,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
		// A compressed answer could hold a thousand times its limit.
		DisableCompression: true,
	}}}
	return c, nil
}

func secure(given *tls.Config) *tls.Config {
	if given == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	given = given.Clone()
	given.MinVersion = max(given.MinVersion, tls.VersionTLS12)
	return given
}

// Close drops connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// redirected follows reading requests to what the guard allows, and never from
// TLS to plain text. What writes is not repeated elsewhere.
func (c *Client) redirected(request *http.Request, before []*http.Request) error {
	last := before[len(before)-1]
	switch {
	case before[0].Method != http.MethodGet:
		return http.ErrUseLastResponse
	case len(before) > redirects:
		return fmt.Errorf("%w: more than %d redirects", ErrBroken, redirects)
	case last.URL.Scheme == "https" && request.URL.Scheme != "https":
		return fmt.Errorf("%s redirects to plain text: %w", last.URL.Host, ErrNotAllowed)
	}
	if err := c.opts.Guard.Check(request.URL); err != nil {
		return fmt.Errorf("%s redirects elsewhere: %w", last.URL.Host, err)
	}
	return nil
}

// authorised shows credentials to the archive's own origin and to no other.
type authorised struct {
	client *Client
	next   http.RoundTripper
}

func (a *authorised) RoundTrip(request *http.Request) (*http.Response, error) {
	if origin(request.URL) == origin(a.client.root) {
		request = request.Clone(request.Context())
		switch o := a.client.opts; {
		case o.Token != "":
			request.Header.Set("Authorization", "Bearer "+o.Token)
		case o.User != "":
			request.SetBasicAuth(o.User, o.Password)
		}
	}
	return a.next.RoundTrip(request)
}

func (a *authorised) CloseIdleConnections() {
	if closer, ok := a.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// at is the URL of a resource below the root. The parts are UIDs and words of
// the standard; anything else is escaped.
func (c *Client) at(query url.Values, parts ...string) *url.URL {
	u := c.root.JoinPath(escaped(parts)...)
	u.RawQuery = query.Encode()
	return u
}

func escaped(parts []string) []string {
	list := make([]string, len(parts))
	for i, part := range parts {
		list[i] = url.PathEscape(part)
	}
	return list
}

// call is one request that can be made again.
type call struct {
	method string
	url    *url.URL
	header http.Header
	body   func() (io.ReadCloser, error) // nil: none
	length int64                         // of the body; -1: not known
	fine   func(status int) bool         // nil: 2xx
}

func (c call) accepted(status int) bool {
	if c.fine != nil {
		return c.fine(status)
	}
	return status >= 200 && status < 300
}

// whole reads an answer that is known to be small.
func whole(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, mostOfAnAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: reading the answer: %w", ErrBroken, err)
	case len(data) > mostOfAnAnswer:
		return nil, fmt.Errorf("%w: the answer has more than %d bytes", ErrBroken, mostOfAnAnswer)
	}
	return data, nil
}
