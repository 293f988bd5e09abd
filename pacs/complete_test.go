package pacs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// step is something that happens at a source called mri, or at others.
type step struct {
	at     time.Duration // since the begin
	what   string        // "SERIES of STUDY", "opened", "closed", "same STUDY"
	source string        // empty: mri
}

func TestComplete(t *testing.T) {
	const s = time.Second
	rules := map[string]Waiting{
		"mri":    {Quiet: 10 * s, Series: []string{"*t1*post*", "flair"}},
		"any":    {Quiet: 10 * s, Series: []string{"*"}},
		"others": {Quiet: 30 * s},
	}
	cases := []struct {
		name  string
		steps []step
		want  []string // announcements: "STUDY at TIME because"
	}{
		{"nothing", nil, nil},
		{"one object", []step{{0, "T2 of a", ""}}, []string{"a at 10s because quiet"}},
		{"quiet counts from the last", []step{{0, "T2 of a", ""}, {9 * s, "T2 of a", ""}}, []string{"a at 19s because quiet"}},
		{"studies wait each for itself", []step{{0, "T2 of a", ""}, {5 * s, "T2 of b", ""}}, []string{"a at 10s because quiet", "b at 15s because quiet"}},
		{"sources have their own time", []step{{0, "T2 of a", ""}, {0, "T2 of b", "others"}}, []string{"a at 10s because quiet", "b at 30s because quiet"}},
		{"the same again begins no wait", []step{{0, "same a", ""}}, nil},
		{"the same again prolongs one", []step{{0, "T2 of a", ""}, {9 * s, "same a", ""}}, []string{"a at 19s because quiet"}},
		{"all series have come and the line is closed", []step{
			{0, "opened", ""}, {0, "Ax T1 FS Post Gd of a", ""}, {s, "FLAIR of a", ""}, {2 * s, "closed", ""},
		}, []string{"a at 2s because closed"}},
		{"a slash is a letter like others", []step{{0, "opened", ""}, {0, "T1/FS/POST of a", ""}, {0, "FLAIR of a", ""}, {s, "closed", ""}}, []string{"a at 1s because closed"}},
		{"a series is missing", []step{{0, "opened", ""}, {0, "T1 POST of a", ""}, {2 * s, "closed", ""}}, []string{"a at 10s because quiet"}},
		{"series have come and the line stays open", []step{{0, "opened", ""}, {0, "T1 POST of a", ""}, {0, "FLAIR of a", ""}}, []string{"a at 10s because quiet"}},
		{"the last of two lines counts", []step{
			{0, "opened", ""}, {0, "opened", ""}, {0, "T1 POST of a", ""}, {s, "FLAIR of a", ""}, {2 * s, "closed", ""}, {4 * s, "closed", ""},
		}, []string{"a at 4s because closed"}},
		{"the line broke", []step{{0, "opened", ""}, {0, "T1 POST of a", ""}, {0, "FLAIR of a", ""}, {2 * s, "broke off", ""}}, []string{"a at 10s because quiet"}},
		{"another source's line does not count", []step{
			{0, "opened", "others"}, {0, "opened", ""}, {0, "T1 POST of a", ""}, {0, "FLAIR of a", ""}, {2 * s, "closed", ""},
		}, []string{"a at 2s because closed"}},
		{"any series", []step{{0, "opened", "any"}, {0, " of a", "any"}, {s, "closed", "any"}}, []string{"a at 1s because closed"}},
		{"no patterns, no hurry", []step{{0, "opened", "others"}, {0, "T2 of a", "others"}, {s, "closed", "others"}}, []string{"a at 30s because quiet"}},
		{"the patterns were met by two associations", []step{
			{0, "opened", ""}, {0, "T1 POST of a", ""}, {s, "closed", ""}, {2 * s, "opened", ""}, {2 * s, "FLAIR of a", ""}, {3 * s, "closed", ""},
		}, []string{"a at 3s because closed"}},
		{"late images are announced anew", []step{
			{0, "T2 of a", ""}, {15 * s, "T2 of a", ""},
		}, []string{"a at 10s because quiet", "a at 25s because quiet"}},
		{"late series do not count the former ones", []step{
			{0, "opened", ""}, {0, "T1 POST of a", ""}, {0, "FLAIR of a", ""}, {s, "closed", ""},
			{60 * s, "opened", ""}, {60 * s, "T1 POST of a", ""}, {61 * s, "closed", ""},
		}, []string{"a at 1s because closed", "a at 1m10s because quiet"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := announcements(t, rules, c.steps, nil)
				if !slices.Equal(got, c.want) {
					t.Errorf("announced %q, want %q", got, c.want)
				}
			})
		})
	}
}

// announcements plays steps and gives what was announced, and when.
func announcements(t *testing.T, rules map[string]Waiting, steps []step, fail func(time.Duration) error) []string {
	t.Helper()
	d := newDesk(func(source string) Waiting { return rules[source] })
	begin := time.Now()
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	go func() {
		for _, s := range steps {
			time.Sleep(time.Until(begin.Add(s.at)))
			source := s.source
			if source == "" {
				source = "mri"
			}
			series, study, _ := strings.Cut(s.what, " of ")
			same, again := strings.CutPrefix(s.what, "same ")
			switch {
			case s.what == "opened":
				d.opened(source)
			case s.what == "closed":
				d.closed(source, true)
			case s.what == "broke off":
				d.closed(source, false)
			case again:
				d.arrived(studyKey{source, same}, "", false)
			default:
				d.arrived(studyKey{source, study}, series, true)
			}
			synctest.Wait() // the desk has seen it
		}
	}()
	d.run(ctx, func(_ context.Context, r ripe) error {
		at := time.Since(begin)
		if fail != nil {
			if err := fail(at); err != nil {
				return err
			}
		}
		got = append(got, r.key.uid+" at "+at.String()+" because "+r.why)
		return nil
	})
	if len(steps) == 0 || d.count() == 0 {
		return got
	}
	t.Errorf("%d studies still wait", d.count())
	return got
}

// What cannot be announced is tried again until it is, in growing pauses.
func TestCompleteTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := map[string]Waiting{"mri": {Quiet: 10 * time.Second}}
		tries := 0
		got := announcements(t, rules, []step{{0, "T2 of a", ""}, {0, "T2 of b", ""}}, func(at time.Duration) error {
			if at < 5*time.Minute {
				tries++
				return errors.New("nats is away")
			}
			return nil
		})
		if len(got) != 2 || tries < 8 || tries > 12 {
			t.Errorf("%d tries, announced %q", tries, got)
		}
	})
}

// An object that comes while its study is being announced is not forgotten.
func TestCompleteWhileAnnouncing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := map[string]Waiting{"mri": {Quiet: 10 * time.Second}}
		got := announcements(t, rules, []step{{0, "T2 of a", ""}, {12 * time.Second, "T2 of a", ""}}, func(at time.Duration) error {
			if at < 11*time.Second {
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		if want := []string{"a at 10s because quiet", "a at 22s because quiet"}; !slices.Equal(got, want) {
			t.Errorf("announced %q, want %q", got, want)
		}
	})
}
