package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
	"neurotriage/pacs/dimse"
)

func (c *client) media(finding, name string) []byte {
	c.t.Helper()
	var data bytes.Buffer
	if err := c.bus.Media(c.t.Context(), finding, name, &data); err != nil {
		c.t.Fatalf("%s of finding %s: %v", name, finding, err)
	}
	return data.Bytes()
}

// The name of this program in file headers and in associations is one.
func TestOneImplementation(t *testing.T) {
	if dicomio.ImplementationClassUID != dimse.ImplementationClassUID || dicomio.ImplementationVersionName != dimse.ImplementationVersion {
		t.Errorf("files say %s %s, associations %s %s", dicomio.ImplementationClassUID, dicomio.ImplementationVersionName,
			dimse.ImplementationClassUID, dimse.ImplementationVersion)
	}
}

// Each study ends in objects that the archive takes, stored before its finding:
// flagged, refused with headers, and not at all where nothing could be read.
func TestStudiesEndInReports(t *testing.T) {
	h := newHouse(t)
	h.pictures = true
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	torn := h.put(headStudy("torn", 1, false))
	if err := os.Truncate(filepath.Join(h.root, "torn", "S001", "I0001.dcm"), 1500); err != nil {
		t.Fatal(err)
	}
	two := headStudy("two people", 3, true)
	second := headStudy("two people", 3, true).Series[0]
	second.Name, second.Extra = "second", []kit.Element{{Tag: 0x00100020, VR: "LO", Value: "ANOTHER"}, {Tag: 0x00100010, VR: "PN", Value: "Quite^Another"}}
	two.Series = append(two.Series, second)
	cases := []struct {
		name        string
		job         neurotriage.Job
		disposition neurotriage.Disposition
		kinds       []string // in any order, each once
	}{
		{"flagged", h.put(headStudy("flagged", 6, true)), neurotriage.GliomaReview, []string{"key_image", "key_object", "sr"}},
		{"torn, with headers", torn, neurotriage.Refused, []string{"sr"}},
		{"two people in one study", h.put(two), neurotriage.Refused, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := c.outcome(c.submit(tc.job))[0]
			if f.Disposition != tc.disposition {
				t.Fatalf("finding %+v", f)
			}
			var kinds []string
			for _, one := range f.Reports {
				kinds = append(kinds, one.Kind)
				object := c.media(f.ID, one.SOPInstanceUID+".dcm")
				if !bytes.Contains(object, []byte("Kit^Patient")) || !bytes.Contains(object, []byte(f.StudyInstanceUID)) {
					t.Errorf("the %s lacks the patient or the study", one.Kind)
				}
			}
			slices.Sort(kinds)
			if kinds = slices.Compact(kinds); !slices.Equal(kinds, tc.kinds) {
				t.Errorf("reports %v, want %v", f.Reports, tc.kinds)
			}
		})
	}
}

// A study announced twice has the objects of the first time; one that grew has a
// report of its own, which names the former.
func TestReportsOfRevisions(t *testing.T) {
	h := newHouse(t)
	h.pictures = true
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	first := c.outcome(c.submit(h.put(headStudy("grows", 6, true))))[0]
	former := neurotriage.DerivedUID(first.ID, "sr")
	before := c.media(first.ID, former+".dcm")
	again := c.outcome(c.submit(h.put(headStudy("grows", 6, true))))[0]
	if again.ID != first.ID || !bytes.Equal(c.media(again.ID, former+".dcm"), before) {
		t.Error("a repeat has another report")
	}
	grown := c.submit(h.put(headStudy("grows", 7, true)))
	kit.Until(t, "the grown study has a finding of its own", func() bool {
		return len(c.findingsOf(grown.StudyInstanceUID)) == 2
	})
	for _, f := range c.findingsOf(grown.StudyInstanceUID) {
		if f.ID == first.ID {
			continue
		}
		if f.Replaces != first.ID || !bytes.Contains(c.media(f.ID, neurotriage.DerivedUID(f.ID, "sr")+".dcm"), []byte(former)) {
			t.Errorf("the revision %+v does not name the former report", f)
		}
	}
}
