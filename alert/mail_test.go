package alert_test

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"neurotriage/alert"
)

func TestMail(t *testing.T) {
	cases := []struct {
		name   string
		server *post
		change func(*alert.MailOptions)
		words  string // of the error; empty: sent
		login  bool
		secure bool
	}{
		{"starttls with a login", &post{startTLS: true, wantsLogin: true}, func(o *alert.MailOptions) { o.User, o.Password = "triage", "s3cret" }, "", true, true},
		{"starttls", &post{startTLS: true}, func(*alert.MailOptions) {}, "", false, true},
		{"tls from the start", &post{fromStart: true}, func(o *alert.MailOptions) { o.Security = alert.ImplTLS }, "", false, true},
		{"plain", &post{}, func(o *alert.MailOptions) { o.Security = alert.Plain }, "", false, false},
		{"starttls is not offered", &post{}, func(*alert.MailOptions) {}, "STARTTLS", false, false},
		{"an unknown authority", &post{startTLS: true}, func(o *alert.MailOptions) { o.TLS = nil }, "certificate", false, false},
		{"a wrong password", &post{startTLS: true, wantsLogin: true}, func(o *alert.MailOptions) { o.User, o.Password = "triage", "wr0ng" }, "535", false, false},
		{"an unknown receiver", &post{startTLS: true, reject: "b@"}, func(*alert.MailOptions) {}, "550", false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			address, trusted := c.server.open(t)
			options := alert.MailOptions{
				Address: address, Security: alert.StartTLS, From: "Triage <triage@hospital.example>",
				To: []string{"a@hospital.example", "b@hospital.example"}, TLS: trusted,
			}
			c.change(&options)
			m, err := alert.NewMail(options)
			if err != nil {
				t.Fatal(err)
			}
			err = m.Send(t.Context(), message(review("a", time.Now())))
			if c.words != "" {
				if err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "wr0ng") || len(c.server.letters) > 0 {
					t.Errorf("%v, %d letters", err, len(c.server.letters))
				}
				if checked := m.Check(t.Context()); checked == nil && c.words != "550" {
					t.Error("the check finds nothing wrong")
				}
				return
			}
			if checked := m.Check(t.Context()); err != nil || checked != nil || len(c.server.letters) != 1 {
				t.Fatalf("sent %v, checked %v, %d letters", err, checked, len(c.server.letters))
			}
			if got := c.server.letters[0]; got.secure != c.secure || (got.user != "") != c.login || len(got.to) != 2 || !strings.Contains(got.from, "<triage@hospital.example>") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestLetters reads a letter with the standard library: who, what, and the words
// that keep machines from answering.
func TestLetters(t *testing.T) {
	server := &post{}
	address, _ := server.open(t)
	m, err := alert.NewMail(alert.MailOptions{Address: address, Security: alert.Plain, From: "triage@hospital.example", To: []string{"a@hospital.example"}})
	if err != nil {
		t.Fatal(err)
	}
	flagged := review("a", time.Now())
	flagged.Text = "Schädel MRT"
	for _, one := range []alert.Message{message(flagged), message(flagged), {ID: "m2", Alerts: []alert.Alert{overdue("b", time.Now())}}} {
		if err := m.Send(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for i, one := range server.letters {
		got, err := mail.ReadMessage(strings.NewReader(one.text))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.Header.Get("Message-Id"))
		if i == 1 {
			continue
		}
		text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		want := []string{"Review: possible glioma", "Schädel MRT", "high"}
		if i == 2 {
			want = []string{"Study overdue", "Study: 1.2.b", ""}
		}
		if err != nil || subject != want[0] || !strings.Contains(string(text), want[1]) || got.Header.Get("Importance") != want[2] ||
			got.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(ids[i], "@hospital.example>") {
			t.Errorf("%v: %q\n%v\n%s", err, subject, got.Header, text)
		}
	}
	if ids[0] != ids[1] || ids[0] == ids[2] {
		t.Errorf("message ids %v", ids)
	}
}

func TestMailOptions(t *testing.T) {
	fine := alert.MailOptions{Address: "mail.example:587", From: "a@b.example", To: []string{"c@d.example"}}
	cases := []struct {
		name   string
		change func(*alert.MailOptions)
		words  string
	}{
		{"fine", func(*alert.MailOptions) {}, ""},
		{"no port", func(o *alert.MailOptions) { o.Address = "mail.example" }, "host:port"},
		{"no host", func(o *alert.MailOptions) { o.Address = ":25" }, "host:port"},
		{"no sender", func(o *alert.MailOptions) { o.From = "" }, "sender"},
		{"nobody to read it", func(o *alert.MailOptions) { o.To = nil }, "receivers"},
		{"a receiver that is none", func(o *alert.MailOptions) { o.To = []string{"reading room"} }, "receivers"},
		{"a password in the open", func(o *alert.MailOptions) { o.User, o.Security = "u", alert.Plain }, "everybody"},
	}
	for _, c := range cases {
		options := fine
		c.change(&options)
		_, err := alert.NewMail(options)
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
