package report

import (
	"strings"
	"testing"
	"time"
)

func TestPersonName(t *testing.T) {
	long := strings.Repeat("x", 80)
	cases := []struct{ given, want string }{
		{"Doe^Jane", "Doe^Jane"},
		{"Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{"a=b=c=d", "a=b=c"},
		{"a^b^c^d^e^f^g", "a^b^c^d^e"},
		{long, long[:64]},
		{long + "=" + long, long[:64] + "=" + long[:64]},
		{"Doe\\Jane\x1b", "Doe/Jane"},
		{"\xff", "\uFFFD"},
		{"^^==", ""},
		{"", ""},
	}
	for _, c := range cases {
		if got := personName(c.given); got != c.want {
			t.Errorf("%q became %q, want %q", c.given, got, c.want)
		}
	}
}

func TestTimesOfStudies(t *testing.T) {
	for given, want := range map[string]string{
		"101500": "101500", "1015": "1015", "10": "10", "101500.123456": "101500.123456",
		"101500.1234567": "101500", "101500.": "101500", "10:15:00": "", "250000": "", "1015.5": "1015", "": "", "noon": "",
	} {
		if got := timeOfDay(given); got != want {
			t.Errorf("time %q became %q, want %q", given, got, want)
		}
	}
	for given, want := range map[string]string{"20260102": "20260102", "20260230": "", "2026.01.02": "", "": ""} {
		if got := date(given); got != want {
			t.Errorf("date %q became %q, want %q", given, got, want)
		}
	}
}

func TestDecimalFitsDS(t *testing.T) {
	for _, value := range []float64{0, 1, 0.17, 1.0 / 3, -1.0 / 3e-300, 1e-300, 123456789.123, 0.46875} {
		if text := decimal(value); len(text) > 16 {
			t.Errorf("%g is %q, of %d characters", value, text, len(text))
		}
	}
}

func TestMomentNamesItsZone(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 30, 15, 250_000_000, time.FixedZone("", -5*3600-1800))
	if got := moment(0x0018A002, at).Value; got != "20261124093015.250000-0530" {
		t.Errorf("written as %v", got)
	}
}
