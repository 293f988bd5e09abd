package annotate_test

import (
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/pacs/annotate"
)

func TestScrub(t *testing.T) {
	jane := neurotriage.Patient{Name: "Müller^Jane Ann=山田^花子", ID: "MRN-77", BirthDate: "19700131"}
	cases := []struct {
		words   string
		patient neurotriage.Patient
		want    string
	}{
		{"no patient mrn-77", jane, "no patient [patient]"},
		{"MÜLLER, Jane (born 1970-01-31, 山田)", jane, "[patient], [patient] (born [patient], [patient])"},
		{"Müller^Jane Ann=山田^花子 is unknown", jane, "[patient] is unknown"},
		{"a\r\nb\tc\x00d", neurotriage.Patient{}, "a b c d"},
		{"x marks the spot", neurotriage.Patient{ID: "x"}, "x marks the spot"}, // a single letter names nobody
		{strings.Repeat("ä", 400), neurotriage.Patient{}, strings.Repeat("ä", 299) + "…"},
		{"", jane, ""},
	}
	for _, c := range cases {
		if got := annotate.Scrub(c.words, c.patient); got != c.want {
			t.Errorf("%q: %q, want %q", c.words, got, c.want)
		}
	}
}
