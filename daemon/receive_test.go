package daemon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/events"
	"neurotriage/internal/kit"
	"neurotriage/pacs/dimse"
)

const (
	mrImage      = "1.2.840.10008.5.1.4.1.1.4"
	secondary    = "1.2.840.10008.5.1.4.1.1.7"
	quickQuiet   = 300 * time.Millisecond
	patientQuiet = time.Hour
)

// receiving is a house that takes a study for complete when its sender hangs up,
// and never by the clock: machines stall.
func receiving(t testing.TB) *house {
	t.Helper()
	h := newHouse(t)
	h.cfg.PACS.Receive.Quiet = patientQuiet
	h.cfg.PACS.Receive.Sources = map[string]config.Source{
		"near": {Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Series: []string{"*"}},
	}
	return h
}

// waiting is a house that announces studies by the clock alone.
func waiting(t testing.TB, quiet time.Duration) *house {
	t.Helper()
	h := newHouse(t)
	h.cfg.PACS.Receive.Quiet = quiet
	return h
}

// associate connects to the daemon as a sender with this title.
func associate(t testing.TB, d *daemon.Daemon, calling string) (*dimse.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return dimse.Dial(ctx, dimse.ClientOptions{Address: d.Addresses().DICOM, Calling: calling, Called: "NEUROTRIAGE", Propose: []dimse.Proposal{
		{SOPClass: dimse.Verification}, {SOPClass: mrImage}, {SOPClass: secondary},
	}})
}

// object is a file as C-STORE sends it.
func object(file kit.File) dimse.Object {
	return dimse.Object{
		SOPClassUID: fmt.Sprint(file.Element(0x00080016).Value), SOPInstanceUID: fmt.Sprint(file.Element(0x00080018).Value),
		TransferSyntaxUID: kit.ExplicitLittle, Data: bytes.NewReader(kit.EncodeDataSet(kit.ExplicitLittle, file.Elements)),
	}
}

// send sends files over one association.
func send(t testing.TB, d *daemon.Daemon, calling string, files ...kit.File) {
	t.Helper()
	c, err := associate(t, d, calling)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := c.Store(t.Context(), object(file)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// finding waits until the study's finding in force is another than before.
func (c *client) finding(uid, before string) neurotriage.Finding {
	c.t.Helper()
	var entry events.Entry
	deadline := time.Now().Add(60 * time.Second)
	for entry.Finding == nil || entry.Finding.ID == before {
		if time.Now().After(deadline) {
			c.t.Fatalf("study %s has no new finding after 60 s: %+v", uid, entry)
		}
		time.Sleep(10 * time.Millisecond)
		var err error
		if entry, _, err = c.bus.Entry(c.t.Context(), uid); err != nil {
			c.t.Fatal(err)
		}
	}
	f, found, err := c.bus.Finding(c.t.Context(), entry.Finding.ID)
	if err != nil || !found {
		c.t.Fatal(found, err)
	}
	return f
}

// marked gives a file another maker, class and instance.
func marked(file kit.File, manufacturer, class, instance string) kit.File {
	file.Elements = file.With(kit.Element{Tag: 0x00080070, VR: "LO", Value: manufacturer},
		kit.Element{Tag: 0x00080016, VR: "UI", Value: class}, kit.Element{Tag: 0x00080018, VR: "UI", Value: instance})
	file.Data = kit.EncodeFile(kit.ExplicitLittle, file.Elements)
	return file
}

func TestReceiveByCStore(t *testing.T) {
	h := receiving(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	files := headStudy("received", 7, true).Files()
	uid := kit.UID("received")

	send(t, d, "MRI1", files[:6]...)
	first := c.finding(uid, "")
	if first.Disposition != neurotriage.GliomaReview || len(first.Series) != 1 || first.Series[0].Slices != 6 {
		t.Errorf("finding %+v", first)
	}
	entry, _, err := c.bus.Entry(t.Context(), uid)
	if want := (neurotriage.Location{Kind: neurotriage.Directory, Root: "received", Path: "near/" + uid}); err != nil || *entry.Finding.Location != want {
		t.Errorf("location %+v, %v", entry.Finding.Location, err)
	}

	send(t, d, "MRI1", files[6]) // a late image
	second := c.finding(uid, first.ID)
	if second.Replaces != first.ID || second.Series[0].Slices != 7 {
		t.Errorf("after a late image: %+v", second)
	}

	// What an archive sends back: all of it again, and our own report.
	send(t, d, "ARCHIVE", append(files, marked(files[0], neurotriage.Manufacturer, secondary, "2.25.1"))...)
	kit.Until(t, "the report is counted", func() bool {
		_, text := get(t, d, "/metrics")
		return strings.Contains(text, `neurotriage_pacs_objects_total{outcome="own",source="near"} 1`) &&
			strings.Contains(text, `neurotriage_pacs_objects_total{outcome="identical",source="near"} 7`)
	})
	if n := len(c.findingsOf(uid)); n != 2 {
		t.Errorf("%d findings, want 2", n)
	}
	if _, text := get(t, d, "/metrics"); !strings.Contains(text, `neurotriage_pacs_announcements_total{source="near",why="closed"} 2`) {
		t.Error("an archive that sends everything back caused an announcement")
	}
	if status, text := get(t, d, "/readyz"); status != http.StatusOK || !strings.Contains(text, "NEUROTRIAGE at "+d.Addresses().DICOM) {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if banner := d.Banner(); !strings.Contains(banner, "NEUROTRIAGE at "+d.Addresses().DICOM) || !strings.Contains(banner, "received = ") {
		t.Errorf("banner %s", banner)
	}
}

// A sender that stays connected, or sends in pieces, is waited for.
func TestReceiveQuiet(t *testing.T) {
	h := waiting(t, quickQuiet)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	conn, err := associate(t, d, "MRI1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	for _, file := range headStudy("quiet", 6, true).Files() {
		if err := conn.Store(t.Context(), object(file)); err != nil {
			t.Fatal(err)
		}
	}
	f := c.finding(kit.UID("quiet"), "")
	for f.Series[0].Slices < 6 { // the machine stalled while images were sent
		f = c.finding(kit.UID("quiet"), f.ID)
	}
	if _, text := get(t, d, "/metrics"); !strings.Contains(text, `neurotriage_pacs_announcements_total{source="others",why="quiet"}`) {
		t.Error("the announcement was not counted")
	}
}

func TestReceiveWhoMaySend(t *testing.T) {
	h := waiting(t, patientQuiet)
	r := &h.cfg.PACS.Receive
	r.OnlySources = true
	r.Sources = map[string]config.Source{
		"mri1": {AETitles: []string{"MRI1"}, Series: []string{"*"}},
		"far":  {AETitles: []string{"FAR"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	for _, title := range []string{"STRANGER", "FAR", "mri1"} {
		conn, err := associate(t, d, title)
		if rejection, ok := errors.AsType[dimse.Rejection](err); !ok || rejection != dimse.RejectCalling {
			t.Errorf("%s was let in, or told %v", title, err)
			conn.Abort()
		}
	}
	// The line's end completes the study: its quiet time is an hour.
	send(t, d, "MRI1", headStudy("closed", 6, true).Files()...)
	if f := c.finding(kit.UID("closed"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
	book, err := os.ReadDir(filepath.Join(h.cfg.StateDir, "audit"))
	if err != nil || len(book) == 0 {
		t.Fatalf("log book: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(h.cfg.StateDir, "audit", book[0].Name()))
	if err != nil || !bytes.Contains(text, []byte("STRANGER")) || !bytes.Contains(text, []byte(kit.UID("closed"))) {
		t.Errorf("the log book lacks the stranger or the study: %v\n%s", err, text)
	}
}

func TestReceiveClasses(t *testing.T) {
	h := receiving(t)
	d := h.start(&runner{})
	conn, err := associate(t, d, "MRI1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	if err := conn.Echo(t.Context()); err != nil {
		t.Errorf("C-ECHO: %v", err)
	}
	file := headStudy("classes", 2, false).Files()[0]
	err = conn.Store(t.Context(), object(marked(file, "ACME", secondary, "2.25.2")))
	if status, ok := errors.AsType[*dimse.StatusError](err); !ok || status.Status != dimse.StatusClassNotSupported {
		t.Errorf("another's secondary capture: %v", err)
	}
	if err := conn.Store(t.Context(), object(marked(file, neurotriage.Manufacturer, secondary, "2.25.3"))); err != nil {
		t.Errorf("our own: %v", err)
	}
	wrong := object(file)
	wrong.SOPInstanceUID = "2.25.4"
	err = conn.Store(t.Context(), wrong)
	if status, ok := errors.AsType[*dimse.StatusError](err); !ok || status.Status != dimse.StatusDataSetMismatch {
		t.Errorf("a data set of another instance: %v", err)
	}
}

func TestReceiveWhenFull(t *testing.T) {
	h := receiving(t)
	h.cfg.PACS.Receive.MinFree = 1 << 60
	d := h.start(&runner{})
	_, err := associate(t, d, "MRI1")
	if rejection, ok := errors.AsType[dimse.Rejection](err); !ok || !rejection.Transient() {
		t.Errorf("a full depot says %v", err)
	}
	if status, text := get(t, d, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "pacs.receive.min_free") {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if status, _ := stowed(t, d, "", headStudy("full", 2, false).Files()); status != http.StatusInsufficientStorage {
		t.Errorf("STOW-RS: %d", status)
	}
}

// stowed sends files by STOW-RS.
func stowed(t testing.TB, d *daemon.Daemon, below string, files []kit.File) (status int, answer string) {
	t.Helper()
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, file := range files {
		part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write(file.Data)
	}
	_ = parts.Close()
	return post(t, d, "dicom-web/studies"+below, `multipart/related; type="application/dicom"; boundary=`+parts.Boundary(), body.Bytes(), "")
}

func post(t testing.TB, d *daemon.Daemon, path, kind string, body []byte, token string) (status int, answer string) {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Addresses().HTTP+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	rq.Header.Set("Content-Type", kind)
	if token != "" {
		rq.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestReceiveBySTOW(t *testing.T) {
	h := receiving(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	files := headStudy("web", 6, true).Files()
	if status, text := stowed(t, d, "/1.2.3", files[:1]); status != http.StatusConflict {
		t.Errorf("an object of another study: %d %s", status, text)
	}
	if status, text := stowed(t, d, "", files); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	if f := c.finding(kit.UID("web"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
}

// Requests of STOW-RS are not bound by what the page's are.
func TestReceiveMuchBySTOW(t *testing.T) {
	h := waiting(t, patientQuiet)
	d := h.start(&runner{})
	files := headStudy("much", 20, false).Files()
	if size := len(files) * len(files[0].Data); size < 128<<10 {
		t.Fatalf("%d bytes are not much", size)
	}
	if status, text := stowed(t, d, "", files); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
}

func TestAnnounceByPOST(t *testing.T) {
	h := waiting(t, patientQuiet)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.cfg.HTTP.Auth.TokenFile = token
	h.cfg.HTTP.Access = config.HTTPAccess{
		UserHeader: "X-User", Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Viewers: []string{"*"}, Identity: h.cfg.HTTP.Access.Identity,
	}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	lying := h.put(headStudy("lying", 6, true))
	send(t, d, "MRI1", headStudy("sent", 6, true).Files()...)
	uid := kit.UID("lying")
	for _, bad := range []struct {
		name, kind, token, body string
		status                  int
		says                    string
	}{
		{"no token", "application/json", "", `{}`, http.StatusUnauthorized, "authentication"},
		{"another token", "application/json", "open", `{}`, http.StatusUnauthorized, "authentication"},
		{"a form", "text/plain", "sesame", `{}`, http.StatusUnsupportedMediaType, "application/json"},
		{"no JSON", "application/json", "sesame", `study`, http.StatusBadRequest, "reading the announcement"},
		{"more than one", "application/json", "sesame", `{"study_instance_uid":"1.2"}{}`, http.StatusBadRequest, "follows"},
		{"no study", "application/json", "sesame", `{}`, http.StatusBadRequest, "study_instance_uid: uid is empty"},
		{"a misspelt field", "application/json", "sesame", `{"study_uid":"1.2"}`, http.StatusBadRequest, "study_uid"},
		{"a location without path", "application/json", "sesame", `{"study_instance_uid":"1.2","location":{"kind":"directory","root":"incoming"}}`, http.StatusBadRequest, "location.path"},
		{"a priority that is none", "application/json", "sesame", `{"study_instance_uid":"1.2","priority":"soon"}`, http.StatusBadRequest, "priority"},
		{"a study that is not here", "application/json", "sesame", `{"study_instance_uid":"1.2"}`, http.StatusNotFound, "was not sent here"},
		{"too much", "application/json", "sesame", `{"study_instance_uid":"` + strings.Repeat("1", 100<<10) + `"}`, http.StatusRequestEntityTooLarge, ""},
	} {
		if status, text := post(t, d, "v1/studies", bad.kind, []byte(bad.body), bad.token); status != bad.status || !strings.Contains(text, bad.says) {
			t.Errorf("%s: %d %s", bad.name, status, text)
		}
	}
	for name, body := range map[string]map[string]any{
		"where it lies":       {"study_instance_uid": uid, "location": lying.Location, "priority": "stat", "accession_number": "A1"},
		"which was sent here": {"study_instance_uid": kit.UID("sent")},
	} {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		status, answer := post(t, d, "v1/studies", "application/json; charset=utf-8", text, "sesame")
		var accepted struct {
			EventID string               `json:"event_id"`
			Place   neurotriage.Location `json:"location"`
		}
		if err := json.Unmarshal([]byte(answer), &accepted); status != http.StatusAccepted || err != nil || accepted.EventID == "" || accepted.Place.Root == "" {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		if f := c.finding(fmt.Sprint(body["study_instance_uid"]), ""); f.Disposition != neurotriage.GliomaReview {
			t.Errorf("%s: finding %+v", name, f)
		}
	}
	entry, _, err := c.bus.Entry(t.Context(), uid)
	if err != nil || entry.Priority != neurotriage.Stat || entry.AccessionNumber != "A1" {
		t.Errorf("entry %+v, %v", entry, err)
	}
}

func TestWatchedRoot(t *testing.T) {
	h := newHouse(t)
	h.cfg.PACS.Watch = map[string]config.Watch{"drop": {Root: "incoming", Quiet: time.Second}}
	h.put(headStudy("dropped", 6, true))
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	if f := c.finding(kit.UID("dropped"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
	if status, text := get(t, d, "/readyz"); status != http.StatusOK || !strings.Contains(text, "watch drop") {
		t.Errorf("/readyz: %d %s", status, text)
	}
}

// With everything off nothing listens, and nothing is made.
func TestReceiverOff(t *testing.T) {
	h := newHouse(t)
	h.cfg.PACS.Receive.Listen, h.cfg.PACS.Receive.STOW = "", false
	d := h.start(&runner{})
	if d.Addresses().DICOM != "" || strings.Contains(d.Banner(), "dicom") {
		t.Errorf("addresses %+v", d.Addresses())
	}
	if _, err := os.Stat(h.cfg.ReceivedDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of received images: %v", err)
	}
	if status, _ := stowed(t, d, "", headStudy("off", 2, false).Files()); status == http.StatusOK {
		t.Error("images were taken")
	}
	if status, text := get(t, d, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, text)
	}
}

// Depots of two daemons go by two names; a study goes to the one that has it.
func TestTwoDepots(t *testing.T) {
	nats := outside(t)
	first, second := receiving(t), receiving(t)
	first.cfg.NATS.URL, second.cfg.NATS.URL = nats.URL, nats.URL
	first.cfg.PACS.Receive.Root, second.cfg.PACS.Receive.Root = "received-a", "received-b"
	first.start(&runner{})
	b := second.start(&runner{})
	c := connect(t, nats.URL)
	var uids []string
	for i := range 4 {
		name := fmt.Sprintf("two-%d", i)
		send(t, b, "MRI1", headStudy(name, 6, true).Files()...)
		uids = append(uids, kit.UID(name))
	}
	for _, uid := range uids {
		if f := c.finding(uid, ""); f.Disposition != neurotriage.GliomaReview {
			t.Errorf("finding %+v", f)
		}
	}
}

func TestReceivePortTaken(t *testing.T) {
	first := newHouse(t).start(&runner{})
	h := newHouse(t)
	h.cfg.PACS.Receive.Listen = first.Addresses().DICOM
	d, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: opener(&runner{})})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "pacs.receive.listen") || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("start on a taken port: %v", err)
	}
}

// dcmtk is the yardstick of senders.
func TestReceiveFromStorescu(t *testing.T) {
	storescu, echoscu := peer(t, "storescu"), peer(t, "echoscu")
	h := receiving(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	host, port, _ := strings.Cut(d.Addresses().DICOM, ":")
	folder := t.TempDir()
	if err := headStudy("dcmtk", 6, true).WriteDir(folder); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{echoscu, "-aec", "NEUROTRIAGE", host, port},
		{storescu, "-aec", "NEUROTRIAGE", "-aet", "MRI1", "+sd", "+r", host, port, folder},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), echoscu, "-aec", "SOMEBODY", host, port).CombinedOutput(); err == nil {
		t.Errorf("another title was answered: %s", out)
	}
	if f := c.finding(kit.UID("dcmtk"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
}

// peer finds a program of another house.
func peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("NEUROTRIAGE_CI") != "" {
		t.Fatalf("%s is missing", name)
	}
	if err != nil {
		t.Skipf("%s is missing (apt-get install dcmtk orthanc)", name)
	}
	return path
}

// With a client authority only certificates of its are let in, whatever title
// they claim.
func TestReceiveByTLS(t *testing.T) {
	h := receiving(t)
	cert, key, pool := certificate(t)
	h.cfg.PACS.Receive.TLS = config.ServerTLS{Cert: cert, Key: key, ClientCA: cert}
	d := h.start(&runner{})
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	strangerCert, strangerKey, _ := certificate(t)
	stranger, err := tls.LoadX509KeyPair(strangerCert, strangerKey)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(secure *tls.Config) (*dimse.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return dimse.Dial(ctx, dimse.ClientOptions{
			Address: d.Addresses().DICOM, Calling: "MRI1", Called: "NEUROTRIAGE", TLS: secure, Propose: []dimse.Proposal{{SOPClass: dimse.Verification}},
		})
	}
	for name, secure := range map[string]*tls.Config{
		"no TLS": nil, "no certificate": {RootCAs: pool}, "another's certificate": {RootCAs: pool, Certificates: []tls.Certificate{stranger}},
		"old TLS": {RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	} {
		if conn, err := dial(secure); err == nil {
			t.Errorf("%s: let in", name)
			conn.Abort()
		}
	}
	conn, err := dial(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	if err := conn.Echo(t.Context()); err != nil {
		t.Error(err)
	}
	if banner := d.Banner(); !strings.Contains(banner, "(TLS)") {
		t.Errorf("banner %s", banner)
	}
}

// When there is no more room, what is read goes, and senders that were turned
// away meanwhile get through.
func TestReceiveMakesRoom(t *testing.T) {
	h := waiting(t, quickQuiet)
	first, second := headStudy("room-1", 6, true).Files(), headStudy("room-2", 6, true).Files()
	whole := int64(0)
	for _, file := range first {
		whole += int64(len(file.Data))
	}
	h.cfg.PACS.Receive.KeepBytes = config.Size(whole * 5 / 4)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	send(t, d, "MRI1", first...)
	c.finding(kit.UID("room-1"), "")
	refused := 0
	for _, file := range second {
		kit.Until(t, "there is room again", func() bool {
			conn, err := associate(t, d, "MRI1")
			if err != nil {
				refused++
				return false
			}
			defer conn.Abort()
			if err := conn.Store(t.Context(), object(file)); err != nil {
				refused++
				return false
			}
			return conn.Release(t.Context()) == nil
		})
	}
	if f := c.finding(kit.UID("room-2"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
	if refused == 0 {
		t.Error("nobody was turned away: the limit was not met")
	}
	if _, err := os.Stat(filepath.Join(h.cfg.ReceivedDir(), "others", kit.UID("room-1"))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the study that was read: %v", err)
	}
	if _, text := get(t, d, "/metrics"); !strings.Contains(text, `neurotriage_pacs_removed_studies_total{why="bytes"} 1`) {
		t.Error("the removal was not counted")
	}
}
