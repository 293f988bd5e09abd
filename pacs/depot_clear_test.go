package pacs_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/internal/kit"
	"neurotriage/pacs"
)

// A depot that is opened anew goes on where the last one ended, however that was.
func TestRecover(t *testing.T) {
	dir, o := t.TempDir(), newOffice()
	opts := options(dir, o)
	first := openDepot(t, opts)
	stop := run(t, first)
	done, grown, fresh := study("done", 2).Files(), study("grown", 2).Files(), study("fresh", 1).Files()
	store(t, first, "quick", done[0])
	store(t, first, "quick", grown[0])
	o.next(t)
	o.next(t)
	idle(t, first)
	stop()
	store(t, first, "quick", grown[1])
	store(t, first, "quick", fresh[0])
	held := first.Holdings()
	_ = first.Close()
	if err := os.WriteFile(filepath.Join(dir, ".incoming", "torn"), []byte("half an object"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "quick", kit.UID("empty")), 0o700); err != nil {
		t.Fatal(err)
	}

	second := openDepot(t, opts)
	if got := second.Holdings(); got != held || got.Waiting != 2 || got.Studies != 3 {
		t.Errorf("holdings %+v, before %+v", got, held)
	}
	for _, file := range tree(t, dir) {
		if strings.Contains(file, "torn") {
			t.Errorf("%s is still there", file)
		}
	}
	run(t, second)
	uids := []string{o.next(t).StudyInstanceUID, o.next(t).StudyInstanceUID}
	slices.Sort(uids)
	want := []string{kit.UID("fresh"), kit.UID("grown")}
	slices.Sort(want)
	if !slices.Equal(uids, want) {
		t.Errorf("announced %q, want %q", uids, want)
	}
	idle(t, second)
	_ = second.Close()
	if third := openDepot(t, opts); third.Holdings().Waiting != 0 {
		t.Errorf("after all were announced %d wait", third.Holdings().Waiting)
	}
}

// A record that was lost or torn leads to one more announcement, not to none.
func TestRecoverWithoutRecords(t *testing.T) {
	dir, o := t.TempDir(), newOffice()
	opts := options(dir, o)
	first := openDepot(t, opts)
	stop := run(t, first)
	store(t, first, "quick", study("torn", 1).Files()[0])
	o.next(t)
	idle(t, first)
	stop()
	_ = first.Close()
	record := filepath.Join(dir, ".announced", "quick", kit.UID("torn")+".json")
	if err := os.WriteFile(record, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := openDepot(t, opts)
	run(t, second)
	if job := o.next(t); job.StudyInstanceUID != kit.UID("torn") {
		t.Errorf("announced %+v", job)
	}
}

func TestClear(t *testing.T) {
	size := int64(len(study("read", 1).Files()[0].Data))
	cases := []struct {
		name     string
		keep     time.Duration
		maxBytes int64
		settled  bool
		announce bool
		removed  bool
	}{
		{"young and read", time.Hour, 1 << 40, true, true, false},
		{"old and read", 0, 1 << 40, true, true, true},
		{"old and not read", 0, 1 << 40, false, true, false},
		{"old and not announced", 0, 1 << 40, true, false, false},
		{"crowded and read", time.Hour, size + size/20, true, true, true},
		{"crowded and not read", time.Hour, size + size/20, false, true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice()
			opts := options(t.TempDir(), o)
			opts.Keep, opts.MaxBytes = c.keep, c.maxBytes
			d := openDepot(t, opts)
			store(t, d, "others", study("read", 1).Files()[0])
			uid := kit.UID("read")
			o.settled[uid] = c.settled
			if c.announce {
				if _, _, err := d.Announce(t.Context(), neurotriage.Job{StudyInstanceUID: uid}); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Clear(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := pacs.Holdings{Studies: 1, Waiting: 1, Bytes: d.Holdings().Bytes}
			if c.announce {
				want.Waiting = 0
			}
			if c.removed {
				want = pacs.Holdings{}
			}
			if got := d.Holdings(); got != want || (len(tree(t, opts.Dir)) == 0) != c.removed {
				t.Errorf("holdings %+v, files %q; want %+v", got, tree(t, opts.Dir), want)
			}
			if _, err := os.Stat(filepath.Join(opts.Dir, ".announced", "others", uid+".json")); (err == nil) != (c.announce && !c.removed) {
				t.Errorf("record: %v", err)
			}
		})
	}
}

// Who cannot be asked whether a study is read does not get it removed.
func TestClearDuringAnOutage(t *testing.T) {
	o := newOffice()
	opts := options(t.TempDir(), o)
	opts.Keep = 0
	d := openDepot(t, opts)
	store(t, d, "others", study("outage", 1).Files()[0])
	if _, _, err := d.Announce(t.Context(), neurotriage.Job{StudyInstanceUID: kit.UID("outage")}); err != nil {
		t.Fatal(err)
	}
	o.err = errors.New("nats is away")
	if err := d.Clear(t.Context()); !errors.Is(err, o.err) || d.Holdings().Studies != 1 {
		t.Errorf("%v, holdings %+v", err, d.Holdings())
	}
}
