package config_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage/config"
)

func TestTables(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	empty := config.Source{AETitles: []string{}, Networks: []netip.Prefix{}, Series: []string{}}
	one := func(change func(*config.Source)) config.Source {
		source := empty
		source.AETitles = []string{"MRI1"}
		change(&source)
		return source
	}
	const file = "pacs: {receive: {sources: {mri-1: {ae_titles: [MRI1]}}}}"
	cases := []struct {
		name, file string
		env        []string
		flags      map[string]string
		want       map[string]config.Source
	}{
		{"none", "pacs: {receive: {sources: {}}}", nil, nil, map[string]config.Source{}},
		{"nothing below", "pacs: {receive: {sources: }}", nil, nil, map[string]config.Source{}},
		{"one", file, nil, nil, map[string]config.Source{"mri-1": one(func(*config.Source) {})}},
		{"all fields", "pacs:\n  receive:\n    sources:\n      a:\n        ae_titles: [MRI1]\n        networks: [10.1.2.3/16]\n        quiet: 1m\n        series: ['*']\n", nil, nil,
			map[string]config.Source{"a": one(func(s *config.Source) { s.Networks, s.Quiet, s.Series = networks, time.Minute, []string{"*"} })}},
		{"environment beside the file, by the file's name", file, []string{"NEUROTRIAGE_PACS_RECEIVE_SOURCES_MRI_1_QUIET=2s"}, nil,
			map[string]config.Source{"mri-1": one(func(s *config.Source) { s.Quiet = 2 * time.Second })}},
		{"environment makes an entry", "", []string{"NEUROTRIAGE_PACS_RECEIVE_SOURCES_MRI_1_AE_TITLES=MRI1"}, nil,
			map[string]config.Source{"mri_1": one(func(*config.Source) {})}},
		{"a flag makes an entry", "", nil, map[string]string{"pacs.receive.sources.b.ae_titles": "MRI1", "pacs.receive.sources.b.quiet": "3s"},
			map[string]config.Source{"b": one(func(s *config.Source) { s.Quiet = 3 * time.Second })}},
		{"a flag over both", file, []string{"NEUROTRIAGE_PACS_RECEIVE_SOURCES_MRI_1_QUIET=2s"}, map[string]string{"pacs.receive.sources.mri-1.quiet": "3s"},
			map[string]config.Source{"mri-1": one(func(s *config.Source) { s.Quiet = 3 * time.Second })}},
		{"anchors", "pacs: {receive: {sources: {a: &a {ae_titles: [MRI1]}, b: *a}}}", nil, nil,
			map[string]config.Source{"a": one(func(*config.Source) {}), "b": one(func(*config.Source) {})}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			options := config.Options{File: write(t, c.file), Env: append(slices.Clone(home), c.env...), Flags: c.flags}
			got, err := config.Load(options)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.PACS.Receive.Sources, c.want) {
				t.Errorf("got  %+v\nwant %+v", got.PACS.Receive.Sources, c.want)
			}
			shown, err := got.Show()
			if err != nil {
				t.Fatal(err)
			}
			again, err := config.Load(config.Options{File: write(t, shown)})
			if err != nil || !reflect.DeepEqual(exported(again), exported(got)) {
				t.Errorf("what is shown means something else (%v):\n%s", err, shown)
			}
		})
	}
}

func TestTableFaults(t *testing.T) {
	const fine = "ae_titles: [A]"
	sources := func(text string) string { return "pacs:\n  receive:\n    sources:\n      " + text + "\n" }
	cases := []struct {
		name, file string
		env        []string
		flags      map[string]string
		want       string
	}{
		{"unknown field", sources("a: {" + fine + ", quite: 1s}"), nil, nil,
			`pacs.receive.sources.a.quite: unknown key; did you mean pacs.receive.sources.a.quiet? (FILE:4)`},
		{"bad value", sources("a:\n        quiet: soon\n        " + fine), nil, nil,
			`pacs.receive.sources.a.quiet = "soon": allowed is a duration with its unit, such as "20s", "15m", "36h" or "90d" (FILE:5)`},
		{"bad value by the environment", sources("a: {" + fine + "}"), []string{"NEUROTRIAGE_PACS_RECEIVE_SOURCES_A_QUIET=8d"}, nil,
			`pacs.receive.sources.a.quiet = "8d": allowed is from 0s to 7d (environment NEUROTRIAGE_PACS_RECEIVE_SOURCES_A_QUIET)`},
		{"unknown field by the environment", sources("a: {" + fine + "}"), []string{"NEUROTRIAGE_PACS_RECEIVE_SOURCES_A_QUITE=1s"}, nil,
			`NEUROTRIAGE_PACS_RECEIVE_SOURCES_A_QUITE: unknown variable of the environment; did you mean NEUROTRIAGE_PACS_RECEIVE_SOURCES_A_QUIET?`},
		{"unknown field by a flag", sources("a: {" + fine + "}"), nil, map[string]string{"pacs.receive.sources.a.quite": "1s"},
			`pacs.receive.sources.a.quite: unknown key; did you mean pacs.receive.sources.a.quiet? (flag)`},
		{"capitals", sources("MR1: {" + fine + "}"), nil, nil,
			`pacs.receive.sources.MR1: allowed is a name of small letters, digits, dashes and underscores, at most 32, that begins with a letter or digit (FILE:4)`},
		{"a dot", sources("a.b: {" + fine + "}"), nil, nil,
			`pacs.receive.sources.a.b: allowed is a name of small letters, digits, dashes and underscores, at most 32, that begins with a letter or digit (FILE:4)`},
		{"twice", sources("a: {" + fine + "}\n      a: {" + fine + "}"), nil, nil, `pacs.receive.sources.a: stands twice in its section (FILE:5)`},
		{"a value", sources("a: b"), nil, nil, `pacs.receive.sources.a = "b": allowed is a section, that is keys with their values indented below (FILE:4)`},
		{"a list", sources("- a"), nil, nil, `pacs.receive.sources = "a list": allowed is names with their keys indented below (FILE:4)`},
		{"the table itself by the environment", "", []string{"NEUROTRIAGE_PACS_RECEIVE_SOURCES=a"}, nil,
			`pacs.receive.sources: allowed are keys of its entries, such as pacs.receive.sources.NAME.ae_titles (environment NEUROTRIAGE_PACS_RECEIVE_SOURCES)`},
		{"an entry without fields is an entry", sources("a:"), nil, nil,
			`pacs.receive.sources.a.ae_titles: needed, or pacs.receive.sources.a.networks: a source without either would be everybody`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, c.file)
			_, err := config.Load(config.Options{File: file, Env: append(slices.Clone(home), c.env...), Flags: c.flags})
			var fault *config.FaultError
			if !errors.As(err, &fault) || len(fault.Complaints) != 1 {
				t.Fatalf("error %v, want one complaint", err)
			}
			if got := strings.ReplaceAll(fault.Complaints[0].String(), file, "FILE"); got != c.want {
				t.Errorf("complaint\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestTableOrigins holds that an entry's keys tell where they come from.
func TestTableOrigins(t *testing.T) {
	file := write(t, "pacs:\n  receive:\n    sources:\n      a:\n        ae_titles: [A]\n")
	got, err := config.Load(config.Options{File: file, Env: home, Flags: map[string]string{"pacs.receive.sources.a.quiet": "1s"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"pacs.receive.sources.a.ae_titles": file + ":5",
		"pacs.receive.sources.a.quiet":     "flag",
		"pacs.receive.sources.a.networks":  "default",
	} {
		if origin := got.Origin(key); origin != want {
			t.Errorf("%s comes from %q, want %q", key, origin, want)
		}
	}
}

// TestTableReload holds that an entry's coming, change and going wait for a restart.
func TestTableReload(t *testing.T) {
	for _, c := range []struct {
		name, after string
		want        []string
	}{
		{"nothing", "a: {ae_titles: [A]}", nil},
		{"moved", "# moved\n      a: {ae_titles: [A]}", nil},
		{"changed", "a: {ae_titles: [B]}", []string{"pacs.receive.sources.a.ae_titles"}},
		{"came", "a: {ae_titles: [A]}\n      b: {ae_titles: [B]}", []string{"pacs.receive.sources"}},
		{"went", "", []string{"pacs.receive.sources"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			head := "pacs:\n  receive:\n    sources:\n      "
			options := config.Options{File: write(t, head+"a: {ae_titles: [A]}\n"), Env: home}
			started, err := config.Load(options)
			if err != nil {
				t.Fatal(err)
			}
			options.File = write(t, head+c.after+"\n")
			live := config.NewLive(config.LiveOptions{Load: options, Started: started, Logger: slog.New(slog.DiscardHandler)})
			change, err := live.Reload()
			if err != nil || !slices.Equal(change.NeedRestart, c.want) || len(change.Applied) > 0 {
				t.Errorf("change %+v, %v; want %q to need a restart", change, err, c.want)
			}
		})
	}
}

// TestSampleExamples takes the marks off the examples of tables: what they show
// has to be right, with every field of the entry.
func TestSampleExamples(t *testing.T) {
	example := regexp.MustCompile(`(?m)^( *)# ( +.*)$`)
	empty := regexp.MustCompile(`(?m)^( +(sources|watch|destinations)): \{\}$`)
	lines := strings.Split(string(config.Sample()), "\n")
	var text []string
	var pending []string // an example, until its table's key comes
	for _, line := range lines {
		match := example.FindStringSubmatch(line)
		switch {
		case match != nil && strings.HasPrefix(match[2], "  "):
			pending = append(pending, match[1]+match[2])
		case empty.MatchString(line):
			text = append(append(text, empty.ReplaceAllString(line, "$1:")), pending...)
			pending = nil
		default:
			pending = nil
			text = append(text, line)
		}
	}
	file := strings.Replace(strings.Join(text, "\n"), "roots: {}", "roots: {incoming: /srv/dicom}", 1)
	got, err := config.Load(config.Options{File: write(t, file), Env: home})
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	if len(got.PACS.Receive.Sources) != 1 || len(got.PACS.Watch) != 1 {
		t.Errorf("the examples gave %+v", got.PACS)
	}
	if source := got.PACS.Receive.Sources["mri1"]; source.Quiet != 10*time.Second || len(source.Series) != 1 {
		t.Errorf("the example of a source gave %+v", source)
	}
	shown, err := got.Show()
	if err != nil {
		t.Fatal(err)
	}
	want, have := paths(t, []byte(shown)), paths(t, []byte(file))
	for path := range want {
		if !have[path] {
			t.Errorf("%s is missing in the sample's examples", path)
		}
	}
}

func TestTableSchema(t *testing.T) {
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	const want = `"description": "Instead of the receiver's quiet; 0s: that. Allowed: from 0s to 7d."`
	if !strings.Contains(string(text), want) {
		t.Errorf("schema lacks %s", want)
	}
}

func TestCheckPACS(t *testing.T) {
	beyond := func(c *config.Config) { c.PACS.Receive.Listen = "0.0.0.0:11112" }
	source := func(s config.Source) func(*config.Config) {
		return func(c *config.Config) { c.PACS.Receive.Sources = map[string]config.Source{"a": s} }
	}
	here := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	cases := []struct {
		name  string
		set   []func(*config.Config)
		wants []string
	}{
		{"off", set(func(c *config.Config) { c.PACS.Receive.Listen = "" }), nil},
		{"any port", set(func(c *config.Config) { c.PACS.Receive.Listen = "127.0.0.1:0" }), nil},
		{"no port", set(func(c *config.Config) { c.PACS.Receive.Listen = "127.0.0.1" }), []string{"pacs.receive.listen"}},
		{"beyond loopback", set(beyond), []string{`pacs.receive.listen = "0.0.0.0:11112": listens beyond loopback`}},
		{"beyond with tls alone", set(beyond, func(c *config.Config) { c.PACS.Receive.TLS = config.ServerTLS{Cert: "/c", Key: "/k"} }), []string{"pacs.receive.listen"}},
		{"beyond with certificates", set(beyond, func(c *config.Config) { c.PACS.Receive.TLS = config.ServerTLS{Cert: "/c", Key: "/k", ClientCA: "/a"} }), nil},
		{"beyond for a network", set(beyond, func(c *config.Config) { c.PACS.Receive.Allow = here }), nil},
		{"beyond for known sources", set(beyond, source(config.Source{AETitles: []string{"A"}, Networks: here}),
			func(c *config.Config) { c.PACS.Receive.OnlySources = true }), nil},
		{"beyond for titles, which anybody can claim", set(beyond, source(config.Source{AETitles: []string{"A"}}),
			func(c *config.Config) { c.PACS.Receive.OnlySources = true }), []string{"pacs.receive.listen"}},
		{"beyond by name", set(beyond, func(c *config.Config) { c.Insecure.ListenBeyondLoopback = []string{"pacs.receive"} }), nil},
		{"long title", set(func(c *config.Config) { c.PACS.Receive.AETitle = "NEUROTRIAGE-TITLE" }), []string{"pacs.receive.ae_title"}},
		{"no title", set(func(c *config.Config) { c.PACS.Receive.AETitle = "" }), []string{"pacs.receive.ae_title"}},
		{"further titles", set(func(c *config.Config) { c.PACS.Receive.AlsoCalled = []string{"*", `A\B`} }), []string{"pacs.receive.also_called"}},
		{"class that is none", set(func(c *config.Config) { c.PACS.Receive.SOPClasses = []string{"1.2", "CT"} }), []string{"pacs.receive.sop_classes"}},
		{"nobody", set(func(c *config.Config) { c.PACS.Receive.OnlySources = true }), []string{"pacs.receive.only_sources"}},
		{"root of another", set(func(c *config.Config) { c.Roots = map[string]string{"received": "/srv"} }), []string{"pacs.receive.root"}},
		{"root without name", set(func(c *config.Config) { c.PACS.Receive.Root = "" }), []string{"pacs.receive.root"}},
		{"everything", set(func(c *config.Config) { c.PACS.Receive.Dir = "/" }), []string{"pacs.receive.dir"}},
		{"a pattern that is none", set(source(config.Source{AETitles: []string{"A"}, Series: []string{"[", "*"}})), []string{"pacs.receive.sources.a.series"}},
		{"a title that is none", set(source(config.Source{AETitles: []string{" A"}})), []string{"pacs.receive.sources.a.ae_titles"}},
		{"the name of all others", set(func(c *config.Config) {
			c.PACS.Receive.Sources = map[string]config.Source{"others": {AETitles: []string{"A"}}}
		}), []string{"pacs.receive.sources.others.ae_titles"}},
		{"everybody", set(source(config.Source{})), []string{"pacs.receive.sources.a.ae_titles"}},
		{"watched root", set(func(c *config.Config) {
			c.Roots, c.PACS.Watch = map[string]string{"in": "/srv"}, map[string]config.Watch{"w": {Root: "in", Quiet: time.Minute}}
		}), nil},
		{"watched root that is none", set(func(c *config.Config) {
			c.PACS.Watch = map[string]config.Watch{"w": {Root: "in", Quiet: time.Minute}}
		}), []string{`pacs.watch.w.root = "in": allowed is a name of roots`}},
		{"entry's name", set(func(c *config.Config) {
			c.Roots, c.PACS.Watch = map[string]string{"in": "/srv"}, map[string]config.Watch{"W": {Root: "in", Quiet: time.Minute}}
		}), []string{`pacs.watch = "W": allowed is a name of small letters`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			broken := config.Default()
			broken.StateDir = "/var/lib/neurotriage"
			for _, change := range c.set {
				change(&broken)
			}
			got := complaints(t, broken.Check())
			if len(got) != len(c.wants) {
				t.Fatalf("complaints %q, want %q", got, c.wants)
			}
			for i, want := range c.wants {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("complaint %q, want %q…", got[i], want)
				}
			}
		})
	}
}
