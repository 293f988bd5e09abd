package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"neurotriage"
)

func TestWalk(t *testing.T) {
	fine := "open\nclassify\ndeliver id-1 warnings=[own lower recall]\nclose\nsettle e1 done counts=false after=0s"
	cases := []struct {
		name    string
		attempt int
		arrival error // from Next
		set     func(b *bench)
		want    string
	}{
		{"read", 1, nil, func(*bench) {}, fine},
		{"its finding is there", 1, nil, func(b *bench) { b.known = func(string) (bool, error) { return true, nil } },
			"open\nclose\nsettle e1 done counts=false after=0s"},
		{"a refusal by the inbox is not opened", 1, neurotriage.Refuse(neurotriage.MalformedEvent, "no json"), func(*bench) {},
			"refuse malformed_event malformed_event\nsettle e1 terminate counts=false after=0s"},
		{"a refusal by the reader", 1, nil,
			func(b *bench) {
				b.read = func(context.Context, neurotriage.Job) error {
					return neurotriage.Refuse(neurotriage.TooLarge, "10 GB")
				}
			},
			"open\nrefuse too_large too_large\nsettle e1 terminate counts=false after=0s"},
		{"a refusal by the reader, which read headers", 1, nil,
			func(b *bench) {
				b.read = func(context.Context, neurotriage.Job) error {
					refusal := neurotriage.Refuse(neurotriage.CorruptDICOM, "torn")
					refusal.Study = &neurotriage.Study{UID: fakeStudy}
					return refusal
				}
			},
			"open\nrefuse corrupt_dicom corrupt_dicom with headers\nsettle e1 terminate counts=false after=0s"},
		{"headers of another study are not used", 1, nil,
			func(b *bench) {
				b.read = func(context.Context, neurotriage.Job) error {
					refusal := neurotriage.Refuse(neurotriage.CorruptDICOM, "torn")
					refusal.Study = &neurotriage.Study{UID: "9.9"}
					return refusal
				}
			},
			"open\nrefuse corrupt_dicom corrupt_dicom\nsettle e1 terminate counts=false after=0s"},
		{"a refusal by the classifier", 1, nil,
			func(b *bench) {
				b.classify = func() error { return neurotriage.Refuse(neurotriage.CorruptDICOM, "all slices") }
			},
			"open\nclassify\nclose\nrefuse corrupt_dicom corrupt_dicom with headers\nsettle e1 terminate counts=false after=0s"},
		{"an error", 1, nil, func(b *bench) { b.classify = func() error { return errors.New("odd") } },
			"open\nclassify\nclose\nsettle e1 hand_back counts=true after=1s"},
		{"an error at the last attempt", 3, nil, func(b *bench) { b.classify = func() error { return errors.New("odd") } },
			"open\nclassify\nclose\nrefuse gave_up gave_up with headers\nsettle e1 terminate counts=false after=0s"},
		{"an error of delivery settles nothing as done", 1, nil,
			func(b *bench) { b.deliver = func(context.Context) error { return errors.New("stream is gone") } },
			"open\nclassify\nclose\nsettle e1 hand_back counts=true after=1s"},
		{"a panic counts", 1, nil, func(b *bench) { b.classify = func() error { panic("DOE^JOHN") } },
			"open\nclassify\nclose\nsettle e1 hand_back counts=true after=1s"},
		{"a panic at the last attempt", 3, nil, func(b *bench) { b.slice = func(int) error { panic("DOE^JOHN") } },
			"open\nclose\nrefuse gave_up gave_up with headers\nsettle e1 terminate counts=false after=0s"},
		{"a refusal that cannot be stored is tried again", 1, neurotriage.Refuse(neurotriage.MalformedEvent, "no json"),
			func(b *bench) { b.refuse = func() error { return errors.New("full") } },
			"refuse failed\nsettle e1 hand_back counts=false after=10s"},
		{"a root that others have", 1, nil,
			func(b *bench) {
				b.read = func(context.Context, neurotriage.Job) error {
					return fmt.Errorf("root: %w", neurotriage.ErrElsewhere)
				}
			},
			"open\nsettle e1 hand_back counts=false after=1s"},
		{"a promise of the headers that the reading breaks", 1, nil,
			func(b *bench) {
				b.known = func(id string) (bool, error) {
					return false, fmt.Errorf("asking: %w", neurotriage.ErrElsewhere)
				}
			},
			"open\nclose\nsettle e1 hand_back counts=false after=1s"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{}
			c.set(b)
			stop := b.start(t)
			b.jobs <- arrival{fakeJob(c.attempt), c.arrival}
			<-b.settled
			stop()
			if got := b.text(); got != c.want {
				t.Errorf("walk:\n%s\nwant:\n%s", got, c.want)
			}
			if strings.Contains(b.log.String(), "DOE") {
				t.Errorf("the panic's own words are in the log:\n%s", &b.log)
			}
		})
	}
}

// The pause: a fault hands back, the next job waits for the probe, and the log
// has one line at each end although three jobs met the fault.
func TestFaultPausesTheInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{}
		var away atomic.Bool
		away.Store(true)
		b.read = func(context.Context, neurotriage.Job) error {
			if away.Load() {
				return &fault{err: errors.New("root is away"), over: func() error {
					if away.Load() {
						return errors.New("still away")
					}
					return nil
				}}
			}
			return nil
		}
		stop := b.start(t)
		b.jobs <- arrival{fakeJob(1), nil}
		if o := <-b.settled; o.Verdict != HandBack || o.Counts {
			t.Errorf("outcome %+v", o)
		}
		b.jobs <- arrival{fakeJob(1), nil}
		time.Sleep(10 * time.Minute)
		if len(b.jobs) != 1 {
			t.Error("a job was taken during the pause")
		}
		away.Store(false)
		if o := <-b.settled; o.Verdict != Done {
			t.Errorf("outcome %+v after the pause", o)
		}
		stop()
		for line, want := range map[string]int{"work paused": 1, "well again": 1, "handed back": 0} {
			if got := strings.Count(b.log.String(), line); got != want {
				t.Errorf("%d lines with %q, want %d:\n%s", got, line, want, &b.log)
			}
		}
	})
}

func TestFaultsOutsideAStudyPauseToo(t *testing.T) {
	away := fmt.Errorf("nats: %w", neurotriage.ErrSurroundings)
	cases := map[string]func(b *bench){
		"delivering": func(b *bench) { b.deliver = func(context.Context) error { return away } },
		"settling":   func(b *bench) { b.settle = func() error { return away } },
		"refusing": func(b *bench) {
			b.read = func(context.Context, neurotriage.Job) error { return neurotriage.Refuse(neurotriage.NotDICOM, "") }
			b.refuse = func() error { return away }
		},
		"asking": func(b *bench) { b.known = func(string) (bool, error) { return false, away } },
	}
	for name, set := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bench{}
				set(b)
				stop := b.start(t)
				b.jobs <- arrival{fakeJob(1), nil}
				if o := <-b.settled; name != "settling" && (o.Verdict != HandBack || o.Counts) {
					t.Errorf("outcome %+v", o)
				}
				synctest.Wait()
				if _, cause := b.engine.gate.paused(); cause == nil {
					t.Error("the inbox is not paused")
				}
				stop()
			})
		})
	}
}

// A full disk is noticed before a job is taken.
func TestGuardPausesBeforeTakingWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{}
		stop := b.start(t)
		synctest.Wait()
		full := disk{dir: "/state", least: 100, free: func(string) (uint64, error) { return 99, nil }}
		b.engine.guard = full.check
		b.jobs <- arrival{fakeJob(1), nil} // the worker waits in Next already, and takes this one
		<-b.settled
		b.jobs <- arrival{fakeJob(1), nil}
		time.Sleep(time.Minute)
		if len(b.jobs) != 1 {
			t.Error("a job was taken although the disk is full")
		}
		stop()
	})
}

// A stop in the middle of a study hands it back at once, whatever the study
// would have come to.
func TestStopHandsBack(t *testing.T) {
	for _, where := range []string{"opening", "reading"} {
		t.Run(where, func(t *testing.T) {
			b := &bench{}
			begun, goOn := make(chan struct{}), make(chan struct{})
			hold := func() { close(begun); <-goOn }
			switch where {
			case "opening":
				b.read = func(ctx context.Context, _ neurotriage.Job) error { hold(); return ctx.Err() }
			case "reading":
				b.slice = func(i int) error {
					if i == 1 {
						hold()
					}
					return nil
				}
			}
			stop := b.start(t)
			b.jobs <- arrival{fakeJob(3), nil}
			<-begun
			b.cancel() // before the fake goes on
			close(goOn)
			o := <-b.settled
			if o.Verdict != HandBack || o.Counts || o.Delay != 0 {
				t.Errorf("outcome %+v", o)
			}
			stop()
		})
	}
}

// What is read when the stop comes is still stored.
func TestStopLetsStoringFinish(t *testing.T) {
	b := &bench{}
	storing := make(chan struct{})
	goOn := make(chan struct{})
	b.deliver = func(ctx context.Context) error {
		close(storing)
		<-goOn
		return ctx.Err()
	}
	stop := b.start(t)
	b.jobs <- arrival{fakeJob(1), nil}
	<-storing
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(goOn)
	if o := <-b.settled; o.Verdict != Done {
		t.Errorf("outcome %+v, want done", o)
	}
	<-stopped
}

func TestOneLineAStudy(t *testing.T) {
	b := &bench{}
	stop := b.start(t)
	b.jobs <- arrival{fakeJob(1), nil}
	<-b.settled
	stop()
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != 1 {
		t.Fatalf("%d lines:\n%s", len(lines), &b.log)
	}
	for _, word := range []string{"request=e1", "study=" + fakeStudy, "disposition=glioma_review", "finding=id-1", "slices=3", "read=", "open=", "deliver="} {
		if !strings.Contains(lines[0], word) {
			t.Errorf("%q is not in %s", word, lines[0])
		}
	}
}

func TestRefusedFindingIsWhole(t *testing.T) {
	r := &run{job: neurotriage.Job{EventID: "e1", StudyInstanceUID: fakeStudy}, began: noon}
	refusal := neurotriage.Refuse(neurotriage.TooLarge, "10 GB below DOE^JOHN")
	s := settings{neurotriage.Thresholds{GliomaReview: 0.2}, []string{"lower recall"}}
	f := refusedReading(r, refusal, &bench{}, s).Finding
	if f.Status != neurotriage.StatusRefused || f.Disposition != neurotriage.Refused || f.Reason != neurotriage.TooLarge || f.Probabilities != nil {
		t.Errorf("finding %+v", f)
	}
	if !slices.Equal(f.Warnings, s.Warnings) {
		t.Errorf("warnings %v", f.Warnings)
	}
	if f.ID != refusedReading(r, refusal, &bench{}, s).Finding.ID {
		t.Error("a repeat has another id")
	}
	if f.PredictionSet == nil || f.Series == nil || f.KeySlices == nil || f.Reports == nil {
		t.Error("an empty list would be null in JSON")
	}
}
