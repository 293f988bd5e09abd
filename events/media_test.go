package events_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

func TestAnUploadComesBackWholeAndGoesOnceItIsRead(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	content := make([]byte, 5<<20) // many chunks
	_, _ = rand.Read(content)
	where, err := bus.Upload(t.Context(), bytes.NewReader(content), "/home/me/t1.zip")
	if err != nil || where.Kind != neurotriage.Object || where.Bucket != "imaging_inbox" || !strings.HasSuffix(where.Name, "/t1.zip") {
		t.Fatalf("%+v, %v", where, err)
	}
	asked := study(uid)
	asked.Location = where
	_, err = bus.Submit(t.Context(), asked)
	must(t, "submit", err)
	job, _ := next(t, bus)
	var got bytes.Buffer
	n, err := bus.Fetch(t.Context(), job.Location.Bucket, job.Location.Name, &got, 6<<20)
	if err != nil || n != int64(len(content)) || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("fetched %d, %v", n, err)
	}
	must(t, "work", work(t.Context(), bus, job, reading(uid, "a", false)))
	if _, err := bus.Fetch(t.Context(), where.Bucket, where.Name, io.Discard, 6<<20); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the finding: %v", err)
	}
}

func TestFetchTellsWhatIsWrong(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server)
	where, err := bus.Upload(t.Context(), strings.NewReader("0123456789"), "a.zip")
	must(t, "upload", err)
	full := errors.New("disk full")
	cases := []struct {
		name, bucket, object string
		limit                int64
		to                   io.Writer
		is                   func(error) bool
	}{
		{"no bucket", "nowhere", where.Name, 10, io.Discard, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{"odd bucket", "no where", where.Name, 10, io.Discard, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{"no object", where.Bucket, "x", 10, io.Discard, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{"too large", where.Bucket, where.Name, 9, io.Discard, func(err error) bool {
			var refusal *neurotriage.Refusal
			return errors.As(err, &refusal) && refusal.Reason == neurotriage.TooLarge
		}},
		{"just right", where.Bucket, where.Name, 10, io.Discard, func(err error) bool { return err == nil }},
		{"receiver fails", where.Bucket, where.Name, 10, failing{full}, func(err error) bool {
			return errors.Is(err, full) && !errors.Is(err, neurotriage.ErrSurroundings)
		}},
	}
	for _, c := range cases {
		if _, err := bus.Fetch(t.Context(), c.bucket, c.object, c.to, c.limit); !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestATransferThatStallsEnds(t *testing.T) {
	server := kit.NATS(t)
	bus := daemonBus(t, server, func(o *events.Options) { o.CallTimeout = 200 * time.Millisecond })
	server.Stop()
	kit.Until(t, "the loss is noticed", func() bool { return !bus.Health().Connected })
	for name, err := range map[string]error{
		"upload": second(bus.Upload(t.Context(), strings.NewReader("x"), "a")),
		"fetch":  second(bus.Fetch(t.Context(), "imaging_inbox", "a", io.Discard, 10)),
	} {
		if !errors.Is(err, neurotriage.ErrSurroundings) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestMediaOfOnesOwn(t *testing.T) {
	server := kit.NATS(t)
	made := 0
	bus := daemonBus(t, server, func(o *events.Options) {
		o.Media = func(neurotriage.Reading) ([]events.Media, error) {
			made++
			return []events.Media{{Name: "key-1.png", ContentType: "image/png", Data: []byte{byte(made)}}}, nil
		}
	})
	submit(t, bus, uid)
	job, _ := next(t, bus)
	r := reading(uid, "a", false)
	for range 2 { // the second run reuses what the first stored
		must(t, "deliver", bus.Outlet().Deliver(t.Context(), job, r))
	}
	var got bytes.Buffer
	must(t, "media", bus.Media(t.Context(), r.Finding.ID, "key-1.png", &got))
	if !bytes.Equal(got.Bytes(), []byte{1}) {
		t.Errorf("stored %v", got.Bytes())
	}
	if err := bus.Media(t.Context(), r.Finding.ID, "other", &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

// withReports is media of which one is a report; it tells what it was asked for.
func withReports(asked *[]neurotriage.Reading) func(neurotriage.Reading) ([]events.Media, error) {
	return func(r neurotriage.Reading) ([]events.Media, error) {
		*asked = append(*asked, r)
		ref := neurotriage.ReportRef{Kind: "sr", SOPInstanceUID: neurotriage.DerivedUID(r.Finding.ID, "sr")}
		return []events.Media{
			{Name: "reading.json", ContentType: "application/json", Data: []byte("{}")},
			{Name: ref.SOPInstanceUID + ".dcm", ContentType: "application/dicom", Data: []byte("sr of " + r.Finding.ID), Report: ref},
		}, nil
	}
}

func TestAFindingListsItsReports(t *testing.T) {
	server := kit.NATS(t)
	var asked []neurotriage.Reading
	bus := daemonBus(t, server, func(o *events.Options) { o.Media = withReports(&asked) })
	old, renewed := reading(uid, "a", true), reading(uid, "a and one more", false)
	for _, r := range []neurotriage.Reading{old, renewed} {
		submit(t, bus, uid)
		job, _ := next(t, bus)
		must(t, "work", work(t.Context(), bus, job, r))
		f, found, err := bus.Finding(t.Context(), r.Finding.ID)
		want := neurotriage.ReportRef{Kind: "sr", SOPInstanceUID: neurotriage.DerivedUID(r.Finding.ID, "sr")}
		if err != nil || !found || len(f.Reports) != 1 || f.Reports[0] != want {
			t.Fatalf("finding %+v, %v", f, err)
		}
		var got bytes.Buffer
		must(t, "report", bus.Media(t.Context(), f.ID, want.SOPInstanceUID+".dcm", &got))
		if got.String() != "sr of "+r.Finding.ID {
			t.Errorf("report %q", &got)
		}
	}
	if len(asked) != 2 || len(asked[0].Replaced) != 0 || asked[0].Finding.Replaces != "" {
		t.Fatalf("the first: %+v", asked)
	}
	// The report of a revision knows the one that it follows.
	if r := asked[1]; r.Finding.Replaces != old.Finding.ID || len(r.Replaced) != 1 ||
		r.Replaced[0].SOPInstanceUID != neurotriage.DerivedUID(old.Finding.ID, "sr") {
		t.Errorf("the revision: replaces %q, reports %v", r.Finding.Replaces, r.Replaced)
	}
}

func TestARefusalWithHeadersHasReportsToo(t *testing.T) {
	cases := []struct {
		name    string
		headers neurotriage.Study
		reports int
	}{
		{"headers", neurotriage.Study{UID: uid}, 1},
		{"none", neurotriage.Study{}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := kit.NATS(t)
			var asked []neurotriage.Reading
			bus := daemonBus(t, server, func(o *events.Options) { o.Media = withReports(&asked) })
			submit(t, bus, uid)
			job, _ := next(t, bus)
			cause := neurotriage.Refuse(neurotriage.CorruptDICOM, "torn")
			r := refusedReading(job, cause.Reason)
			r.Study = c.headers
			for range 2 { // a repeat makes no second one
				must(t, "refuse", bus.Outlet().Refuse(t.Context(), job, r, cause))
			}
			f, found, err := bus.Finding(t.Context(), r.Finding.ID)
			if err != nil || !found || len(f.Reports) != c.reports {
				t.Errorf("finding %+v, %v", f, err)
			}
		})
	}
}
