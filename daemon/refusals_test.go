package daemon_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/internal/kit"
)

// Every event and place that is no study: a refusal with its code, a dead
// letter, a refused finding where a study is named, and the daemon goes on.
func TestRefusals(t *testing.T) {
	h := newHouse(t)
	h.cfg.DICOMweb.Allow = []string{"https://pacs.example/dicom-web/"}
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	arrangeBadPlaces(t, h)
	big := c.upload(t, headStudy("object-none", 2, false).Zip())
	big.Name = "not-there"
	at := func(path string) neurotriage.Location {
		return neurotriage.Location{Kind: neurotriage.Directory, Root: "incoming", Path: path}
	}
	cases := []struct {
		name  string
		where neurotriage.Location
		want  neurotriage.Reason
	}{
		{"missing folder", at("missing"), neurotriage.StudyNotFound},
		{"missing folder, deep", at("a/b/c"), neurotriage.StudyNotFound},
		{"empty folder", at("empty"), neurotriage.NotDICOM},
		{"thousands of other files", at("others"), neurotriage.NotDICOM},
		{"up and out", at("../../etc"), neurotriage.PathNotAllowed},
		{"up, hidden", at("others/../../x"), neurotriage.PathNotAllowed},
		{"absolute", at("/etc"), neurotriage.PathNotAllowed},
		{"link out of the root", at("link"), neurotriage.PathNotAllowed},
		{"link in circles", at("loop"), neurotriage.PathNotAllowed},
		{"two patients in one study", at("two"), neurotriage.InconsistentStudy},
		{"another study than announced", at("stranger"), neurotriage.StudyNotFound},
		{"truncated", at("truncated"), neurotriage.CorruptDICOM},
		{"object that is not there", big, neurotriage.StudyNotFound},
		{"bucket that is not there", neurotriage.Location{Kind: neurotriage.Object, Bucket: "nowhere", Name: "x"}, neurotriage.StudyNotFound},
		{"object that is no zip", c.upload(t, []byte("no archive")), neurotriage.CorruptDICOM},
		{"url off the list", neurotriage.Location{Kind: neurotriage.DICOMweb, URL: "https://evil.example/studies/1"}, neurotriage.URLNotAllowed},
	}
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			uid := kit.UID(tc.where.Path)
			if tc.where.Path == "" || strings.Contains(tc.name, "link") {
				uid = fmt.Sprintf("1.2.%d", i+1)
			}
			f := c.outcome(c.submit(neurotriage.Job{StudyInstanceUID: uid, Location: tc.where}))[0]
			if f.Status != neurotriage.StatusRefused || f.Reason != tc.want || f.Disposition != neurotriage.Refused {
				t.Errorf("finding %s %s, want refused %s", f.Status, f.Reason, tc.want)
			}
			if len(c.letters(string(tc.want), uid)) != 1 {
				t.Errorf("no dead letter of study %s under %s", uid, tc.want)
			}
		})
	}
	goesOn(t, h, c)
}

func arrangeBadPlaces(t *testing.T, h *house) {
	t.Helper()
	others := filepath.Join(h.root, "others")
	for _, folder := range []string{others, filepath.Join(h.root, "empty")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(others, fmt.Sprintf("%d.txt", i)), []byte("this is no image, and long enough for a header"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.put(headStudy("truncated", 1, false))
	file := filepath.Join(h.root, "truncated", "S001", "I0001.dcm")
	if err := os.Truncate(file, 1500); err != nil {
		t.Fatal(err)
	}
	two := headStudy("two", 6, true)
	second := headStudy("two", 6, true).Series[0]
	second.Name, second.Extra = "second", []kit.Element{{Tag: 0x00100020, VR: "LO", Value: "ANOTHER"}, {Tag: 0x00100010, VR: "PN", Value: "Quite^Another"}}
	two.Series = append(two.Series, second)
	h.put(two)
	stranger := headStudy("stranger", 2, true)
	stranger.UID = kit.UID("somebody else")
	h.put(stranger)
	for link, target := range map[string]string{"link": t.TempDir(), "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(h.root, link)); err != nil {
			t.Fatal(err)
		}
	}
}

// goesOn checks that the daemon still reads studies, from a folder and from an upload.
func goesOn(t *testing.T, h *house, c *client) {
	t.Helper()
	uploaded := headStudy("uploaded", 6, true)
	jobs := []neurotriage.Job{
		c.submit(h.put(headStudy("after", 6, true))),
		c.submit(neurotriage.Job{StudyInstanceUID: kit.UID("uploaded"), Location: c.upload(t, uploaded.Zip())}),
	}
	for _, f := range c.outcome(jobs...) {
		if f.Disposition != neurotriage.GliomaReview {
			t.Errorf("finding %+v", f)
		}
	}
	left, err := os.ReadDir(filepath.Join(h.cfg.StateDir, "spool"))
	if err != nil || len(left) != 0 {
		t.Errorf("the spool holds %v, %v", left, err)
	}
}

func (c *client) upload(t *testing.T, data []byte) neurotriage.Location {
	t.Helper()
	where, err := c.bus.Upload(t.Context(), strings.NewReader(string(data)), "study.zip")
	if err != nil {
		t.Fatal(err)
	}
	return where
}

// letters lists the dead letters of a reason that speak of a study.
func (c *client) letters(reason, uid string) []json.RawMessage {
	c.t.Helper()
	var found []json.RawMessage
	for _, letter := range c.messages("TRIAGE_DEADLETTER", "triage.deadletter."+reason)["triage.deadletter."+reason] {
		if strings.Contains(string(letter), `"`+uid+`"`) {
			found = append(found, letter)
		}
	}
	return found
}

func TestMalformedEvents(t *testing.T) {
	h := newHouse(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	noise := make([]byte, 1<<20-1024)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	events := 0
	event := func(data string) []byte {
		events++
		return []byte(`{"specversion":"1.0","id":"e` + fmt.Sprint(events) + `","source":"/test","type":"imaging.study.available","datacontenttype":"application/json","data":` + data + `}`)
	}
	bad := [][]byte{
		nil, []byte("hello"), []byte("{}"), []byte("[1,2"), []byte(`{"specversion":"1.0"}`), noise,
		event(`{}`), event(`[]`), event(`{"study_instance_uid": 7}`), event(`{"study_instance_uid":"1.2. 3","location":{"kind":"directory","root":"incoming","path":"x"}}`),
		event(`{"study_instance_uid":"1.2.3"}`), event(`{"study_instance_uid":"1.2.3","location":{"kind":"ftp"}}`),
		event(`{"study_instance_uid":"1.2.3","location":{"kind":"directory","path":"x"}}`),
	}
	for _, message := range bad {
		if _, err := c.js.Publish(t.Context(), "imaging.study.available", message); err != nil {
			t.Fatal(err)
		}
	}
	kit.Until(t, "every malformed event is a dead letter", func() bool {
		return len(c.messages("TRIAGE_DEADLETTER", "")["triage.deadletter.malformed_event"]) == len(bad)
	})
	kit.Until(t, "the queue is empty", func() bool {
		stream, err := c.js.Stream(t.Context(), "IMAGING")
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
	goesOn(t, h, c)
}
