package alert_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"neurotriage/alert"
)

var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

func message(alerts ...alert.Alert) alert.Message { return alert.Message{ID: "m1", Alerts: alerts} }

// posted is what a receiver of webhooks got.
type posted struct {
	header http.Header
	body   []byte
}

func hook(t *testing.T, status int, header map[string]string) (url string, got *posted) {
	got = &posted{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.header = r.Header
		got.body, _ = io.ReadAll(r.Body)
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hook?token=t0ps3cret", got
}

func TestWebhook(t *testing.T) {
	url, got := hook(t, http.StatusAccepted, nil)
	w, err := alert.NewWebhook(alert.WebhookOptions{URL: url, Secret: secret, Token: "bearer"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Send(t.Context(), message(review("a", time.Now()))); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Schema, ID, Subject, Notice string
		Alerts                      []map[string]any
	}
	if err := json.Unmarshal(got.body, &body); err != nil || body.Schema != alert.WebhookSchema || body.ID != "m1" ||
		body.Alerts[0]["study_instance_uid"] != "1.2.a" || body.Alerts[0]["kind"] != "glioma_review" || body.Notice == "" {
		t.Errorf("%v: %s", err, got.body)
	}
	for name, want := range map[string]string{"webhook-id": "m1", "Authorization": "Bearer bearer", "Content-Type": "application/json"} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q", name, value)
		}
	}
	stamp, err := strconv.ParseInt(got.header.Get("webhook-timestamp"), 10, 64)
	if off := time.Since(time.Unix(stamp, 0)); err != nil || off > alert.SignatureWindow || off < -alert.SignatureWindow {
		t.Errorf("the time stamp is off by %s: %v", off, err)
	}
	key := []byte("0123456789abcdef0123456789abcdef")
	if want := "v1," + alert.Sign(key, "m1", got.header.Get("webhook-timestamp"), got.body); got.header.Get("webhook-signature") != want {
		t.Errorf("signature %s, want %s", got.header.Get("webhook-signature"), want)
	}
	if alert.Sign(key, "m1", "1", got.body) == alert.Sign(key, "m1", "2", got.body) || alert.Sign(key, "a", "1", nil) == alert.Sign(key, "b", "1", nil) {
		t.Error("the signature does not cover id and time")
	}
}

// TestWebhookForAnIndependentReader has the library of Standard Webhooks verify
// the signature, and refuse it for another body, time or secret.
func TestWebhookForAnIndependentReader(t *testing.T) {
	python := os.Getenv("NEUROTRIAGE_TEST_PYTHON")
	if python == "" {
		t.Skip("NEUROTRIAGE_TEST_PYTHON names no Python with the packages of .ci/peers.txt")
	}
	url, got := hook(t, http.StatusOK, nil)
	w, err := alert.NewWebhook(alert.WebhookOptions{URL: url, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Send(t.Context(), message(review("ä", time.Now()))); err != nil {
		t.Fatal(err)
	}
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("ffffffffffffffffffffffffffffffff"))
	late := strconv.FormatInt(time.Now().Add(-6*time.Minute).Unix(), 10)
	stamp := got.header.Get("webhook-timestamp")
	cases := []struct {
		name, secret, stamp string
		body                []byte
		fine                bool
	}{
		{"as it came", secret, stamp, got.body, true},
		{"another secret", other, stamp, got.body, false},
		{"another body", secret, stamp, bytes.Replace(got.body, []byte("m1"), []byte("m2"), 1), false},
		{"another time", secret, late, got.body, false},
	}
	for _, c := range cases {
		cmd := exec.CommandContext(t.Context(), python, "testdata/verify.py", c.secret, "m1", c.stamp, got.header.Get("webhook-signature"))
		cmd.Stdin = bytes.NewReader(c.body)
		out, err := cmd.Output()
		if (err == nil) != c.fine || c.fine && strings.TrimSpace(string(out)) != "m1" {
			t.Errorf("%s: %v %s", c.name, err, out)
		}
	}
}

func TestWebhookFaults(t *testing.T) {
	cases := []struct {
		status int
		header map[string]string
		words  string // empty: taken
		busy   time.Duration
	}{
		{status: 204}, {status: 200},
		{status: 301, header: map[string]string{"Location": "https://elsewhere.example/"}, words: "301"},
		{status: 401, words: "401"}, {status: 500, words: "500"},
		{status: 429, header: map[string]string{"Retry-After": "90"}, words: "429", busy: 90 * time.Second},
		{status: 503, header: map[string]string{"Retry-After": "soon"}, words: "503"},
	}
	for _, c := range cases {
		url, _ := hook(t, c.status, c.header)
		w, err := alert.NewWebhook(alert.WebhookOptions{URL: url, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Send(t.Context(), message(review("a", time.Now())))
		if (err == nil) != (c.words == "") || err != nil && (!strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "t0ps3cret")) {
			t.Errorf("%d: %v", c.status, err)
		}
		if busy, ok := errors.AsType[*alert.Busy](err); ok != (c.busy > 0) || ok && busy.After != c.busy {
			t.Errorf("%d: busy %v", c.status, busy)
		}
		if err := w.Check(t.Context()); err != nil {
			t.Errorf("the check says %v", err)
		}
	}
	w, _ := alert.NewWebhook(alert.WebhookOptions{URL: "http://127.0.0.1:1/?token=t0ps3cret", Secret: secret})
	for _, err := range []error{w.Send(t.Context(), message(review("a", time.Now()))), w.Check(t.Context())} {
		if err == nil || strings.Contains(err.Error(), "t0ps3cret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("nobody there: %v", err)
		}
	}
}

func TestWebhookTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig
	for name, c := range map[string]struct {
		secure *tls.Config
		fine   bool
	}{"trusted": {trusted, true}, "unknown": {nil, false}} {
		w, err := alert.NewWebhook(alert.WebhookOptions{URL: server.URL, Secret: secret, TLS: c.secure})
		if err != nil {
			t.Fatal(err)
		}
		sent, checked := w.Send(t.Context(), message(review("a", time.Now()))), w.Check(t.Context())
		if (sent == nil) != c.fine || (checked == nil) != c.fine {
			t.Errorf("%s: sent %v, checked %v", name, sent, checked)
		}
	}
}

func TestWebhookOptions(t *testing.T) {
	cases := []struct{ url, secret, words string }{
		{"https://x.example/", "sixteen bytes or more", ""}, {"https://x.example/", "short", "openssl rand"}, {"https://x.example/", "", "16"},
		{"https://x.example/", "whsec_!!!", "base64"}, {"x.example", secret, "URL"}, {"ftp://x.example/", secret, "URL"}, {"https://%zz", secret, "URL"},
	}
	for _, c := range cases {
		_, err := alert.NewWebhook(alert.WebhookOptions{URL: c.url, Secret: c.secret})
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s %s: %v", c.url, c.secret, err)
		}
	}
}
