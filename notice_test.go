package neurotriage_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var requireLine = regexp.MustCompile(`(?m)^(?:require )?\t?([a-z0-9.-]+\.[a-z]+/\S+) v\S+`)

// TestNoticeNamesEveryModule keeps the licence list whole when a library comes.
func TestNoticeNamesEveryModule(t *testing.T) {
	mod, notice := read(t, "go.mod"), read(t, "NOTICE")
	named := map[string]bool{}
	for _, word := range strings.FieldsFunc(notice, func(r rune) bool { return strings.ContainsRune(" ,:\n", r) }) {
		named[word] = true
	}
	found := requireLine.FindAllStringSubmatch(mod, -1)
	if len(found) < 10 {
		t.Fatalf("read %d required modules from go.mod, want many more", len(found))
	}
	for _, line := range found {
		if !named[line[1]] {
			t.Errorf("NOTICE does not name %s with its licence", line[1])
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
