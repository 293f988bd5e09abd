package alert_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// post is a mail server of one connection at a time, as strict as it was made.
type post struct {
	startTLS, fromStart, wantsLogin bool
	reject                          string // receiver that it does not know

	listener net.Listener
	cert     *tls.Config
	mu       sync.Mutex
	letters  []letter
}

type letter struct {
	from   string
	to     []string
	text   string
	secure bool
	user   string
}

func (p *post) open(t *testing.T) (address string, trusted *tls.Config) {
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS() // for its certificate, which names 127.0.0.1
	pool := x509.NewCertPool()
	pool.AddCert(borrowed.Certificate())
	p.cert = &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS12}
	borrowed.Close()
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = p.listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.serve(conn)
			_ = conn.Close()
		}
	}()
	return p.listener.Addr().String(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// serve speaks RFC 5321 with one client.
func (p *post) serve(conn net.Conn) {
	if p.fromStart {
		conn = tls.Server(conn, p.cert)
	}
	now := letter{secure: p.fromStart}
	lines := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 post")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-post")
			if p.startTLS && !now.secure {
				say("250-STARTTLS")
			}
			if p.wantsLogin && now.secure {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			conn = tls.Server(conn, p.cert)
			lines, now.secure = bufio.NewReader(conn), true
		case "AUTH":
			_, coded, _ := strings.Cut(rest, " ")
			plain, _ := base64.StdEncoding.DecodeString(coded)
			if string(plain) != "\x00triage\x00s3cret" {
				say("535 no")
				continue
			}
			now.user = "triage"
			say("235 welcome")
		case "MAIL":
			if p.wantsLogin && now.user == "" {
				say("530 who are you")
				continue
			}
			now.from, now.to = rest, nil
			say("250 ok")
		case "RCPT":
			if p.reject != "" && strings.Contains(rest, p.reject) {
				say("550 unknown")
				continue
			}
			now.to = append(now.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go ahead")
			now.text = readLetter(lines)
			p.mu.Lock()
			p.letters = append(p.letters, now)
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func readLetter(lines *bufio.Reader) string {
	var text strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return text.String()
		}
		text.WriteString(line)
	}
}
