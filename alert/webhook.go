package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// WebhookOptions say where messages are posted.
type WebhookOptions struct {
	URL    string
	Secret string      // signs; whsec_ and base64 as Standard Webhooks writes it, or any text of 16 bytes or more
	Token  string      // bearer token, beside the signature; may be empty
	TLS    *tls.Config // nil: the system's authorities
}

// Webhook posts messages as JSON, signed after Standard Webhooks: the header
// webhook-signature holds "v1," and the base64 of HMAC-SHA256 over
// "<webhook-id>.<webhook-timestamp>.<body>". Receivers have libraries for it in
// many languages, which also refuse what is older than five minutes.
type Webhook struct {
	opts WebhookOptions
	key  []byte
	url  *url.URL
	http *http.Client
}

// SignatureWindow is how far a receiver lets the timestamp be off, so that a
// message that was overheard cannot be sent again later.
const SignatureWindow = 5 * time.Minute

const leastSecret = 16 // bytes

// NewWebhook makes a sender and connects to nothing.
func NewWebhook(opts WebhookOptions) (*Webhook, error) {
	address, err := url.Parse(opts.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("the address of a webhook is an http or https URL")
	}
	key, err := secretKey(opts.Secret)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if opts.TLS != nil {
		secure = opts.TLS
	}
	return &Webhook{opts: opts, key: key, url: address, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute},
	}}, nil
}

func secretKey(secret string) ([]byte, error) {
	key := []byte(secret)
	if coded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, errors.New("the secret of a webhook that begins with whsec_ goes on with base64")
		}
	}
	if len(key) < leastSecret {
		return nil, fmt.Errorf("the secret of a webhook has %d bytes; at least %d are needed (openssl rand -hex 32 makes one)", len(key), leastSecret)
	}
	return key, nil
}

// body is what is posted.
type body struct {
	Schema  string  `json:"schema"`
	ID      string  `json:"id"`
	Subject string  `json:"subject"`
	Notice  string  `json:"notice"`
	Alerts  []Alert `json:"alerts"`
}

// WebhookSchema is the version of the body's JSON.
const WebhookSchema = "alert-message.v1"

// Send posts the message. Any answer of 2xx is a yes.
func (w *Webhook) Send(ctx context.Context, message Message) error {
	content, err := json.Marshal(body{WebhookSchema, message.ID, message.Subject(), researchUse, message.Alerts})
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.opts.URL, bytes.NewReader(content))
	if err != nil {
		return errors.New("the webhook's address makes no request")
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "neurotriage")
	request.Header.Set("webhook-id", message.ID)
	request.Header.Set("webhook-timestamp", stamp)
	request.Header.Set("webhook-signature", "v1,"+Sign(w.key, message.ID, stamp, content))
	if w.opts.Token != "" {
		request.Header.Set("Authorization", "Bearer "+w.opts.Token)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return fmt.Errorf("posting to %s: %w", w.url.Host, unwrapped(err))
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	refused := fmt.Errorf("%s answers %d %s", w.url.Host, response.StatusCode, http.StatusText(response.StatusCode))
	if after := retryAfter(response.Header, time.Now()); after > 0 {
		return &Busy{After: after, Err: refused}
	}
	return refused
}

// Sign is the signature of a message, in base64.
func Sign(key []byte, id, stamp string, content []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(content)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Check connects, with TLS where the address says so, and posts nothing.
func (w *Webhook) Check(ctx context.Context) error {
	address := w.url.Host
	if w.url.Port() == "" {
		address = net.JoinHostPort(w.url.Hostname(), map[string]string{"http": "80", "https": "443"}[w.url.Scheme])
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	defer conn.Close()
	if w.url.Scheme == "http" {
		return nil
	}
	secure := w.http.Transport.(*http.Transport).TLSClientConfig.Clone()
	if secure.ServerName == "" {
		secure.ServerName = w.url.Hostname()
	}
	if err := tls.Client(conn, secure).HandshakeContext(ctx); err != nil {
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	return nil
}

// unwrapped takes the URL, in which services hide tokens, out of an error.
func unwrapped(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
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
