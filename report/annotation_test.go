package report_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/report"
)

// annotation is a flagged study of a patient whose name tries every delimiter.
func annotation(change ...func(*report.Annotation)) report.Annotation {
	a := report.Annotation{
		Finding: neurotriage.Finding{
			Schema: neurotriage.FindingSchema, ID: "5f1d0c2e-9f5b-5c0a-8d0e-2b7f3f6c1a90", StudyInstanceUID: "1.2.840.113619.2.5.1762583153",
			Status: neurotriage.StatusRead, Disposition: neurotriage.GliomaReview, Predicted: neurotriage.Glioma,
			Probabilities: map[string]float64{"glioma": 0.91, "meningioma": 0.05, "normal": 0.01, "pituitary": 0.03},
			Flags:         neurotriage.Flags{GliomaReview: true}, Thresholds: neurotriage.Thresholds{GliomaReview: 0.17},
			Model:    neurotriage.ModelRef{Name: "mobilenetv3-large", Version: "1", Digest: "sha256:00ff", Runtime: "cpu"},
			Warnings: []string{"series 2 | slice 3: gap of 4 mm & more"},
			Reports:  []neurotriage.ReportRef{{Kind: "sr", SOPInstanceUID: "2.25.1"}, {Kind: "key_object", SOPInstanceUID: "2.25.2"}},
			Started:  time.Date(2026, 3, 2, 8, 15, 3, 0, time.UTC), Finished: time.Date(2026, 3, 2, 8, 15, 7, 120_000_000, time.UTC),
		},
		Job: neurotriage.Job{EventID: "e1", AccessionNumber: "A^1", Priority: neurotriage.Routine},
		Study: neurotriage.Study{
			UID: "1.2.840.113619.2.5.1762583153", Date: "20260302", Time: "081234.567", AccessionNumber: "A^1",
			PlacerOrder: "P|77", FillerOrder: "F~78",
			Patient: neurotriage.Patient{Name: `Müller^Zoë|\^^Dr.^Jr.`, ID: "MRN&7", BirthDate: "19700131", Sex: "F"},
		},
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func refused(a *report.Annotation) {
	a.Finding.Status, a.Finding.Disposition, a.Finding.Reason = neurotriage.StatusRefused, neurotriage.Refused, neurotriage.CorruptDICOM
	a.Finding.Flags, a.Finding.Probabilities, a.Finding.Model = neurotriage.Flags{}, nil, neurotriage.ModelRef{}
	a.Study = neurotriage.Study{UID: a.Finding.StudyInstanceUID}
}

func notFlagged(a *report.Annotation) {
	a.Finding.Disposition, a.Finding.Flags = neurotriage.NotFlagged, neurotriage.Flags{}
	a.Finding.Probabilities = map[string]float64{"glioma": 0.02, "normal": 0.98}
}

// judge asks the program that is not ours.
func judge(t *testing.T, kind string, message []byte, into any) {
	t.Helper()
	out, complaint, err := verdict(t, kind, message)
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, complaint, strings.ReplaceAll(string(message), "\r", "\n"))
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func verdict(t *testing.T, kind string, message []byte) (out []byte, complaint string, err error) {
	t.Helper()
	python := os.Getenv("NEUROTRIAGE_TEST_PYTHON")
	if python == "" {
		t.Skip("NEUROTRIAGE_TEST_PYTHON names no Python with the packages of .ci/peers.txt")
	}
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "judge.py"), kind)
	cmd.Stdin = strings.NewReader(string(message))
	var said strings.Builder
	cmd.Stderr = &said
	out, err = cmd.Output()
	return out, said.String(), err
}

// TestJudgesCanSayNo shows that the other tests' judges judge.
func TestJudgesCanSayNo(t *testing.T) {
	message, _ := report.HL7{}.ORU(annotation())
	bundle, err := report.FHIR{}.Bundle(annotation(), report.FHIRReport{})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ kind, from, to string }{
		{"hl7", "OBR|1|", "OBR||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||x"},
		{"hl7", "\rOBR", "\rPV1|1|\rZZZ"},
		{"fhir", `"status":"preliminary"`, `"state":"preliminary"`},
		{"fhir", `"valueQuantity"`, `"valueNumber"`},
	}
	for _, c := range cases {
		text := string(message)
		if c.kind == "fhir" {
			text = string(bundle)
		}
		spoilt := strings.ReplaceAll(text, c.from, c.to)
		if _, complaint, err := verdict(t, c.kind, []byte(spoilt)); spoilt == text || err == nil || complaint == "" {
			t.Errorf("%s for %s is not complained about", c.to, c.from)
		}
	}
}

// rank orders what HL7 knows of priorities; 0 says nothing.
var rank = map[string]int{"": 0, "R": 1, "A": 2, "S": 3}

// TestPriorityIsOnlyRaised draws findings at random: what the message asks for is
// never below what the announcement gave, and when that is not known, the
// message lowers no priority that the order may have.
func TestPriorityIsOnlyRaised(t *testing.T) {
	given := map[neurotriage.Priority]int{"": 0, neurotriage.Routine: 1, neurotriage.Urgent: 2, neurotriage.ASAP: 2, neurotriage.Stat: 3}
	source := rand.New(rand.NewPCG(1, 2))
	dispositions := []neurotriage.Disposition{
		neurotriage.GliomaReview, neurotriage.TumourSuspected, neurotriage.NotAssessable, neurotriage.Refused, neurotriage.NotFlagged,
	}
	for range 2000 {
		priorities := []neurotriage.Priority{"", neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat}
		a := annotation(func(a *report.Annotation) {
			a.Job.Priority = priorities[source.IntN(len(priorities))]
			a.Finding.Disposition = dispositions[source.IntN(len(dispositions))]
			a.Finding.Flags.GliomaReview = source.IntN(2) == 0
			if source.IntN(2) == 0 {
				a.Finding.Replaces = "former"
			}
		})
		message, _ := report.HL7{}.ORU(a)
		obr, tq1 := field(message, "OBR", 5), field(message, "TQ1", 9)
		tq1, _, _ = strings.Cut(tq1, "^")
		if obr != tq1 {
			t.Fatalf("OBR-5 is %q and TQ1-9 is %q", obr, tq1)
		}
		asked := rank[obr]
		switch known := a.Job.Priority != ""; {
		case known && asked < given[a.Job.Priority]:
			t.Fatalf("given %q, asked for %q", a.Job.Priority, obr)
		case !known && obr != "" && obr != "S":
			t.Fatalf("given nothing, asked for %q, which lowers a stat", obr)
		case a.Finding.Flags.GliomaReview && asked < 2:
			t.Fatalf("given %q and flagged, asked for %q", a.Job.Priority, obr)
		}
	}
}

// field gives a field of the first segment with this name as it stands in the
// message. In MSH the separator counts as the first one.
func field(message []byte, segment string, number int) string {
	for line := range strings.SplitSeq(string(message), "\r") {
		parts := strings.Split(line, "|")
		if parts[0] == segment && number < len(parts) {
			return parts[number]
		}
	}
	return ""
}

func segments(message []byte) []string {
	var names []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(message), "\r"), "\r") {
		names = append(names, line[:3])
	}
	return slices.Compact(names)
}
