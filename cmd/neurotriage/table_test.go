package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	red := style{colour: true}.bad
	cases := []struct {
		name string
		view table
		want string
	}{
		{"aligned, numbers to the right, no trailing blanks",
			table{head: []string{"NAME", "N", "NOTE"}, rows: [][]cell{
				{plainCell("a"), numberCell("1"), plainCell("x")},
				{plainCell("longer"), numberCell("100"), plainCell("")},
			}},
			"NAME      N  NOTE\na         1  x\nlonger  100\n"},
		{"empty columns are left out",
			table{head: []string{"A", "B", "C"}, rows: [][]cell{{plainCell("1"), plainCell(""), plainCell("3")}}},
			"A  C\n1  3\n"},
		{"width is counted in runes",
			table{rows: [][]cell{{plainCell("größer"), plainCell("x")}, {plainCell("123456"), plainCell("y")}}},
			"größer  x\n123456  y\n"},
		{"colour takes no room",
			table{rows: [][]cell{{{text: "a", paint: red}, plainCell("x")}, {plainCell("bcd"), plainCell("y")}}},
			"\x1b[1;31ma\x1b[0m    x\nbcd  y\n"},
		{"nothing without rows", table{head: []string{"A"}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := c.view.write(&out, style{}); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want {
				t.Errorf("got\n%q\nwant\n%q", out.String(), c.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	cases := []struct{ line, want string }{
		{"short", "short"},
		{"  - one two three four", "  - one two\n    three\n    four"},
		{"  averyverylongwordindeed", "  averyverylongwordindeed"},
		{"", ""},
	}
	for _, c := range cases {
		if got := wrap(c.line, 12); got != c.want {
			t.Errorf("wrap(%q) = %q, want %q", c.line, got, c.want)
		}
	}
}

func TestShortened(t *testing.T) {
	for text, want := range map[string]string{"abc": "abc", "abcd": "abcd", "abcde": "abc…", "ääääää": "äää…"} {
		if got := shortened(text, 4); got != want {
			t.Errorf("shortened(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestProgressIsDrawnAndRemoved(t *testing.T) {
	var out locked
	a := &app{err: &out, errIsTerm: true}
	bar := a.progress(t.Context(), "reading", "slices", 3)
	for range 3 {
		bar.step()
	}
	bar.done()
	bar.done() // twice does no harm
	if !strings.Contains(out.String(), "reading") {
		t.Errorf("drawn: %q", out.String())
	}
	a.errIsTerm = false
	silent := a.progress(t.Context(), "reading", "slices", 3)
	silent.step()
	silent.done()
	if silent != nil {
		t.Error("a pipe got a bar")
	}
}
