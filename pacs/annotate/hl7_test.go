package annotate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
)

const controlID = "NT0000000000000001"

func encode(pacs.Parcel) ([]byte, string) {
	return []byte("MSH|^~\\&|A|B|C|D|20260302||ORU^R01^ORU_R01|" + controlID + "|P|2.5.1\rOBX|1|ST|x||Müller\r"), controlID
}

// receiver answers each message with what its reply writes.
type receiver struct {
	listener net.Listener
	mu       sync.Mutex
	got      []string
}

func listen(t *testing.T, secure *tls.Config, reply func(conn net.Conn, message string, number int)) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	r := &receiver{listener: listener}
	var working sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); working.Wait() })
	working.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			working.Go(func() {
				defer conn.Close()
				text, err := bufio.NewReader(conn).ReadString(0x1c)
				if err != nil {
					return
				}
				r.mu.Lock()
				r.got = append(r.got, strings.Trim(text, "\x0b\x1c"))
				number := len(r.got)
				r.mu.Unlock()
				reply(conn, text, number)
				_, _ = conn.Read(make([]byte, 1)) // the rest of the frame
				_, _ = conn.Read(make([]byte, 1)) // until the sender leaves
			})
		}
	})
	return r
}

func (r *receiver) address() string { return r.listener.Addr().String() }

func framed(segments ...string) string {
	return "\x0b" + strings.Join(segments, "\r") + "\r\x1c\r"
}

const ackHeader = `MSH|^~\&|C|D|A|B|20260302||ACK|77|P|2.5.1`

func TestHL7Acknowledgements(t *testing.T) {
	ack := func(code, id string, more ...string) string {
		return framed(append([]string{ackHeader, "MSA|" + code + "|" + id}, more...)...)
	}
	cases := []struct {
		name  string
		parts []string // of the answer, each a packet of its own
		want  string
		words string
	}{
		{"taken", []string{ack("AA", controlID)}, kept, ""},
		{"taken in the enhanced mode", []string{ack("CA", controlID)}, kept, ""},
		{"cut into bytes", strings.Split(ack("AA", controlID), ""), kept, ""},
		{"line feeds between frames and segments", []string{"\r\n", strings.ReplaceAll(ack("AA", controlID), "P|2.5.1\r", "P|2.5.1\r\n")}, kept, ""},
		{"its own delimiters", []string{framed("MSH#*~!&#C#D#A#B#2026##ACK#1#P#2.5.1", "MSA#AA#"+controlID)}, kept, ""},
		{"an older acknowledgement first", []string{ack("AE", "OLD"), ack("AA", controlID)}, kept, ""},
		{"an error", []string{ack("AE", controlID, `ERR||PID^1^3|204^Unknown key|E|||No patient MRN-77 (DOE, Jane \T\ co)`)}, again, "[patient]"},
		{"rejected", []string{ack("AR", controlID, "ERR||MSH^1^11|202^Unsupported processing id|E")}, rejected, "202"},
		{"a content it cannot take", []string{ack("AE", controlID, "ERR||OBX^2^5|102^Data type error|E")}, rejected, "Data type error"},
		{"a rejection without a reason", []string{ack("AR", controlID)}, again, "AR"},
		{"a duplicate", []string{ack("AR", controlID, "ERR|||205^Duplicate key identifier|E")}, kept, ""},
		{"of HL7 v2.3", []string{framed(`MSH|^~\&|C|D|A|B|2026||ACK|1|P|2.3`, "MSA|AE|"+controlID+"|order not found")}, again, "order not found"},
		{"another control id only", []string{ack("AA", "OTHER")}, outage, "acknowledged was OTHER, sent was " + controlID},
		{"no word of a code", []string{ack("XX", controlID)}, again, "XX"},
		{"no acknowledgement", []string{framed(ackHeader)}, again, "no acknowledgement"},
		{"no HL7", []string{framed("hello, here is the line printer")}, again, "no acknowledgement"},
		{"no frame", []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, outage, "no frame of MLLP"},
		{"a frame that ends otherwise", []string{"\x0bMSH\x1cX"}, outage, "no frame of MLLP"},
		{"without an end", []string{"\x0b" + strings.Repeat("x", 2<<20)}, outage, "without an end"},
		{"half a frame", []string{"\x0b" + ackHeader}, outage, "nothing within"},
		{"silence", nil, outage, "nothing within"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := listen(t, nil, func(conn net.Conn, _ string, _ int) {
				for _, part := range c.parts {
					_, _ = conn.Write([]byte(part))
				}
				if strings.Contains(c.words, "acknowledged was") {
					_ = conn.Close() // nothing more to wait for
				}
			})
			timeout := 30 * time.Second
			if strings.Contains(c.words, "nothing within") {
				timeout = 300 * time.Millisecond // it is to pass
			}
			h := annotate.NewHL7(annotate.HL7Options{Address: r.address(), Encode: encode, Timeout: timeout})
			check(t, h.Deliver(t.Context(), parcel()), c.want, c.words)
		})
	}
}

// TestHL7RepeatsTheMessage has the receiver lose the first acknowledgement.
func TestHL7RepeatsTheMessage(t *testing.T) {
	r := listen(t, nil, func(conn net.Conn, _ string, number int) {
		if number > 1 {
			_, _ = conn.Write([]byte(framed(ackHeader, "MSA|AA|"+controlID)))
		}
		_ = conn.Close()
	})
	h := annotate.NewHL7(annotate.HL7Options{Address: r.address(), Encode: encode})
	check(t, h.Deliver(t.Context(), parcel()), outage, r.address())
	check(t, h.Deliver(t.Context(), parcel()), kept, "")
	want, _ := encode(parcel())
	if len(r.got) != 2 || r.got[0] != string(want) || r.got[1] != string(want) {
		t.Errorf("received %q", r.got)
	}
}

func TestHL7SaysNothingOfWhatIsOver(t *testing.T) {
	h := annotate.NewHL7(annotate.HL7Options{Address: "127.0.0.1:1", Encode: encode})
	check(t, h.Deliver(t.Context(), parcel(superseded)), kept, "")
	check(t, h.Deliver(t.Context(), parcel()), outage, "127.0.0.1:1")
	if err := h.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("the check says %v", err)
	}
}

func TestHL7OverTLS(t *testing.T) {
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS() // for its certificate, which names 127.0.0.1 and example.com
	defer borrowed.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(borrowed.Certificate())
	r := listen(t, &tls.Config{Certificates: borrowed.TLS.Certificates}, func(conn net.Conn, _ string, _ int) {
		_, _ = conn.Write([]byte(framed(ackHeader, "MSA|AA|"+controlID)))
	})
	cases := []struct {
		name   string
		secure *tls.Config
		want   string
		words  string
	}{
		{"trusted", &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, kept, ""},
		{"of an unknown authority", &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}, outage, "unknown authority"},
		{"of another name", &tls.Config{RootCAs: trusted, ServerName: "other.example", MinVersion: tls.VersionTLS12}, outage, "other.example"},
	}
	for _, c := range cases {
		h := annotate.NewHL7(annotate.HL7Options{Address: r.address(), Encode: encode, TLS: c.secure})
		t.Run(c.name, func(t *testing.T) { check(t, h.Deliver(t.Context(), parcel()), c.want, c.words) })
		if err := h.Check(t.Context()); (err == nil) != (c.want == kept) {
			t.Errorf("%s: the check says %v", c.name, err)
		}
	}
}

// TestHL7Stops has the daemon stop while a receiver is silent.
func TestHL7Stops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := listen(t, nil, func(net.Conn, string, int) { cancel() })
	h := annotate.NewHL7(annotate.HL7Options{Address: r.address(), Encode: encode, Timeout: time.Hour})
	check(t, h.Deliver(ctx, parcel()), outage, "canceled")
}

// FuzzAcknowledgement feeds the reader of frames and acknowledgements with
// whatever a receiver may send: it ends, and takes nothing for a yes that does
// not name the message.
func FuzzAcknowledgement(f *testing.F) {
	f.Add([]byte(framed(ackHeader, "MSA|AA|"+controlID)))
	f.Add([]byte(framed(ackHeader, "MSA|AE|"+controlID, "ERR||PID^1|101^x|E")))
	f.Add([]byte("\x0bMSH\x1c\r"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		err := annotate.Exchange(answer, controlID)
		if err == nil && !bytes.Contains(answer, []byte(controlID)) && !bytes.Contains(answer, []byte(`\`)) {
			t.Errorf("%q counts as an acknowledgement", answer)
		}
	})
}
