package dimse

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Hospital CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	a.cert = a.sign(t, template, template, a.key)
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(t testing.TB, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for both roles on this machine.
func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := a.sign(t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject: pkix.Name{CommonName: name, Organization: []string{"Radiology"}}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}, a.cert, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// files writes a certificate, its key and the authority for programs that read
// files.
func (a *authority) files(t testing.TB, c tls.Certificate) (key, cert, ca string) {
	t.Helper()
	folder := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("key.pem", "PRIVATE KEY", der), write("cert.pem", "CERTIFICATE", c.Certificate[0]), write("ca.pem", "CERTIFICATE", a.cert.Raw)
}

// mutual is the server's side of TLS in which both prove who they are.
func (a *authority) mutual(t testing.TB) *tls.Config {
	return SecureTLS(&tls.Config{Certificates: []tls.Certificate{a.issue(t, "triage")}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert})
}

// TestTLS says who gets in and what is known about the peer.
func TestTLS(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	known := ca.issue(t, "scanner")
	with := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{known}}
		if change != nil {
			change(c)
		}
		return SecureTLS(c)
	}
	weak := with(nil)
	weak.CipherSuites, weak.MaxVersion = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}, tls.VersionTLS12
	old := with(nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	cases := []struct {
		name   string
		client *tls.Config
		good   bool
	}{
		{"certificate of the authority", with(nil), true},
		{"TLS 1.2", with(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), true},
		{"no certificate", with(func(c *tls.Config) { c.Certificates = nil }), false},
		{"certificate of another authority", with(func(c *tls.Config) { c.Certificates = []tls.Certificate{foreign.issue(t, "scanner")} }), false},
		{"server that the client does not know", with(func(c *tls.Config) { c.RootCAs = foreign.pool }), false},
		{"server under another name", with(func(c *tls.Config) { c.ServerName = "pacs.example" }), false},
		{"a cipher without authentication", weak, false},
		{"TLS 1.1", old, false},
		{"no TLS", nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shelf := newShelf()
			o := shelf.options(t)
			o.TLS = ca.mutual(t)
			address, _ := serve(t, o)
			conn, err := Dial(t.Context(), clientOptions(address, func(o *ClientOptions) { o.TLS = c.client }))
			if !c.good {
				if err == nil {
					t.Fatal("it got in")
				}
				shelf.waitRefused(t)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := pattern(1 << 20)
			if err := conn.Store(t.Context(), mr("1.2.3", want)); err != nil {
				t.Error(err)
			}
			if err := conn.Release(t.Context()); err != nil {
				t.Error(err)
			}
			if end := shelf.waitClosed(t); end.How != Released || end.Bytes != int64(len(want)) {
				t.Errorf("ended as %+v", end)
			}
			if got := shelf.opened[0].TLSSubject; got != "CN=scanner,O=Radiology" {
				t.Errorf("the peer's subject is %q", got)
			}
			if got := conn.Peer().TLSSubject; got != "CN=triage,O=Radiology" {
				t.Errorf("the server's subject is %q", got)
			}
		})
	}
}

// TestASubjectThatNobodyProved is not told: without client authorities a
// certificate is only a claim.
func TestASubjectThatNobodyProved(t *testing.T) {
	ca := newAuthority(t)
	shelf := newShelf()
	o := shelf.options(t)
	o.TLS = SecureTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "triage")}, ClientAuth: tls.RequestClientCert})
	address, _ := serve(t, o)
	c := dial(t, address, func(o *ClientOptions) {
		o.TLS = SecureTLS(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{newAuthority(t).issue(t, "chief")}})
	})
	if err := c.Echo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	shelf.waitClosed(t)
	if got := shelf.opened[0].TLSSubject; got != "" {
		t.Errorf("the peer's subject is %q", got)
	}
}
