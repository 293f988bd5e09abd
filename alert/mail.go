package alert

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// MailOptions say which server takes the mail, and for whom.
type MailOptions struct {
	Address  string // of the server, host:port
	Security MailSecurity
	User     string // with the password; empty: no login
	Password string
	From     string
	To       []string
	TLS      *tls.Config // nil: the system's authorities
}

// MailSecurity says how the way to the server is closed.
type MailSecurity string

// The ways. There is no "if possible": it gives way to whoever stands between.
const (
	StartTLS MailSecurity = "starttls" // must be offered
	ImplTLS  MailSecurity = "tls"      // from the first byte, port 465
	Plain    MailSecurity = "none"     // within one machine or a trusted network only
)

// Mail sends messages by SMTP.
type Mail struct {
	opts MailOptions
	host string
	port int
}

// NewMail makes a sender and connects to nothing.
func NewMail(opts MailOptions) (*Mail, error) {
	host, text, err := net.SplitHostPort(opts.Address)
	port, portErr := strconv.Atoi(text)
	if err != nil || portErr != nil || host == "" {
		return nil, errors.New(`the address of a mail server is host:port, such as "mail.example.org:587"`)
	}
	if opts.User != "" && opts.Security == Plain {
		return nil, errors.New("a login without starttls or tls would show the password to everybody on the way")
	}
	m := &Mail{opts: opts, host: host, port: port}
	if _, _, err := m.client(); err != nil {
		return nil, fmt.Errorf("mail by %s: %w", opts.Address, err)
	}
	_, err = m.mail(Example(time.Unix(0, 0)))
	return m, err
}

// client gives a client for one use, and what closes its connection: the library
// leaves it open when the greeting, the handshake or the login goes wrong.
func (m *Mail) client() (client *mail.Client, hangUp func(), err error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if m.opts.TLS != nil {
		secure = m.opts.TLS.Clone()
	}
	if secure.ServerName == "" {
		secure.ServerName = m.host
	}
	policy, dial := mail.TLSMandatory, new(net.Dialer).DialContext
	switch m.opts.Security {
	case ImplTLS:
		// Not the library's own way, which would dial by itself. It sees that the
		// connection is one of TLS.
		policy, dial = mail.TLSOpportunistic, (&tls.Dialer{Config: secure}).DialContext
	case Plain:
		policy = mail.NoTLS
	}
	hangUp = func() {}
	options := []mail.Option{
		mail.WithPort(m.port), mail.WithTimeout(sendTimeout / 2), mail.WithTLSConfig(secure), mail.WithTLSPolicy(policy),
		mail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err == nil {
				hangUp = func() { _ = conn.Close() }
			}
			return conn, err
		}),
	}
	if m.opts.User != "" {
		options = append(options, mail.WithUsername(m.opts.User), mail.WithPassword(m.opts.Password), mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover))
	}
	client, err = mail.NewClient(m.host, options...)
	return client, func() { hangUp() }, err
}

// mail makes the letter. The same message has the same Message-ID, by which mail
// systems know a repeat.
func (m *Mail) mail(message Message) (*mail.Msg, error) {
	letter := mail.NewMsg()
	if err := letter.From(m.opts.From); err != nil {
		return nil, fmt.Errorf("the sender of a mail is an address such as triage@example.org: %w", err)
	}
	if err := letter.To(m.opts.To...); err != nil || len(m.opts.To) == 0 {
		return nil, fmt.Errorf("the receivers of a mail are addresses such as reading-room@example.org: %w", err)
	}
	sum := sha256.Sum256([]byte(message.ID))
	_, domain, _ := strings.Cut(strings.Trim(m.opts.From, "<> "), "@")
	letter.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + "@" + strings.TrimRight(domain, ">"))
	letter.Subject(message.Subject())
	letter.SetDate()
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: keeps absence notes away
	if message.Urgent() {
		letter.SetImportance(mail.ImportanceHigh)
	}
	letter.SetBodyString(mail.TypeTextPlain, message.Text())
	return letter, nil
}

// Send hands the letter to the server for all its receivers.
func (m *Mail) Send(ctx context.Context, message Message) error {
	letter, err := m.mail(message)
	if err != nil {
		return err
	}
	client, hangUp, err := m.client()
	if err != nil {
		return err
	}
	defer hangUp()
	if err := client.DialAndSendWithContext(ctx, letter); err != nil {
		return fmt.Errorf("mail by %s: %w", m.opts.Address, err)
	}
	return nil
}

// Check connects, closes the way and logs in, and sends nothing.
func (m *Mail) Check(ctx context.Context) error {
	client, hangUp, err := m.client()
	if err != nil {
		return err
	}
	defer hangUp()
	if err := client.DialWithContext(ctx); err != nil {
		return fmt.Errorf("mail by %s: %w", m.opts.Address, err)
	}
	return client.Close()
}
