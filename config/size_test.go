package config

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	cases := []struct {
		text  string
		want  Size
		back  string // as String writes it
		wrong bool
	}{
		{text: "0", want: 0, back: "0B"},
		{text: "17", want: 17, back: "17B"},
		{text: "17B", want: 17, back: "17B"},
		{text: "1kB", want: 1000, back: "1kB"},
		{text: "1 KB", want: 1000, back: "1kB"},
		{text: "1KiB", want: 1024, back: "1KiB"},
		{text: "20GB", want: 20e9, back: "20GB"},
		{text: "1.5GB", want: 15e8, back: "1500MB"},
		{text: "8gib", want: 8 << 30, back: "8GiB"},
		{text: "9007199254740993", want: 9007199254740993, back: "9007199254740993B"},
		{text: "2TB", want: 2e12, back: "2TB"},
		{text: "", wrong: true},
		{text: "GB", wrong: true},
		{text: "-1", wrong: true},
		{text: "1XB", wrong: true},
		{text: "1 2", wrong: true},
		{text: "NaN", wrong: true},
		{text: "Inf", wrong: true},
		{text: "9223372036854775807TB", wrong: true},
		{text: "9223372036854775808", wrong: true},
	}
	for _, c := range cases {
		got, err := parseSize(c.text)
		if (err != nil) != c.wrong || err == nil && (got != c.want || got.String() != c.back) {
			t.Errorf("%q: %d (%s), %v; want %d (%s)", c.text, got, got, err, c.want, c.back)
		}
	}
}

func TestParseDuration(t *testing.T) {
	cases := []struct {
		text  string
		want  time.Duration
		back  string
		wrong bool
	}{
		{text: "0", want: 0, back: "0s"},
		{text: "20s", want: 20 * time.Second, back: "20s"},
		{text: "15m", want: 15 * time.Minute, back: "15m"},
		{text: "1h30m", want: 90 * time.Minute, back: "1h30m"},
		{text: "36h", want: 36 * time.Hour, back: "36h"},
		{text: "90d", want: 90 * day, back: "90d"},
		{text: "1d12h", want: 36 * time.Hour, back: "36h"},
		{text: "0.5d", want: 12 * time.Hour, back: "12h"},
		{text: "24h", want: day, back: "1d"},
		{text: "100ms", want: 100 * time.Millisecond, back: "100ms"},
		{text: "10m10s", want: 610 * time.Second, back: "10m10s"},
		{text: "", wrong: true},
		{text: "15", wrong: true},
		{text: "d", wrong: true},
		{text: "-1d", wrong: true},
		{text: "1d-1h", wrong: true},
		{text: "-1s", wrong: true},
		{text: "1d2d", wrong: true},
		{text: "NaNd", wrong: true},
		{text: "1e9d", wrong: true},
		{text: "106751d24h", wrong: true}, // beyond what a Duration holds
	}
	for _, c := range cases {
		got, err := parseDuration(c.text)
		if (err != nil) != c.wrong || err == nil && (got != c.want || formatDuration(got) != c.back) {
			t.Errorf("%q: %v (%s), %v; want %v (%s)", c.text, got, formatDuration(got), err, c.want, c.back)
		}
	}
}

// TestKeys guards what the rest of the package takes for granted.
func TestKeys(t *testing.T) {
	variables, defaults := map[string]string{}, Default()
	for _, k := range keys() {
		if other, taken := variables[k.variable()]; taken {
			t.Errorf("%s and %s share the variable %s", other, k.path, k.variable())
		}
		variables[k.variable()] = k.path
		if _, err := k.parse(k.texts(&defaults)); err != nil {
			t.Errorf("the default of %s does not parse: %v", k.path, err)
		}
		if k.isFile && !k.isPath {
			t.Errorf("%s names a file and is not made absolute", k.path)
		}
	}
	for _, name := range append(reservedVariables, envFile) {
		if path, taken := variables[name]; taken {
			t.Errorf("%s is reserved and belongs to %s", name, path)
		}
	}
}
