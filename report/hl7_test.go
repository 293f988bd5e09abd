package report_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/report"
)

var line = report.HL7{
	SendingApplication: "NEUROTRIAGE", SendingFacility: "MRI", ReceivingApplication: "RIS", ReceivingFacility: "Ward & Co", Authority: "HOSP",
}

func TestORU(t *testing.T) {
	revised := func(a *report.Annotation) { a.Finding.Replaces = "c6f2" }
	cases := []struct {
		name   string
		change []func(*report.Annotation)
	}{
		{"flagged", nil},
		{"revised", []func(*report.Annotation){notFlagged, revised}},
		{"refused", []func(*report.Annotation){refused}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			message, id := line.ORU(annotation(c.change...))
			if again, same := line.ORU(annotation(c.change...)); string(again) != string(message) || same != id {
				t.Error("made again, it is another message: a receiver could not know the repeat")
			}
			kit.Golden(t, "testdata/oru-"+c.name+".txt", strings.ReplaceAll(string(message), "\r", "\n"))
		})
	}
}

// TestORUForAnIndependentReader has hl7apy check the structure, and python-hl7
// find what went in.
func TestORUForAnIndependentReader(t *testing.T) {
	for name, change := range map[string][]func(*report.Annotation){
		"flagged": nil, "not flagged": {notFlagged}, "refused": {refused},
		"ideographs": {func(a *report.Annotation) {
			a.Study.Patient.Name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := annotation(change...)
			message, id := line.ORU(a)
			var read [][]string
			judge(t, "hl7", message, &read)
			facts := map[string]string{}
			for _, segment := range read {
				for n, text := range segment {
					if key := segment[0] + "-" + string(rune('0'+n/10)) + string(rune('0'+n%10)); facts[key] == "" {
						facts[key] = text
					}
				}
			}
			want := map[string]string{
				"MSH-10": id, "MSH-12": "2.5.1", "MSH-18": "UNICODE UTF-8", "MSH-06": "Ward & Co",
				"OBR-18": a.Job.AccessionNumber, "NTE-03": report.ResearchUse,
			}
			if name == "flagged" {
				want["PID-05"] = `Müller^Zoë|\^^Jr.^Dr.`
				want["PID-03"] = "MRN&7^^^HOSP^MR"
				want["OBR-02"], want["OBR-03"], want["ORC-02"], want["ORC-03"] = "P|77", "F~78", "P|77", "F~78"
				want["OBX-08"], want["OBR-05"] = "AA", "A"
			}
			if name == "ideographs" {
				want["PID-05"] = "Yamada^Tarou^^^^^^A~山田^太郎^^^^^^I~やまだ^たろう^^^^^^P"
			}
			for key, text := range want {
				if facts[key] != text {
					t.Errorf("%s is %q, want %q", key, facts[key], text)
				}
			}
		})
	}
}

func TestORUSegments(t *testing.T) {
	cases := []struct {
		name   string
		change func(*report.Annotation)
		want   string
	}{
		{"all is known", func(*report.Annotation) {}, "MSH PID ORC OBR NTE TQ1 OBX NTE OBX NTE OBX NTE"},
		{"nobody is named", func(a *report.Annotation) { a.Study.Patient = neurotriage.Patient{} }, "MSH ORC OBR NTE TQ1 OBX NTE OBX NTE OBX NTE"},
		{"nothing to say of the priority", func(a *report.Annotation) {
			notFlagged(a)
			a.Job.Priority, a.Finding.Warnings, a.Finding.Reports = "", nil, nil
		}, "MSH PID ORC OBR NTE OBX"},
	}
	for _, c := range cases {
		message, _ := line.ORU(annotation(c.change))
		if got := strings.Join(segments(message), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestORUHoldsNoFrames puts what frames messages into every text that comes from
// outside; none may reach the wire as it is.
func TestORUHoldsNoFrames(t *testing.T) {
	const bad = "a\x0bb\x1cc\rd\ne\x00f\xff|^~\\&g"
	message, _ := report.HL7{SendingFacility: bad, Authority: bad}.ORU(annotation(func(a *report.Annotation) {
		a.Study.Patient.Name, a.Study.Patient.ID, a.Study.Patient.Sex = bad, bad, bad
		a.Study.PlacerOrder, a.Study.FillerOrder, a.Job.AccessionNumber = bad, bad, bad
		a.Finding.Warnings, a.Finding.Model.Name, a.Study.Date = []string{bad}, bad, bad
	}))
	clean, _ := report.HL7{}.ORU(annotation())
	if got, want := len(strings.Split(string(message), "\r")), len(strings.Split(string(clean), "\r")); got != want {
		t.Errorf("%d segments, want %d", got, want)
	}
	if bytes.ContainsFunc(message, func(r rune) bool { return r < ' ' && r != '\r' }) || !utf8.Valid(message) {
		t.Errorf("a control character stands in the message: %q", message)
	}
}

func TestStudyTimes(t *testing.T) {
	cases := []struct{ date, clock, offset, want string }{
		{"20260302", "081234.567", "", "20260302081234"},
		{"20260302", "081234", "+0100", "20260302081234+0100"},
		{"2026.03.02", "08:12", "-0430", "202603020812-0430"}, // forms of ACR-NEMA
		{"20260302", "", "+0100", "20260302"},
		{"20260302", "8", "", "20260302"},
		{"20260302", "081234", "east", "20260302081234"},
		{"2026", "081234", "", ""},
		{"", "", "", ""},
		{"20x60302", "081234", "", ""},
	}
	for _, c := range cases {
		message, _ := line.ORU(annotation(func(a *report.Annotation) {
			a.Study.Date, a.Study.Time, a.Study.UTCOffset = c.date, c.clock, c.offset
		}))
		if got := field(message, "OBR", 7); got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.date, c.clock, c.offset, got, c.want)
		}
	}
}

func TestControlIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, h := range []report.HL7{{}, {ReceivingApplication: "A"}, {ReceivingFacility: "A"}} {
		for _, id := range []string{"x", "y"} {
			_, control := h.ORU(annotation(func(a *report.Annotation) { a.Finding.ID = id }))
			if len(control) > 20 || control == "" || seen[control] { // MSH-10 has 20 characters
				t.Errorf("control id %q is too long or taken", control)
			}
			seen[control] = true
		}
	}
}
