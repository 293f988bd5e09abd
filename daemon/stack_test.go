package daemon_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
)

// TestSlicesAreReadWhereTheStudyLies walks from a finding to the pixels of each
// slice, and what is left of them when the study goes away.
func TestSlicesAreReadWhereTheStudyLies(t *testing.T) {
	h := newHouse(t)
	h.pictures = true
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	const studies = 6
	for i := range studies {
		if f := c.outcome(c.submit(h.put(headStudy(fmt.Sprint("s", i), 8, i == 0))))[0]; f.Status != neurotriage.StatusRead {
			t.Fatalf("study %d: %s %s", i, f.Disposition, f.Reason)
		}
	}
	slice := func(study, number int) (int, string) {
		return get(t, d, fmt.Sprintf("/study/%s/slice/1/%d", kit.UID(fmt.Sprint("s", study)), number))
	}
	for number := 1; number <= 8; number++ {
		status, body := slice(0, number)
		if status != http.StatusOK || !strings.HasPrefix(body, "NTS1") || len(body) != 24+2*64*64 {
			t.Fatalf("slice %d: status %d, %d bytes: %.200s", number, status, len(body), body)
		}
	}
	if status, _ := slice(0, 9); status != http.StatusNotFound {
		t.Errorf("a slice that there is none: status %d", status)
	}
	if left, _ := os.ReadDir(filepath.Join(h.cfg.StateDir, "spool")); len(left) > 0 {
		t.Errorf("decoded slices have a name on the disk: %v", left)
	}
	for i := range studies { // more than are kept: the first is pushed out
		if status, _ := slice(i, 1); status != http.StatusOK {
			t.Errorf("study %d: status %d", i, status)
		}
	}
	if n := openSpool(t); n > 4 {
		t.Errorf("%d decoded studies are kept, want 4 at most", n)
	}
	if err := os.RemoveAll(filepath.Join(h.root, "s0")); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for number := 1; number <= 8; number++ {
		if status, body := slice(0, number); status == http.StatusOK && strings.HasPrefix(body, "NTS1") {
			shown++
		}
	}
	if shown == 0 || shown == 8 {
		t.Errorf("%d slices of a study that left are shown, want its key slices", shown)
	}
}

// openSpool counts this process's files without a name below a spool folder.
func openSpool(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no list of open files here: %v", err)
	}
	for _, fd := range list {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.Contains(name, "/spool/") {
			n++
		}
	}
	return n
}

// TestTwoDaemonsShowOneList assesses at one daemon and reads at the other.
func TestTwoDaemonsShowOneList(t *testing.T) {
	h := newHouse(t)
	server := kit.NATS(t)
	h.cfg.NATS.URL = server.URL
	a := h.start(&runner{})
	c := connect(t, server.URL)
	f := c.outcome(c.submit(h.put(headStudy("s", 6, true))))[0]
	h.cfg.StateDir = t.TempDir()
	b := h.start(&runner{})
	if status, body := get(t, b, "/"); status != http.StatusOK || !strings.Contains(body, f.StudyInstanceUID) {
		t.Fatalf("the second daemon does not show the study: status %d", status)
	}
	assess(t, strings.TrimSuffix(a.Addresses().HTTP, "/"), f.StudyInstanceUID, f.ID)
	if _, body := get(t, a, "/"); !strings.Contains(body, "rejected by anonymous") {
		t.Error("the verdict does not stand in the list when the form is answered")
	}
	eventually(t, "the other daemon shows the verdict", func() bool {
		_, body := get(t, b, "/study/"+f.StudyInstanceUID)
		return strings.Contains(body, "rejected by anonymous")
	})
	if _, body := get(t, b, "/assessments.csv"); !strings.Contains(body, f.ID+",rejected,,anonymous,") {
		t.Errorf("the export is %q", body)
	}
}

// assess sends the form as a browser does.
func assess(t *testing.T, url, uid, finding string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	page, err := client.Get(url + "/study/" + uid)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, page.Body)
	_ = page.Body.Close()
	token := page.Cookies()[0]
	form := "token=" + token.Value + "&verdict=rejected&finding=" + finding
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/study/"+uid+"/assess", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.AddCookie(token)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("assessing: status %d", answer.StatusCode)
	}
}

// eventually asks until it is so, for ten seconds.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}
