package pacs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"neurotriage"
	"neurotriage/dicomio"
	"neurotriage/internal/kit"
	"neurotriage/pacs"
)

const mrImage = "1.2.840.10008.5.1.4.1.1.4"

// office takes announcements and says what it is told to of their studies.
type office struct {
	mu      sync.Mutex
	jobs    []neurotriage.Job
	settled map[string]bool // by study UID
	err     error
	came    chan neurotriage.Job // takes a job if there is room
}

func (o *office) Announce(_ context.Context, job neurotriage.Job) (neurotriage.Job, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return job, o.err
	}
	job.EventID, job.Asked = fmt.Sprintf("event-%d", len(o.jobs)+1), time.Now()
	o.jobs = append(o.jobs, job)
	select {
	case o.came <- job:
	default:
	}
	return job, nil
}

func (o *office) Settled(_ context.Context, job neurotriage.Job) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.settled[job.StudyInstanceUID], o.err
}

func (o *office) announced() []neurotriage.Job {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.jobs)
}

func newOffice() *office {
	return &office{settled: map[string]bool{}, came: make(chan neurotriage.Job, 100)}
}

// next waits for an announcement.
func (o *office) next(t *testing.T) neurotriage.Job {
	t.Helper()
	select {
	case job := <-o.came:
		return job
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was announced within 30 s")
		return neurotriage.Job{}
	}
}

func options(dir string, o *office) pacs.DepotOptions {
	return pacs.DepotOptions{
		Dir: dir, Root: "received", Sync: true, Limits: dicomio.DefaultLimits(), Classes: func(uid string) bool { return uid == mrImage },
		MaxBytes: 1 << 40, Keep: time.Hour, Office: o,
		Waiting: map[string]pacs.Waiting{
			pacs.OtherSources: {Quiet: time.Hour}, "mri1": {Quiet: time.Hour, Series: []string{"*"}}, "quick": {Quiet: time.Millisecond},
		},
	}
}

func openDepot(t *testing.T, opts pacs.DepotOptions) *pacs.Depot {
	t.Helper()
	d, err := pacs.OpenDepot(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// run lets the depot work until the test ends, or the returned function is called.
func run(t *testing.T, d *pacs.Depot) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// idle waits until every study is announced, and that is noted.
func idle(t *testing.T, d *pacs.Depot) {
	t.Helper()
	kit.Until(t, "all is announced", func() bool { return d.Holdings().Waiting == 0 })
}

func study(name string, n int) kit.Study {
	return kit.Study{Name: name, Series: []kit.Series{{Agent: "GADOLINIUM", Images: kit.Heads(n, 32, 32)}}}
}

// incoming gives an object as C-STORE brings it: a data set and what the command
// says of it.
func incoming(source string, file kit.File, changes ...kit.Element) (pacs.Incoming, []byte) {
	elements := file.With(changes...)
	file.Elements = elements
	return pacs.Incoming{
		Source: source, SOPClassUID: text(file, 0x00080016), SOPInstanceUID: text(file, 0x00080018), TransferSyntaxUID: kit.ExplicitLittle,
	}, kit.EncodeDataSet(kit.ExplicitLittle, elements)
}

func text(file kit.File, tag uint32) string { return fmt.Sprint(file.Element(tag).Value) }

func store(t *testing.T, d *pacs.Depot, source string, file kit.File, changes ...kit.Element) pacs.Receipt {
	t.Helper()
	in, data := incoming(source, file, changes...)
	receipt, err := d.Store(t.Context(), in, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// tree lists the files below a folder, but for the depot's own.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.Contains(path, "/.announced/") {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	d := openDepot(t, options(dir, newOffice()))
	files := study("store", 2).Files()
	first, second := files[0], files[1]
	uid := kit.UID("store")
	other := kit.Element{Tag: 0x00180050, VR: "DS", Value: "7"} // another slice thickness
	thick := kit.Element{Tag: 0x00180050, VR: "DS", Value: "8"}
	for _, c := range []struct {
		name    string
		source  string
		file    kit.File
		changes []kit.Element
		want    pacs.Outcome
		files   []string // that are there afterwards, with S1 and S2 for the instances
	}{
		{"first", "others", first, nil, pacs.Stored, []string{"others/UID/S1.dcm"}},
		{"again", "others", first, nil, pacs.Identical, []string{"others/UID/S1.dcm"}},
		{"second", "others", second, nil, pacs.Stored, []string{"others/UID/S1.dcm", "others/UID/S2.dcm"}},
		{"another's with its UID", "others", first, []kit.Element{other}, pacs.Conflict,
			[]string{"others/UID/S1.dcm", "others/UID/S1_1.dcm", "others/UID/S2.dcm"}},
		{"that again", "others", first, []kit.Element{other}, pacs.Identical,
			[]string{"others/UID/S1.dcm", "others/UID/S1_1.dcm", "others/UID/S2.dcm"}},
		{"a third one", "others", first, []kit.Element{thick}, pacs.Conflict,
			[]string{"others/UID/S1.dcm", "others/UID/S1_1.dcm", "others/UID/S1_2.dcm", "others/UID/S2.dcm"}},
		{"of another source", "mri1", first, nil, pacs.Stored,
			[]string{"mri1/UID/S1.dcm", "others/UID/S1.dcm", "others/UID/S1_1.dcm", "others/UID/S1_2.dcm", "others/UID/S2.dcm"}},
		{"our report", "others", second, []kit.Element{{Tag: 0x00080070, VR: "LO", Value: neurotriage.Manufacturer}}, pacs.Own,
			[]string{"mri1/UID/S1.dcm", "others/UID/S1.dcm", "others/UID/S1_1.dcm", "others/UID/S1_2.dcm", "others/UID/S2.dcm"}},
	} {
		if got := store(t, d, c.source, c.file, c.changes...); got.Outcome != c.want || got.StudyInstanceUID != uid || got.SOPInstanceUID != text(c.file, 0x00080018) {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
		short := strings.NewReplacer(text(first, 0x00080018), "S1", text(second, 0x00080018), "S2", uid, "UID")
		var got []string
		for _, name := range tree(t, dir) {
			got = append(got, short.Replace(name))
		}
		if !slices.Equal(got, c.files) {
			t.Errorf("%s: there are %q, want %q", c.name, got, c.files)
		}
	}
	source, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dicomio.Open(t.Context(), dicomio.Dir(source, "mri1/"+uid), dicomio.Options{}); err != nil {
		t.Errorf("what is kept cannot be read: %v", err)
	}
}

// A file with meta and the data set of a message hold the same object.
func TestStoreSameObjectBothWays(t *testing.T) {
	d := openDepot(t, options(t.TempDir(), newOffice()))
	file := study("ways", 1).Files()[0]
	store(t, d, "others", file)
	receipt, err := d.Store(t.Context(), pacs.Incoming{Source: "others", Part10: true}, bytes.NewReader(file.Data))
	if err != nil || receipt.Outcome != pacs.Identical {
		t.Errorf("%+v, %v", receipt, err)
	}
}

func TestStoreFaults(t *testing.T) {
	file := study("faults", 1).Files()[0]
	in, whole := incoming("others", file)
	change := func(fn func(*pacs.Incoming)) pacs.Incoming { changed := in; fn(&changed); return changed }
	cut := errors.New("the line is cut")
	full := func(string) (uint64, error) { return 1 << 20, nil }
	cases := []struct {
		name string
		in   pacs.Incoming
		data io.Reader
		opts func(*pacs.DepotOptions)
		want error
	}{
		{"another instance", change(func(i *pacs.Incoming) { i.SOPInstanceUID = "1.2.3" }), bytes.NewReader(whole), nil, pacs.ErrMismatch},
		{"another class", change(func(i *pacs.Incoming) { i.SOPClassUID = "1.2.3" }), bytes.NewReader(whole), nil, pacs.ErrMismatch},
		{"an instance that is a path", change(func(i *pacs.Incoming) { i.SOPInstanceUID = "../1" }), bytes.NewReader(whole), nil, pacs.ErrMismatch},
		{"a source that is a path", change(func(i *pacs.Incoming) { i.Source = "../x" }), bytes.NewReader(whole), nil, pacs.ErrSource},
		{"a source of the depot's own", change(func(i *pacs.Incoming) { i.Source = ".incoming" }), bytes.NewReader(whole), nil, pacs.ErrSource},
		{"nothing", in, strings.NewReader(""), nil, pacs.ErrUnreadable},
		{"text", pacs.Incoming{Source: "others", Part10: true}, strings.NewReader("hello"), nil, pacs.ErrUnreadable},
		{"cut before the study", in, bytes.NewReader(whole[:60]), nil, pacs.ErrUnreadable},
		{"the line is cut", in, io.MultiReader(bytes.NewReader(whole[:700]), iotest.ErrReader(cut)), nil, cut},
		{"the line is cut in the pixels", in, io.MultiReader(bytes.NewReader(whole[:len(whole)-9]), iotest.ErrReader(cut)), nil, cut},
		{"a class that is not taken", in, bytes.NewReader(whole), func(o *pacs.DepotOptions) { o.Classes = func(string) bool { return false } }, pacs.ErrClass},
		{"too large", in, bytes.NewReader(whole), func(o *pacs.DepotOptions) { o.Limits.FileBytes = 1000 }, pacs.ErrTooLarge},
		{"the disk is full", in, bytes.NewReader(whole), func(o *pacs.DepotOptions) { o.MinFree, o.Free = 1<<30, full }, pacs.ErrFull},
		{"the depot is full", in, bytes.NewReader(whole), func(o *pacs.DepotOptions) { o.MaxBytes = 0 }, pacs.ErrFull},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opts := options(t.TempDir(), newOffice())
			if c.opts != nil {
				c.opts(&opts)
			}
			d := openDepot(t, opts)
			if receipt, err := d.Store(t.Context(), c.in, c.data); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v; want %v", receipt, err, c.want)
			}
			if left := tree(t, opts.Dir); len(left) > 0 {
				t.Errorf("%q were left", left)
			}
			if h := d.Holdings(); h != (pacs.Holdings{}) {
				t.Errorf("holdings %+v", h)
			}
		})
	}
}

// A class that is not taken may still bring our own report back.
func TestOwnReportOfAnyClass(t *testing.T) {
	opts := options(t.TempDir(), newOffice())
	opts.Classes = func(string) bool { return false }
	d := openDepot(t, opts)
	got := store(t, d, "others", study("own", 1).Files()[0], kit.Element{Tag: 0x00080070, VR: "LO", Value: neurotriage.Manufacturer})
	if got.Outcome != pacs.Own || len(tree(t, opts.Dir)) > 0 || d.Holdings().Waiting > 0 {
		t.Errorf("%+v, kept %q", got, tree(t, opts.Dir))
	}
}

// Sixteen senders at once, some of the same objects: nothing is lost or doubled.
func TestStoreAtOnce(t *testing.T) {
	opts := options(t.TempDir(), newOffice())
	opts.Sync = false
	d := openDepot(t, opts)
	files := study("crowd", 20).Files()
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for _, file := range files {
				in, data := incoming("others", file)
				if _, err := d.Store(t.Context(), in, bytes.NewReader(data)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	if got := tree(t, opts.Dir); len(got) != len(files) {
		t.Errorf("%d files are kept, %d were sent", len(got), len(files))
	}
	if h := d.Holdings(); h.Studies != 1 || h.Waiting != 1 {
		t.Errorf("holdings %+v", h)
	}
}

func TestAnnounce(t *testing.T) {
	o := newOffice()
	d := openDepot(t, options(t.TempDir(), o))
	run(t, d)
	files := study("announced", 2).Files()
	store(t, d, "quick", files[0], kit.Element{Tag: 0x00080050, VR: "SH", Value: "A1"})
	job := o.next(t)
	want := neurotriage.Location{Kind: neurotriage.Directory, Root: "received", Path: "quick/" + kit.UID("announced")}
	if job.StudyInstanceUID != kit.UID("announced") || job.Location != want || job.AccessionNumber != "A1" {
		t.Errorf("announced %+v", job)
	}
	store(t, d, "quick", files[1])
	if late := o.next(t); late.Location != want || late.EventID == job.EventID {
		t.Errorf("late images were announced as %+v", late)
	}
	store(t, d, "quick", files[1])
	idle(t, d)
	if n := len(o.announced()); n != 2 {
		t.Errorf("%d announcements", n)
	}
}

func TestAnnounceWhenTheLineCloses(t *testing.T) {
	o := newOffice()
	d := openDepot(t, options(t.TempDir(), o))
	run(t, d)
	d.Opened("mri1")
	store(t, d, "mri1", study("line", 1).Files()[0])
	d.Closed("mri1")
	if job := o.next(t); job.StudyInstanceUID != kit.UID("line") {
		t.Errorf("announced %+v", job)
	}
}

// Somebody who knows that a study is complete need not wait.
func TestAnnounceByHand(t *testing.T) {
	o := newOffice()
	d := openDepot(t, options(t.TempDir(), o))
	file := study("hand", 1).Files()[0]
	uid := kit.UID("hand")
	if _, found, err := d.Announce(t.Context(), neurotriage.Job{StudyInstanceUID: uid}); found || err != nil {
		t.Errorf("a study that is not here: %v, %v", found, err)
	}
	store(t, d, "others", file)
	store(t, d, "mri1", file)
	job, found, err := d.Announce(t.Context(), neurotriage.Job{StudyInstanceUID: uid, Priority: neurotriage.Stat, AccessionNumber: "A2"})
	if err != nil || !found || job.Location.Path != "mri1/"+uid || job.Priority != neurotriage.Stat || job.AccessionNumber != "A2" {
		t.Errorf("announced %+v, %v, %v", job, found, err)
	}
	if h := d.Holdings(); h.Waiting != 1 {
		t.Errorf("the copy of the other source does not wait any more: %+v", h)
	}
	o.err = errors.New("nats is away")
	if _, _, err := d.Announce(t.Context(), neurotriage.Job{StudyInstanceUID: uid}); !errors.Is(err, o.err) {
		t.Errorf("got %v", err)
	}
}
