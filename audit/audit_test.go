package audit_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"neurotriage/audit"
)

var at = time.Date(2026, 11, 24, 3, 4, 5, 6000, time.UTC)

func open(t *testing.T, folder string, change ...func(*audit.Options)) *audit.Log {
	t.Helper()
	options := audit.Options{Folder: folder, Source: "triage-1", Process: "neurotriage 42", Now: func() time.Time { return at }}
	for _, fn := range change {
		fn(&options)
	}
	log, err := audit.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func record(t *testing.T, log *audit.Log, e audit.Event) {
	t.Helper()
	if err := log.Record(e); err != nil {
		t.Fatal(err)
	}
}

func lines(t *testing.T, folder string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// parsed is a message as a reader that is not ours sees it.
type parsed struct {
	Event struct {
		Action  string `xml:"EventActionCode,attr"`
		Time    string `xml:"EventDateTime,attr"`
		Outcome string `xml:"EventOutcomeIndicator,attr"`
		ID      code   `xml:"EventID"`
		Types   []code `xml:"EventTypeCode"`
		Detail  string `xml:"EventOutcomeDescription"`
	} `xml:"EventIdentification"`
	Participants []struct {
		UserID    string `xml:"UserID,attr"`
		Requestor bool   `xml:"UserIsRequestor,attr"`
		Address   string `xml:"NetworkAccessPointID,attr"`
		Kind      string `xml:"NetworkAccessPointTypeCode,attr"`
		Roles     []code `xml:"RoleIDCode"`
	} `xml:"ActiveParticipant"`
	Source struct {
		ID string `xml:"AuditSourceID,attr"`
	} `xml:"AuditSourceIdentification"`
	Objects []struct {
		ID       string `xml:"ParticipantObjectID,attr"`
		Type     string `xml:"ParticipantObjectTypeCode,attr"`
		Role     string `xml:"ParticipantObjectTypeCodeRole,attr"`
		IDType   code   `xml:"ParticipantObjectIDTypeCode"`
		Classes  []sop  `xml:"ParticipantObjectDescription>SOPClass"`
		Accesses []struct {
			Number string `xml:"Number,attr"`
		} `xml:"ParticipantObjectDescription>Accession"`
		Details []struct {
			Value string `xml:"value,attr"`
		} `xml:"ParticipantObjectDetail"`
	} `xml:"ParticipantObjectIdentification"`
}

type code struct {
	Code   string `xml:"csd-code,attr"`
	System string `xml:"codeSystemName,attr"`
	Text   string `xml:"originalText,attr"`
}

type sop struct {
	UID   string `xml:"UID,attr"`
	Count string `xml:"NumberOfInstances,attr"`
}

func parse(t *testing.T, line string) parsed {
	t.Helper()
	var p parsed
	if err := xml.Unmarshal([]byte(line), &p); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return p
}

var study = audit.Study{UID: "1.2.3", PatientID: "P1", AccessionNumber: "A1", SOPClasses: map[string]int{"1.2.840.10008.5.1.4.1.1.4": 20}}

func TestEachKindIsTheStandardsMessage(t *testing.T) {
	for _, want := range []struct {
		event                 audit.Event
		id, kind, action, out string
		requestor             string
		objects               int
	}{
		{audit.Event{Kind: audit.Start}, "110100", "110120", "E", "0", "neurotriage 42", 0},
		{audit.Event{Kind: audit.Stop}, "110100", "110121", "E", "0", "neurotriage 42", 0},
		{audit.Event{Kind: audit.Received, Peer: "MODALITY", Address: "10.0.0.7:1234", Studies: []audit.Study{study}}, "110104", "", "C", "0", "MODALITY", 2},
		{audit.Event{Kind: audit.Sent, Peer: "ARCHIVE", Address: "10.0.0.9:104", Studies: []audit.Study{study}}, "110104", "", "R", "0", "neurotriage 42", 2},
		{audit.Event{Kind: audit.Sent, Peer: "ARCHIVE", Failed: true, Detail: "away", Studies: []audit.Study{study}}, "110104", "", "R", "4", "neurotriage 42", 2},
		{audit.Event{Kind: audit.Read, Studies: []audit.Study{study}}, "110103", "", "R", "0", "neurotriage 42", 2},
		{audit.Event{Kind: audit.Read, User: "dr.no", Address: "[::1]:99", Studies: []audit.Study{{UID: "1.2"}}}, "110103", "", "R", "0", "dr.no", 1},
		{audit.Event{Kind: audit.Changed, User: "dr.no", Detail: "rejected", Studies: []audit.Study{study}}, "110103", "", "U", "0", "dr.no", 2},
		{audit.Event{Kind: audit.Export, Peer: "fhir", Address: "https://u:p@fhir.example/r4", Studies: []audit.Study{study}}, "110106", "", "R", "0", "neurotriage 42", 2},
		{audit.Event{Kind: audit.Query, User: "dr.no", Detail: "list"}, "110112", "", "E", "0", "dr.no", 1},
		{audit.Event{Kind: audit.Refused, Peer: "STRANGER", Address: "192.0.2.1:4", Detail: "not on the list"}, "110113", "110126", "E", "4", "STRANGER", 1},
		{audit.Event{Kind: audit.Login, User: "dr.no", Address: "192.0.2.1:4"}, "110114", "110122", "E", "0", "dr.no", 0},
		{audit.Event{Kind: audit.Login, User: "dr.no", Failed: true}, "110114", "110122", "E", "4", "dr.no", 0},
		{audit.Event{Kind: audit.Logout, User: "dr.no"}, "110114", "110123", "E", "0", "dr.no", 0},
		{audit.Event{Kind: audit.Configured, Detail: "log.level"}, "110113", "110127", "E", "0", "neurotriage 42", 1},
	} {
		folder := t.TempDir()
		record(t, open(t, folder), want.event)
		line := lines(t, folder)[0]
		p := parse(t, line)
		kind := ""
		if len(p.Event.Types) > 0 {
			kind = p.Event.Types[0].Code
		}
		got := []string{p.Event.ID.Code, kind, p.Event.Action, p.Event.Outcome}
		if fmt.Sprint(got) != fmt.Sprint([]string{want.id, want.kind, want.action, want.out}) {
			t.Errorf("%+v: %v", want.event, got)
		}
		var requestors []string
		for _, one := range p.Participants {
			if one.Requestor {
				requestors = append(requestors, one.UserID)
			}
			if one.UserID == "" || one.Address == "" != (one.Kind == "") {
				t.Errorf("%+v: participant %+v", want.event, one)
			}
		}
		if len(requestors) != 1 || requestors[0] != want.requestor {
			t.Errorf("%+v: requested by %v, want %s", want.event, requestors, want.requestor)
		}
		if len(p.Objects) != want.objects {
			t.Errorf("%+v: %d objects, want %d", want.event, len(p.Objects), want.objects)
		}
		if p.Source.ID != "triage-1" || p.Event.Time != "2026-11-24T03:04:05.000006Z" || p.Event.ID.System != "DCM" || p.Event.ID.Text == "" {
			t.Errorf("%+v: %s", want.event, line)
		}
		if strings.Contains(line, "u:p@") {
			t.Error("a password stands in the log")
		}
	}
}

func TestStudyAndPatientAreObjects(t *testing.T) {
	folder := t.TempDir()
	record(t, open(t, folder), audit.Event{Kind: audit.Received, Peer: "MODALITY", Studies: []audit.Study{study}})
	p := parse(t, lines(t, folder)[0])
	s, patient := p.Objects[0], p.Objects[1]
	if s.ID != "1.2.3" || s.Type != "2" || s.Role != "3" || s.IDType.Code != "110180" || len(s.Classes) != 1 || s.Classes[0].Count != "20" || s.Accesses[0].Number != "A1" {
		t.Errorf("study %+v", s)
	}
	if patient.ID != "P1" || patient.Type != "1" || patient.Role != "1" || patient.IDType.Code != "2" {
		t.Errorf("patient %+v", patient)
	}
}

func TestHostileTextStaysOneLine(t *testing.T) {
	folder := t.TempDir()
	log := open(t, folder)
	evil := "a\n<AuditMessage/>\x00\x1b[31m\"'&\xff"
	record(t, log, audit.Event{Kind: audit.Refused, User: evil, Peer: evil, Address: evil, Detail: evil, Studies: nil})
	record(t, log, audit.Event{Kind: audit.Read, User: evil, Studies: []audit.Study{{UID: "1.2", PatientID: evil, AccessionNumber: evil}}})
	all := lines(t, folder)
	if len(all) != 2 {
		t.Fatalf("%d lines: %q", len(all), all)
	}
	p := parse(t, all[0])
	detail, err := base64.StdEncoding.DecodeString(p.Objects[0].Details[0].Value)
	if err != nil || string(detail) != evil {
		t.Errorf("the alert's own words were changed: %q %v", detail, err)
	}
	if got := parse(t, all[1]).Participants[0].UserID; strings.ContainsAny(got, "\n\x00\x1b") {
		t.Errorf("user %q", got)
	}
}

func TestUnknownKindIsAnError(t *testing.T) {
	if err := open(t, t.TempDir()).Record(audit.Event{Kind: "party"}); err == nil {
		t.Error("it was written")
	}
}

func TestLogGoesOnAfterACrashInTheMiddleOfALine(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "audit.log"), []byte(`<AuditMessage><EventId`), 0o600); err != nil {
		t.Fatal(err)
	}
	record(t, open(t, folder), audit.Event{Kind: audit.Start})
	all := lines(t, folder)
	if len(all) != 2 {
		t.Fatalf("lines %q", all)
	}
	parse(t, all[1])
}

func TestClosedLogRefuses(t *testing.T) {
	log := open(t, t.TempDir())
	for range 2 {
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Record(audit.Event{Kind: audit.Start}); err == nil {
		t.Error("a closed log took a message")
	}
}

func TestFolderIsPrivate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "audit")
	record(t, open(t, folder), audit.Event{Kind: audit.Start})
	for _, path := range []string{folder, filepath.Join(folder, "audit.log")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
	}
}

// repository is a syslog receiver over TLS that may be away.
type repository struct {
	listener net.Listener
	messages chan string
	trust    *x509.CertPool
	cert     tls.Certificate
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r := &repository{messages: make(chan string, 1000), trust: x509.NewCertPool()}
	r.trust.AddCert(parsed)
	r.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	r.listen(t, "127.0.0.1:0")
	return r
}

func (r *repository) listen(t *testing.T, address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{r.cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	r.listener = listener
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.receive(conn)
		}
	}()
}

// receive reads octet-counted frames (RFC 5425 4.3.1).
func (r *repository) receive(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		count, err := in.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil {
			r.messages <- "not a count: " + count
			return
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		r.messages <- string(frame)
	}
}

func (r *repository) options(o *audit.Options) {
	o.Syslog = &audit.SyslogOptions{
		Address: r.listener.Addr().String(), Host: "triage", TLS: &tls.Config{RootCAs: r.trust, MinVersion: tls.VersionTLS12},
	}
}

func (r *repository) next(t *testing.T) string {
	t.Helper()
	select {
	case m := <-r.messages:
		return m
	case <-time.After(time.Minute):
		t.Fatal("no message came")
		return ""
	}
}

var header = regexp.MustCompile(`^<85>1 2026-11-24T03:04:05\.000006Z triage neurotriage \d+ DICOM\+RFC3881 - \x{FEFF}(<AuditMessage>.*</AuditMessage>)$`)

func TestRepositoryGetsEachMessageInItsFrame(t *testing.T) {
	r := newRepository(t)
	log := open(t, t.TempDir(), r.options)
	for _, uid := range []string{"1.1", "1.2", "1.3"} {
		record(t, log, audit.Event{Kind: audit.Read, Studies: []audit.Study{{UID: uid}}})
		frame := r.next(t)
		match := header.FindStringSubmatch(frame)
		if match == nil {
			t.Fatalf("frame %q", frame)
		}
		if got := parse(t, match[1]).Objects[0].ID; got != uid {
			t.Errorf("study %s, want %s", got, uid)
		}
	}
}

func TestRepositoryThatWasAwayGetsAllOfIt(t *testing.T) {
	r := newRepository(t)
	address := r.listener.Addr().String()
	if err := r.listener.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	log := open(t, folder, r.options)
	record(t, log, audit.Event{Kind: audit.Read, Studies: []audit.Study{{UID: "1.1"}}})
	if err := log.Close(); err != nil { // also over a restart
		t.Fatal(err)
	}
	r.listen(t, address)
	log = open(t, folder, r.options)
	record(t, log, audit.Event{Kind: audit.Read, Studies: []audit.Study{{UID: "1.2"}}})
	for _, uid := range []string{"1.1", "1.2"} {
		if frame := r.next(t); !strings.Contains(frame, `"`+uid+`"`) {
			t.Errorf("frame %q, want %s", frame, uid)
		}
	}
}

func TestStopIsSentAndNothingTwiceAfterARestart(t *testing.T) {
	r := newRepository(t)
	folder := t.TempDir()
	for range 2 {
		log := open(t, folder, r.options)
		record(t, log, audit.Event{Kind: audit.Start})
		record(t, log, audit.Event{Kind: audit.Stop})
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"110120", "110121"} { // each connection has a reader of its own: take one's before the next
			if frame := r.next(t); !strings.Contains(frame, want) {
				t.Errorf("frame %q, want %s", frame, want)
			}
		}
	}
	if len(r.messages) != 0 {
		t.Errorf("more came: %q", <-r.messages)
	}
}

func TestUntrustedRepositoryGetsNothing(t *testing.T) {
	r := newRepository(t)
	stranger := newRepository(t)
	log := open(t, t.TempDir(), stranger.options, func(o *audit.Options) { o.Syslog.Address = r.listener.Addr().String() })
	record(t, log, audit.Event{Kind: audit.Start})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if len(r.messages) != 0 {
		t.Errorf("an untrusted repository got %q", <-r.messages)
	}
}
