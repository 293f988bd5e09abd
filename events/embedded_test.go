package events_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"neurotriage/events"
	"neurotriage/internal/kit"
)

func embedded(t testing.TB, options events.EmbeddedOptions) *events.Server {
	t.Helper()
	s, err := events.Embedded(t.Context(), options)
	must(t, "embedded", err)
	t.Cleanup(s.Stop)
	return s
}

func TestTheEmbeddedServerKeepsItsWorkOverARestart(t *testing.T) {
	dir := t.TempDir()
	options := events.EmbeddedOptions{Dir: dir}
	begin := time.Now()
	first := embedded(t, options)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("ready after %v", took)
	}
	bus, err := events.Connect(t.Context(), events.Options{Server: first})
	must(t, "connect", err)
	must(t, "prepare", bus.Prepare(t.Context()))
	outside, err := events.Connect(t.Context(), events.Options{URL: first.URL()}) // others reach it by its URL
	must(t, "connect from outside", err)
	job := submit(t, outside, uid)
	outside.Close()
	bus.Close()
	first.Stop()
	first.Stop()

	second := embedded(t, options)
	bus, err = events.Connect(t.Context(), events.Options{Server: second})
	must(t, "connect", err)
	defer bus.Close()
	must(t, "prepare", bus.Prepare(t.Context()))
	if got, refusal := next(t, bus); refusal != nil || got.EventID != job.EventID {
		t.Errorf("after the restart: %+v, %v", got, refusal)
	}
}

func TestTheEmbeddedServerRefusesASecondDaemonAndATakenPort(t *testing.T) {
	dir := t.TempDir()
	embedded(t, events.EmbeddedOptions{Dir: dir})
	_, err := events.Embedded(t.Context(), events.EmbeddedOptions{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d uses this jetstream directory", os.Getpid())) {
		t.Errorf("same directory: %v", err)
	}
	stranger := kit.NATS(t) // a NATS server even: it must not be joined
	_, port, _ := strings.Cut(strings.TrimPrefix(stranger.URL, "nats://"), ":")
	var number int
	_, err = fmt.Sscan(port, &number)
	must(t, "port", err)
	_, err = events.Embedded(t.Context(), events.EmbeddedOptions{Dir: t.TempDir(), Port: number})
	if err == nil || !strings.Contains(err.Error(), "choose another nats.embedded.listen") {
		t.Errorf("taken port: %v", err)
	}
}

func TestTheEmbeddedServerMayAskForAPassword(t *testing.T) {
	s := embedded(t, events.EmbeddedOptions{Dir: t.TempDir(), User: "u", Password: "p"})
	if _, err := events.Connect(t.Context(), events.Options{URL: s.URL()}); err == nil {
		t.Error("joined without a password")
	}
	bus, err := events.Connect(t.Context(), events.Options{Server: s, User: "u", Password: "p"})
	must(t, "connect", err)
	bus.Close()
}

func TestTheWaysToLogIn(t *testing.T) {
	files := certificates(t)
	pair, err := tls.LoadX509KeyPair(files["server.pem"], files["server.key"])
	must(t, "pair", err)
	user, err := nkeys.CreateUser()
	must(t, "nkey", err)
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	seedFile := filepath.Join(t.TempDir(), "seed.nk")
	must(t, "seed", os.WriteFile(seedFile, seed, 0o600))
	cases := []struct {
		name   string
		server func(*server.Options)
		client events.Options
		ok     bool
	}{
		{"user", func(o *server.Options) { o.Username, o.Password = "u", "p" }, events.Options{User: "u", Password: "p"}, true},
		{"wrong password", func(o *server.Options) { o.Username, o.Password = "u", "p" }, events.Options{User: "u", Password: "q"}, false},
		{"token", func(o *server.Options) { o.Authorization = "t" }, events.Options{Token: "t"}, true},
		{"no token", func(o *server.Options) { o.Authorization = "t" }, events.Options{}, false},
		{"nkey", func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }, events.Options{NKey: seedFile}, true},
		{"nkey file is missing", func(*server.Options) {}, events.Options{NKey: "/nowhere/seed.nk"}, false},
		{"creds file is missing", func(*server.Options) {}, events.Options{Creds: "/nowhere/user.creds"}, false},
		{"client certificate", mutualTLS(pair, files["ca.pem"]), events.Options{CA: files["ca.pem"], Cert: files["client.pem"], Key: files["client.key"]}, true},
		{"no client certificate", mutualTLS(pair, files["ca.pem"]), events.Options{CA: files["ca.pem"]}, false},
		{"unknown authority", mutualTLS(pair, files["ca.pem"]), events.Options{Cert: files["client.pem"], Key: files["client.key"]}, false},
		{"certificate without key", func(*server.Options) {}, events.Options{Cert: files["client.pem"]}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.client.URL = kit.NATS(t, c.server).URL
			bus, err := events.Connect(t.Context(), c.client)
			if (err == nil) != c.ok {
				t.Errorf("connect: %v", err)
			}
			if err == nil {
				bus.Close()
			}
		})
	}
}

func mutualTLS(pair tls.Certificate, ca string) func(*server.Options) {
	return func(o *server.Options) {
		pool := x509.NewCertPool()
		text, _ := os.ReadFile(ca)
		pool.AppendCertsFromPEM(text)
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	}
}

// certificates writes an authority and what it signed.
func certificates(t *testing.T) map[string]string {
	t.Helper()
	dir, files := t.TempDir(), map[string]string{}
	write := func(name, kind string, der []byte) {
		files[name] = filepath.Join(dir, name)
		must(t, name, os.WriteFile(files[name], pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	var authority *x509.Certificate
	var authorityKey *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, "key", err)
		wanted := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: i == 0, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
		if i == 0 {
			authority, authorityKey = wanted, key
		}
		der, err := x509.CreateCertificate(rand.Reader, wanted, authority, &key.PublicKey, authorityKey)
		must(t, "certificate", err)
		private, err := x509.MarshalECPrivateKey(key)
		must(t, "key", err)
		write(name+".pem", "CERTIFICATE", der)
		write(name+".key", "EC PRIVATE KEY", private)
	}
	return files
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]events.Options{
		"neither a url": {}, "nats prefix": {URL: "nats://x", Prefix: "Site 1"}, "creds and nkey": {URL: "nats://x", Creds: "a", NKey: "b"},
		"max_attempts": {URL: "nats://x", MaxAttempts: -1},
	} {
		if _, err := events.Connect(context.Background(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
