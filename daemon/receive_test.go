package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
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
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
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
