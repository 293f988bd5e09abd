package alert

import (
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	p, limit, raised := 0.914, 0.17, time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)
	flagged := Alert{
		Key: "f1", Kind: Review, StudyInstanceUID: "1.2.3", FindingID: "f1", Text: "The study is flagged for review of a possible glioma.",
		Raised: raised, Priority: "urgent", Probability: &p, Threshold: &limit, Link: "https://x.example/1.2.3",
	}
	late := Alert{Key: "overdue:e", Kind: Overdue, StudyInstanceUID: "1.2.4", Text: "The study has no finding.", Raised: raised, Over: true}
	reminder := flagged
	reminder.Reminder, reminder.AccessionNumber, reminder.Over = 2, "A1", true
	reminder.Patient = &Person{Name: "Doe^Jane", ID: "7", BirthDate: "19700131"}
	cases := []struct {
		name    string
		alerts  []Alert
		subject string
		text    string
		urgent  bool
	}{
		{"flagged", []Alert{flagged}, "Review: possible glioma", `The study is flagged for review of a possible glioma.
Probability of glioma: 0.91 (threshold 0.17)
Announced as: urgent
Since: 2026-03-02T08:15:00Z
Study: 1.2.3
https://x.example/1.2.3

Research software; not a diagnosis.`, true},
		{"a reminder that names the patient", []Alert{reminder}, "Reminder: Review: possible glioma", `The study is flagged for review of a possible glioma.
The study has a newer finding meanwhile.
Nobody has acknowledged it yet.
Patient: Doe Jane 7 19700131
Accession number: A1
Probability of glioma: 0.91 (threshold 0.17)
Announced as: urgent
Since: 2026-03-02T08:15:00Z
Study: 1.2.3
https://x.example/1.2.3

Research software; not a diagnosis.`, true},
		{"a bundle", []Alert{late, flagged, late}, "3 alerts: 1 flagged for review, 2 overdue", `Review: possible glioma
The study is flagged for review of a possible glioma.
Probability of glioma: 0.91 (threshold 0.17)
Announced as: urgent
Since: 2026-03-02T08:15:00Z
Study: 1.2.3
https://x.example/1.2.3

Study overdue
The study has no finding.
It has its finding meanwhile.
Since: 2026-03-02T08:15:00Z
Study: 1.2.4

Study overdue
The study has no finding.
It has its finding meanwhile.
Since: 2026-03-02T08:15:00Z
Study: 1.2.4

Research software; not a diagnosis.`, true},
		{"a test", Example(raised).Alerts, "Test of the alerts", "This is a test by an administrator. No study is concerned.\nSince: 2026-03-02T08:15:00Z\n\nResearch software; not a diagnosis.", false},
	}
	for _, c := range cases {
		m := compose(c.alerts)
		if m.Subject() != c.subject || m.Text() != c.text || m.Urgent() != c.urgent {
			t.Errorf("%s: %q, urgent %v\n%s", c.name, m.Subject(), m.Urgent(), m.Text())
		}
	}
}

// TestBundleIDs shows that a bundle is known by what it holds, in any order.
func TestBundleIDs(t *testing.T) {
	a, b, c := Alert{Key: "a", Kind: Review}, Alert{Key: "b", Kind: Overdue}, Alert{Key: "c", Kind: Overdue}
	one, other, third := compose([]Alert{a, b}), compose([]Alert{b, a}), compose([]Alert{a, c})
	if one.ID != other.ID || one.ID == third.ID || !strings.HasPrefix(one.ID, "bundle-") || compose([]Alert{a}).ID != "a" {
		t.Errorf("%s %s %s", one.ID, other.ID, third.ID)
	}
}

func TestLinks(t *testing.T) {
	cases := []struct{ pattern, want string }{
		{"https://x/s/{study}?f={finding}", "https://x/s/1.2?f=a%2Fb"}, {"https://x/", "https://x/"}, {"", ""},
	}
	for _, c := range cases {
		if got := link(c.pattern, Alert{StudyInstanceUID: "1.2", FindingID: "a/b"}); got != c.want {
			t.Errorf("%s: %s", c.pattern, got)
		}
	}
	if got := link("https://x/", Alert{Kind: Trial}); got != "" {
		t.Errorf("a test links to %s", got)
	}
}
