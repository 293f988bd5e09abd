package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogBookTellsOfAStudysWay: start, the model's reading, a person's look and
// the stop stand in the log book, in this order, and name the patient by ID only.
func TestLogBookTellsOfAStudysWay(t *testing.T) {
	h := newHouse(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	job := c.submit(h.put(headStudy("book", 6, true)))
	c.outcome(job)
	if status, _ := get(t, d, "/study/"+job.StudyInstanceUID); status != 200 {
		t.Errorf("the study's page: status %d", status)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(h.cfg.StateDir, "audit", "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	rest := string(text)
	for _, word := range []string{"110120", `csd-code="110103"`, "read by the model", job.StudyInstanceUID, "see a study", "110121"} {
		_, after, found := strings.Cut(rest, word)
		if !found {
			t.Fatalf("%q does not follow in %s", word, text)
		}
		rest = after
	}
}
