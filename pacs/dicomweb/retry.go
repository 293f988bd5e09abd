package dicomweb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ErrBroken marks an answer that is not what the standard says, or that ended
// in its middle.
var ErrBroken = errors.New("broken answer")

// StatusError is an archive's answer that is none of those hoped for.
type StatusError struct {
	Method     string
	URL        string // without query
	Status     int
	RetryAfter time.Duration // as the archive asked; 0: it did not
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: the archive answers %d %s%s", e.Method, e.URL, e.Status, http.StatusText(e.Status), cure(e.Status))
}

func cure(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "; check the token, or user and password, configured for it"
	case status == http.StatusForbidden:
		return "; the configured login has no right to this: grant it in the archive"
	case status >= 300 && status < 400:
		return "; configure the address that it redirects to"
	}
	return ""
}

// Transient tells answers that may be over in a moment.
func (e *StatusError) Transient() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

const firstWait = 500 * time.Millisecond

// do makes the call until it is answered as hoped for, or until trying on is in
// vain. The caller closes the body, whose reading ends when nothing moves.
func (c *Client) do(ctx context.Context, call call) (*http.Response, error) {
	wait := firstWait
	for attempt := 1; ; attempt++ {
		response, err := c.once(ctx, call)
		if err == nil {
			return response, nil
		}
		pause, again := c.again(err, wait)
		if !again || attempt == c.opts.Attempts || ctx.Err() != nil {
			return nil, err
		}
		if err := c.sleep(ctx, pause); err != nil {
			return nil, err
		}
		wait = min(2*wait, c.opts.LongestWait)
	}
}

// again judges an error: whether another attempt may help, and not before when.
// Waits vary, so that clients that failed together do not come back together.
func (c *Client) again(err error, wait time.Duration) (time.Duration, bool) {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return max(status.RetryAfter, wait/2+rand.N(wait)), status.Transient() && status.RetryAfter <= c.opts.LongestWait
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	hopeless := certificate || authority || errors.Is(err, ErrNotAllowed) || errors.Is(err, ErrBroken) ||
		errors.Is(err, errBody) || errors.Is(err, context.Canceled)
	return wait/2 + rand.N(wait), !hopeless
}

// errBody marks trouble with what is to be sent.
var errBody = errors.New("opening what is to be sent")

func (c *Client) once(ctx context.Context, call call) (*http.Response, error) {
	ctx, watch := newWatch(ctx, c.opts.Still)
	response, err := c.send(ctx, call, watch)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		watch.stop()
		return nil, fmt.Errorf("%s %s: %w", call.method, bare(call.url), unwrapped(err))
	}
	if !call.accepted(response.StatusCode) {
		_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
		_ = response.Body.Close()
		watch.stop()
		return nil, &StatusError{call.method, bare(call.url), response.StatusCode, retryAfter(response.Header, time.Now())}
	}
	response.Body = &received{ReadCloser: response.Body, watch: watch, ctx: ctx}
	return response, nil
}

func (c *Client) send(ctx context.Context, call call, watch *watch) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, call.method, call.url.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header = call.header.Clone()
	request.Header.Set("User-Agent", "neurotriage")
	if call.body != nil {
		body, err := call.body()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBody, err)
		}
		request.Body, request.ContentLength = &sent{ReadCloser: body, watch: watch}, call.length
	}
	return c.http.Do(request)
}

// unwrapped takes the URL, which may hold a query, out of an error of net/http.
func unwrapped(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

// bare is a URL without what may be secret or a patient's.
func bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// retryAfter reads seconds or a date (RFC 9110 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 && seconds < 1<<30 {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
