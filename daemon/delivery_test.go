package daemon_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
	"neurotriage/internal/kit"
	"neurotriage/pacs/dicomweb"
)

// stow is a destination of that kind.
func stow(url string) config.Destination {
	return config.Destination{Kind: "stow", URL: url, Attempts: 20, Timeout: time.Minute}
}

// deadAddress is one at which nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// deliveries waits until every destination is in the state wanted.
func (c *client) deliveries(f neurotriage.Finding, want map[string]events.DeliveryState) events.Entry {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var entry events.Entry
	// Longer than a pause after an outage may become on a slow machine.
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); <-tick.C {
		var err error
		entry, _, err = c.bus.Entry(c.t.Context(), f.StudyInstanceUID)
		if err == nil && maps.EqualFunc(entry.Deliveries, want, func(d events.Delivery, state events.DeliveryState) bool {
			return d.State == state && d.FindingID == f.ID
		}) {
			return entry
		}
	}
	c.t.Fatalf("the deliveries of %s are %+v, want %v", f.ID, entry.Deliveries, want)
	return entry
}

// TestThereAndBack: a study that lies in Orthanc is announced by its address
// there, retrieved and read; the report, the key images and the key object come
// back into the same study, by two ways at once, beside a destination that is
// dead and one that is not meant.
func TestThereAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("pictures are drawn, which takes long under the race detector")
	}
	orthanc := kit.StartOrthanc(t, nil)
	study := headStudy("there", 8, true)
	orthanc.Upload(t, study.Files())
	web := orthanc.URL + "/dicom-web"
	h := newHouse(t)
	h.pictures = true
	h.cfg.DICOMweb.Archives = map[string]config.Archive{"archive": {URL: web}}
	flagged := stow(web)
	flagged.When.Dispositions = []string{"not_flagged"}
	h.cfg.PACS.Destinations = map[string]config.Destination{
		"by-web":   stow(web),
		"by-dimse": {Kind: "cstore", Address: orthanc.DICOM, AETitle: "ORTHANC", Attempts: 20, Timeout: time.Minute, When: config.DestinationWhen{Sources: []string{"archive"}}},
		"dead":     {Kind: "cstore", Address: deadAddress(t), AETitle: "DEAD", Attempts: 1, Timeout: time.Minute},
		"not-ours": flagged,
	}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	job := neurotriage.Job{StudyInstanceUID: kit.UID("there"), Location: neurotriage.Location{Kind: neurotriage.DICOMweb, URL: web + "/studies/" + kit.UID("there")}}
	f := c.outcome(c.submit(job))[0]
	if f.Disposition != neurotriage.GliomaReview || len(f.Reports) < 3 {
		t.Fatalf("finding %s with reports %v", f.Disposition, f.Reports)
	}
	entry := c.deliveries(f, map[string]events.DeliveryState{"by-web": events.Delivered, "by-dimse": events.Delivered, "dead": events.DeliveryPending})
	if status, body := get(t, d, "/readyz"); status != http.StatusOK || !strings.Contains(body, "findings wait for it") {
		t.Errorf("with a dead destination the daemon is ready (%d): %s", status, body)
	}
	if dead := entry.Deliveries["dead"]; dead.Attempts != 0 || !strings.Contains(dead.Note, "DEAD") {
		t.Errorf("the dead destination is noted as %+v", dead)
	}
	wantBack(t, web, f)

	// What came back changes nothing: the study read anew is the same finding.
	again := c.outcome(c.submit(job))[0]
	if again.ID != f.ID || len(c.findingsOf(f.StudyInstanceUID)) != 1 {
		t.Errorf("read again with its reports the study has finding %s, was %s", again.ID, f.ID)
	}
	wantBack(t, web, f)
}

// wantBack asks the archive for what belongs to the finding's study.
func wantBack(t *testing.T, web string, f neurotriage.Finding) {
	t.Helper()
	client, err := dicomweb.New(dicomweb.Options{Root: web, Guard: &dicomweb.Guard{Allow: []string{web + "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	found, err := client.Search(t.Context(), url.Values{"limit": {"1000"}, "includefield": {"00080060"}}, "studies", f.StudyInstanceUID, "instances")
	if err != nil {
		t.Fatal(err)
	}
	modality := map[string]string{}
	for _, one := range found {
		modality[one.Text("00080018")] = one.Text("00080060")
	}
	if len(found) != 8+len(f.Reports) || len(modality) != len(found) {
		t.Errorf("the study has %d instances in the archive, want 8 slices and %d reports", len(found), len(f.Reports))
	}
	want := map[string]string{"sr": "SR", "key_object": "KO"}
	kinds := map[string]bool{}
	for _, one := range f.Reports {
		kinds[one.Kind] = true
		if got, there := modality[one.SOPInstanceUID]; !there || want[one.Kind] != "" && got != want[one.Kind] {
			t.Errorf("%s %s came back (%v) with modality %q", one.Kind, one.SOPInstanceUID, there, got)
		}
	}
	if !kinds["sr"] || !kinds["key_image"] || !kinds["key_object"] {
		t.Errorf("reports of the kinds %v came back", kinds)
	}
}

// shelf takes what is stored and keeps a copy; at the given transfer it does
// something first.
type shelf struct {
	t      *testing.T
	server *httptest.Server

	mu        sync.Mutex
	transfers int
	before    func(transfer int, r *http.Request) // may read some of the body
	after     func(transfer int)                  // once all is kept, before the answer
	objects   map[string][][]byte                 // by study in the URL and place in the transfer
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{t: t, objects: map[string][][]byte{}}
	receiver := dicomweb.NewReceiver(dicomweb.ReceiverOptions{Depot: s})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /dicom-web/studies", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.transfers++
		transfer := s.transfers
		s.mu.Unlock()
		if s.before != nil {
			s.before(transfer, r)
		}
		receiver.ServeHTTP(w, r)
	})
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *shelf) Store(_ context.Context, _ dicomweb.Incoming, object io.Reader) (dicomweb.Kept, error) {
	data, err := io.ReadAll(object)
	if err != nil {
		return dicomweb.Kept{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	uid := instanceOf(data)
	s.objects[uid] = append(s.objects[uid], data)
	return dicomweb.Kept{SOPClassUID: "1.2", SOPInstanceUID: uid, StudyInstanceUID: "1.2"}, nil
}

// instanceOf reads (0002,0003) of a file that we wrote.
func instanceOf(data []byte) string {
	_, rest, _ := bytes.Cut(data, []byte{2, 0, 3, 0, 'U', 'I'})
	return strings.TrimRight(string(rest[2:2+int(rest[0])]), "\x00")
}

// TestDeliveryIsKilled: kill -9 in the middle of a transfer, and after it but
// before its answer; then a restart. Each object arrives, and a repeat is the
// same to the last bit.
func TestDeliveryIsKilled(t *testing.T) {
	for name, arrange := range map[string]func(s *shelf, kill func()){
		"in the middle": func(s *shelf, kill func()) {
			s.before = func(transfer int, r *http.Request) {
				if transfer == 1 {
					_, _ = io.CopyN(io.Discard, r.Body, 1000)
					kill()
				}
			}
		},
		"before the answer": func(s *shelf, kill func()) {
			s.after = func(transfer int) {
				if transfer == 1 {
					kill()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			h := newHouse(t)
			h.stow = s.server.URL + "/dicom-web"
			var first *process
			started := make(chan struct{})
			arrange(s, func() {
				<-started
				_ = first.cmd.Process.Signal(syscall.SIGKILL)
			})
			if s.after != nil {
				s.before = func(transfer int, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(body))
					s.after(transfer)
				}
			}
			first = startChild(t, h, "")
			close(started)
			job := first.submit(t, h.put(headStudy("delivered", 6, true)))
			if !first.end(t) {
				t.Fatalf("the child was not killed:\n%s", h.log)
			}
			second := startChild(t, h, "")
			c := connect(t, second.address.NATS)
			f := c.outcome(job)[0]
			c.deliveries(f, map[string]events.DeliveryState{"shelf": events.Delivered})
			s.mu.Lock()
			defer s.mu.Unlock()
			var want []string
			for _, one := range f.Reports {
				want = append(want, one.SOPInstanceUID)
			}
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(s.objects)); len(want) < 3 || !slices.Equal(got, want) {
				t.Errorf("arrived %q, want %q", got, want)
			}
			for uid, copies := range s.objects {
				for _, one := range copies[1:] {
					if !bytes.Equal(one, copies[0]) {
						t.Errorf("%s came again as another object", uid)
					}
				}
			}
			if s.transfers < 2 {
				t.Errorf("%d transfers: nothing was repeated", s.transfers)
			}
			wantExactlyOne(t, c, f)
			if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if second.end(t) {
				t.Error("the second child was killed")
			}
		})
	}
}

// TestDeadDestination that comes back gets what waited for it.
func TestDeadDestination(t *testing.T) {
	s := newShelf(t)
	address := deadAddress(t)
	h := newHouse(t)
	h.reports = true
	h.cfg.PACS.Destinations = map[string]config.Destination{"alive": stow(s.server.URL + "/dicom-web"), "dead": stow("http://" + address + "/dicom-web")}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	var jobs []neurotriage.Job
	for _, name := range []string{"one", "two", "three"} {
		jobs = append(jobs, c.submit(h.put(headStudy(name, 6, false))))
	}
	findings := c.outcome(jobs...)
	for _, f := range findings {
		c.deliveries(f, map[string]events.DeliveryState{"alive": events.Delivered, "dead": events.DeliveryPending})
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port of the dead destination was taken meanwhile: %v", err)
	}
	back := newShelf(t)
	revived := &http.Server{Handler: back.server.Config.Handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = revived.Serve(listener) }()
	t.Cleanup(func() { _ = revived.Close() })
	for _, f := range findings {
		c.deliveries(f, map[string]events.DeliveryState{"alive": events.Delivered, "dead": events.Delivered})
	}
	if len(back.objects) != len(s.objects) || len(back.objects) == 0 {
		t.Errorf("%d objects came to the one that was dead, %d to the other", len(back.objects), len(s.objects))
	}
}

// TestDestinationFaults of the configuration stop the start, not a delivery.
func TestDestinationFaults(t *testing.T) {
	h := newHouse(t)
	h.cfg.PACS.Destinations = map[string]config.Destination{"pacs": {Kind: "stow", URL: "https://pacs.example/", TokenFile: filepath.Join(h.root, "gone")}}
	if err := h.fails(); err == nil || !strings.Contains(err.Error(), `destination "pacs"`) || !strings.Contains(err.Error(), "token_file") {
		t.Error(err)
	}
	h.cfg.PACS.Destinations = map[string]config.Destination{"pacs": {Kind: "cstore", Address: "pacs:104", AETitle: "P", TLS: config.DestinationTLS{On: true, CA: filepath.Join(h.root, "README")}}}
	if err := h.fails(); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Error(err)
	}
}

// TestRedelivery: what a destination turned away until it was given up is
// delivered once somebody asks for it, and what it has got is not sent again.
func TestRedelivery(t *testing.T) {
	var refusing atomic.Bool
	var transfers atomic.Int64
	refusing.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method != http.MethodPost {
			return
		}
		if transfers.Add(1); refusing.Load() {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer server.Close()
	begin := time.Now()
	h := newHouse(t)
	h.reports = true
	once := stow(server.URL)
	once.Attempts = 1
	h.cfg.PACS.Destinations = map[string]config.Destination{"picky": once}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	f := c.outcome(c.submit(h.put(headStudy("picky", 6, false))))[0]
	entry := c.deliveries(f, map[string]events.DeliveryState{"picky": events.DeliveryFailed})
	if failed := entry.Deliveries["picky"]; failed.Attempts != 1 || !strings.Contains(failed.Note, "409") {
		t.Errorf("noted as %+v", failed)
	}
	refusing.Store(false)
	for range 2 {
		if err := c.bus.RewindFeed(t.Context(), events.Feed{Name: "picky", Kind: events.FindingFeed}, begin); err != nil {
			t.Fatal(err)
		}
		c.deliveries(f, map[string]events.DeliveryState{"picky": events.Delivered})
	}
	second := c.outcome(c.submit(h.put(headStudy("another", 6, false))))[0]
	c.deliveries(second, map[string]events.DeliveryState{"picky": events.Delivered})
	if transfers.Load() != 3 {
		t.Errorf("%d transfers, want one that failed, its repeat, and the other study's", transfers.Load())
	}
	status, body := get(t, d, "/readyz")
	if status != http.StatusOK || !strings.Contains(body, `"destination picky"`) {
		t.Errorf("ready %d: %s", status, body)
	}
}
