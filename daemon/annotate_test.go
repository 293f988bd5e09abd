package daemon_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// orders is a receiver of HL7 that acknowledges everything.
func orders(t *testing.T) (address string, got func() []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var messages []string
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text, err := bufio.NewReader(conn).ReadString(0x1c)
			if fields := strings.Split(text, "|"); err == nil && len(fields) > 9 {
				mu.Lock()
				messages = append(messages, text)
				mu.Unlock()
				fmt.Fprintf(conn, "\x0bMSH|^~\\&|R|R|N|N|2026||ACK|1|P|2.5.1\rMSA|AA|%s\r\x1c\r", fields[9])
			}
			_ = conn.Close()
		}
	}()
	return listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, messages...)
	}
}

// services answers as a FHIR server and as a DICOM worklist, and keeps what was
// posted by path.
func services(t *testing.T) (url string, posted func(path string) string) {
	var mu sync.Mutex
	kept := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"resourceType":"Bundle","type":"searchset"}`)
		case r.URL.Path == "/r4":
			kept[r.URL.Path] = string(text)
			_, _ = io.WriteString(w, `{"resourceType":"Bundle","type":"transaction-response"}`)
		default:
			kept[r.URL.Path] = string(text)
			w.WriteHeader(http.StatusCreated)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func(path string) string {
		mu.Lock()
		defer mu.Unlock()
		return kept[path]
	}
}

// TestAnnotation takes one flagged study to an order system, a FHIR server, a
// DICOM worklist and Orthanc: each names the patient and the study and asks for
// the review, and the worklist says that all have it.
func TestAnnotation(t *testing.T) {
	orthanc := kit.StartOrthanc(t, nil)
	study := headStudy("annotated", 6, true)
	orthanc.Upload(t, study.Files())
	line, messages := orders(t)
	web, posted := services(t)
	h := newHouse(t)
	h.pictures = true
	base := config.Destination{Attempts: 20, Timeout: time.Minute}
	hl7, fhir, ups, own := base, base, base, base
	hl7.Kind, hl7.Address, hl7.HL7.Authority, hl7.HL7.AckTimeout = "hl7", line, "HOSP", time.Minute
	fhir.Kind, fhir.URL, fhir.FHIR.PatientSystem = "fhir", web+"/r4", "urn:oid:1.2.3"
	ups.Kind, ups.URL, ups.UPS.WorklistLabel = "ups", web+"/dicom-web", "BRAIN"
	own.Kind, own.URL = "orthanc", orthanc.URL
	h.cfg.PACS.Destinations = map[string]config.Destination{"orders": hl7, "records": fhir, "worklist": ups, "archive": own}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	job := h.put(study)
	job.AccessionNumber = "ACC-1"
	f := c.outcome(c.submit(job))[0]
	c.deliveries(f, map[string]events.DeliveryState{
		"orders": events.Delivered, "records": events.Delivered, "worklist": events.Delivered, "archive": events.Delivered,
	})
	for what, c := range map[string]struct {
		text  string
		parts []string
	}{
		"message":     {strings.Join(messages(), "\n"), []string{"^^^HOSP^MR||Kit^Patient", "|ACC-1|", "glioma_review^Flagged", f.StudyInstanceUID, "TQ1|1||||||||S^"}},
		"transaction": {posted("/r4"), []string{`"urn:oid:1.2.3"`, `"urn:oid:` + f.StudyInstanceUID, `"resourceType":"Flag"`}},
		"work item":   {posted("/dicom-web/workitems"), []string{"HIGH", "BRAIN", "Kit^Patient", f.StudyInstanceUID, "ACC-1"}},
	} {
		for _, part := range c.parts {
			if !strings.Contains(c.text, part) {
				t.Errorf("the %s lacks %q:\n%s", what, part, c.text)
			}
		}
	}
	if n := len(messages()); n != 1 {
		t.Errorf("%d messages, want one", n)
	}
	wantMark(t, orthanc.URL, f)
}

// wantMark asks Orthanc what it shows of the study.
func wantMark(t *testing.T, base string, f neurotriage.Finding) {
	t.Helper()
	fetch := func(method, path, body string, into any) {
		request, _ := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var found []struct{ ID string }
	fetch(http.MethodPost, "/tools/lookup", f.StudyInstanceUID, &found)
	var mark struct {
		FindingID string `json:"finding_id"`
		Raised    neurotriage.Disposition
	}
	fetch(http.MethodGet, "/studies/"+found[0].ID+"/metadata/7700", "", &mark)
	if mark.FindingID != f.ID || mark.Raised != neurotriage.GliomaReview {
		t.Errorf("Orthanc shows %+v", mark)
	}
}
