package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFullFileIsPutAsideAndOldOnesGo(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	l, err := Open(Options{Folder: folder, Keep: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	old := filepath.Join(folder, "audit-20200101T000000.000000000Z.log")
	if err := os.WriteFile(old, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, now.Add(-2*time.Hour), now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Record(Event{Kind: Start}); err != nil {
			t.Fatal(err)
		}
		l.size = segmentSize
		now = now.Add(time.Second)
	}
	names, err := segments(folder)
	if err != nil || len(names) != 1 {
		t.Errorf("former files %v, error %v; want the one just put aside", names, err)
	}
	text, err := os.ReadFile(filepath.Join(folder, currentFile))
	if err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("current file %q, error %v", text, err)
	}
}

func TestFileTheRepositoryHasNotGotStays(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	l := &Log{options: Options{Folder: folder, Keep: time.Hour, Syslog: &SyslogOptions{}, Now: func() time.Time { return now }}}
	for _, name := range []string{"audit-1.log", "audit-2.log", "audit-3.log"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-2*time.Hour), now.Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeCursor(folder, cursor{File: "audit-2.log"}); err != nil {
		t.Fatal(err)
	}
	l.clear()
	names, err := segments(folder)
	if err != nil || strings.Join(names, " ") != "audit-2.log audit-3.log" {
		t.Errorf("left %v, %v", names, err)
	}
}

// TestSenderFollowsAFilePutAside: what was current when the repository got it
// has another name when it goes on.
func TestSenderFollowsAFilePutAside(t *testing.T) {
	folder := t.TempDir()
	current := filepath.Join(folder, currentFile)
	if err := os.WriteFile(current, []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := cursor{File: currentFile, Offset: 2, Inode: inode(current)}
	if err := os.Rename(current, filepath.Join(folder, "audit-1.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(current, []byte("b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSender(Options{Folder: folder}, nil)
	path, next, err := s.place(&at)
	if err != nil || filepath.Base(path) != "audit-1.log" || next != currentFile || at.Offset != 2 {
		t.Errorf("place %s, next %s, cursor %+v, error %v", path, next, at, err)
	}
}
