package events

import (
	"strings"
	"testing"
	"time"

	"neurotriage"
)

var arrival = time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)

const goodData = `{"study_instance_uid":"1.2.3","location":{"kind":"directory","root":"in","path":"x"}}`

func eventText(attributes, data string) string {
	return `{"specversion":"1.0","id":"e1","source":"ris",` + attributes + `"data":` + data + `}`
}

var decodeCases = []struct{ name, text, refused string }{
	{"our type", eventText(`"type":"imaging.study.available.v1",`, goodData), ""},
	{"any type", eventText(`"type":"org.hospital.study",`, goodData), ""},
	{"type without a version", eventText(`"type":"imaging.study.available",`, goodData), ""},
	{"a later version", eventText(`"type":"org.x.imaging.study.available.v2",`, goodData), "version 2 of the study event is not known"},
	{"a much later version", eventText(`"type":"imaging.study.available.v10",`, goodData), "version 10"},
	{"unknown fields", eventText(`"type":"t","extra":"x",`, `{"new":{"a":1},`+goodData[1:]), ""},
	{"urgent", eventText(`"type":"t",`, `{"priority":"stat",`+goodData[1:]), ""},
	{"unknown priority", eventText(`"type":"t",`, `{"priority":"high",`+goodData[1:]), `"high" is not one of routine`},
	{"base64 data", `{"specversion":"1.0","id":"e1","source":"s","type":"t","data_base64":"eyJzdHVkeV9pbnN0YW5jZV91aWQiOiIxLjIuMyIsImxvY2F0aW9uIjp7ImtpbmQiOiJkaXJlY3RvcnkiLCJyb290IjoiaW4iLCJwYXRoIjoieCJ9fQ=="}`, ""},
	{"no type", eventText("", goodData), "type: MUST be"},
	{"no source", `{"specversion":"1.0","id":"e1","type":"t","data":` + goodData + `}`, "source: REQUIRED"},
	{"unknown specversion", `{"specversion":"7","id":"e1","source":"s","type":"t","data":{}}`, "reading the CloudEvent"},
	{"time is no time", eventText(`"type":"t","time":"yesterday",`, goodData), "reading the CloudEvent"},
	{"a list", `[1,2]`, "no CloudEvent"},
	{"a number", `7`, "no CloudEvent"},
	{"null", `null`, "no CloudEvent"},
	{"two events", eventText(`"type":"t",`, goodData) + `{}`, "not JSON"},
	{"data is text", eventText(`"type":"t",`, `"x"`), "reading the data"},
	{"data is null", eventText(`"type":"t",`, `null`), "study_instance_uid"},
	{"no data", `{"specversion":"1.0","id":"e1","source":"s","type":"t"}`, "reading the data"},
	{"uid too long", eventText(`"type":"t",`, strings.Replace(goodData, "1.2.3", strings.Repeat("1", 65), 1)), "at most 64"},
	{"uid with a newline", eventText(`"type":"t",`, strings.Replace(goodData, "1.2.3", `1.2\n`, 1)), "digits and single dots"},
	{"series uid", eventText(`"type":"t",`, `{"series_instance_uids":["x"],`+goodData[1:]), "series_instance_uids[0]"},
	{"unknown kind", eventText(`"type":"t",`, strings.Replace(goodData, "directory", "ftp", 1)), `"ftp" is not one of`},
	{"no path", eventText(`"type":"t",`, strings.Replace(goodData, `"path"`, `"p"`, 1)), "path: missing"},
	{"long id", strings.Replace(eventText(`"type":"t",`, goodData), "e1", strings.Repeat("e", 300), 1), "its id has 300 bytes"},
	{"deep", eventText(`"type":"t",`, strings.Repeat("[", 20000)+strings.Repeat("]", 20000)), "not JSON"},
}

func TestDecode(t *testing.T) {
	for _, c := range decodeCases {
		t.Run(c.name, func(t *testing.T) {
			job, refusal := decode([]byte(c.text), arrival)
			if c.refused == "" {
				if refusal != nil || job.EventID != "e1" || job.StudyInstanceUID != "1.2.3" || job.Location.Root != "in" || job.SchemaVersion != 1 {
					t.Errorf("job %+v, refusal %v", job, refusal)
				}
				return
			}
			if refusal == nil || refusal.Reason != neurotriage.MalformedEvent || !strings.Contains(refusal.Error(), c.refused) {
				t.Errorf("refusal %v, want %q", refusal, c.refused)
			}
		})
	}
}

func TestTheTimeOfAnAnnouncement(t *testing.T) {
	for _, c := range []struct{ name, time, want string }{
		{"as said", `"time":"2026-03-02T09:00:00+01:00",`, "2026-03-02T08:00:00Z"},
		{"in the future", `"time":"2027-03-02T09:00:00Z",`, "2026-03-02T08:15:00Z"},
		{"missing", "", "2026-03-02T08:15:00Z"},
	} {
		job, refusal := decode([]byte(eventText(`"type":"t",`+c.time, goodData)), arrival)
		if got := job.Asked.Format(time.RFC3339); refusal != nil || got != c.want {
			t.Errorf("%s: %s, want %s (%v)", c.name, got, c.want, refusal)
		}
	}
}

func TestNewIDIsAUUID(t *testing.T) {
	a, b := newID(), newID()
	if len(a) != 36 || a[14] != '4' || a == b || token(a) != a {
		t.Errorf("%s, %s", a, b)
	}
}

// Whatever comes: no panic, no job without a valid study UID, no long texts.
func FuzzDecode(f *testing.F) {
	for _, c := range decodeCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		job, refusal := decode(raw, arrival)
		if job.StudyInstanceUID != "" && neurotriage.CheckUID(job.StudyInstanceUID) != nil {
			t.Errorf("study uid %q", job.StudyInstanceUID)
		}
		if job.Asked.After(arrival) {
			t.Errorf("asked %v", job.Asked)
		}
		switch {
		case refusal == nil:
			if err := job.Check(); err != nil || job.EventID == "" {
				t.Errorf("job %+v: %v", job, err)
			}
		case refusal.Reason != neurotriage.MalformedEvent || len(refusal.Error()) > 2*maxCause:
			t.Errorf("refusal %v", refusal)
		}
	})
}
