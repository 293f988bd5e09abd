package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"neurotriage/config"
)

// home is an environment that gives a state directory and nothing else.
var home = []string{"HOME=/home/ana"}

// write puts text into a configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "neurotriage.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadStrength(t *testing.T) {
	const file = "nats:\n  url: nats://file:4222\n"
	env, flags := []string{"NEUROTRIAGE_NATS_URL=nats://env:4222"}, map[string]string{"nats.url": "nats://flag:4222"}
	cases := []struct {
		name, file   string
		env          []string
		flags        map[string]string
		want, origin string
	}{
		{"nothing gives the default", "", nil, nil, "", "default"},
		{"file over default", file, nil, nil, "nats://file:4222", "neurotriage.yaml:2"},
		{"environment over file", file, env, nil, "nats://env:4222", "environment NEUROTRIAGE_NATS_URL"},
		{"environment without file", "", env, nil, "nats://env:4222", "environment NEUROTRIAGE_NATS_URL"},
		{"flag over environment and file", file, env, flags, "nats://flag:4222", "flag"},
		{"flag over file", file, nil, flags, "nats://flag:4222", "flag"},
		{"empty environment sets the empty value", file, []string{"NEUROTRIAGE_NATS_URL="}, nil, "", "environment NEUROTRIAGE_NATS_URL"},
		{"the last of two variables counts", "", append(env, "NEUROTRIAGE_NATS_URL=nats://last:1"), nil, "nats://last:1", "environment NEUROTRIAGE_NATS_URL"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			options := config.Options{Env: append(slices.Clone(home), c.env...), Flags: c.flags}
			if c.file != "" {
				options.File = write(t, c.file)
			}
			got, err := config.Load(options)
			if err != nil {
				t.Fatal(err)
			}
			if got.NATS.URL != c.want {
				t.Errorf("nats.url is %q, want %q", got.NATS.URL, c.want)
			}
			if origin := got.Origin("nats.url"); !strings.HasSuffix(origin, c.origin) {
				t.Errorf("origin is %q, want %q", origin, c.origin)
			}
		})
	}
}

func TestLoadValues(t *testing.T) {
	third := 0.3
	cases := []struct {
		name, file string
		env        []string
		want       func(*config.Config)
	}{
		{"empty file", "", nil, func(*config.Config) {}},
		{"comments only", "# nothing\n", nil, func(*config.Config) {}},
		{"section without keys", "nats:\nlog:\n", nil, func(*config.Config) {}},
		{"neighbours of a set key keep their defaults", "log: {level: debug}", nil, func(c *config.Config) { c.Log.Level = "debug" }},
		{"root names keep case and dots", "roots: {MR1.5T-a: /srv/mr, b: /srv/b/}", nil, func(c *config.Config) {
			c.Roots = map[string]string{"MR1.5T-a": "/srv/mr", "b": "/srv/b/"}
		}},
		{"roots of the environment", "roots: {x: /x}", []string{"NEUROTRIAGE_ROOTS=In=/srv/in, out=/srv/out"}, func(c *config.Config) {
			c.Roots = map[string]string{"In": "/srv/in", "out": "/srv/out"}
		}},
		{"durations know days", "nats: {retention: {findings: 1d12h}}\nwork: {overdue_after: 90s}", nil, func(c *config.Config) {
			c.NATS.Retention.Findings, c.Work.OverdueAfter = 36*time.Hour, 90*time.Second
		}},
		{"sizes know two kinds of units", "limits: {file_bytes: 2MiB, study_bytes: 3GB}", nil, func(c *config.Config) {
			c.Limits.FileBytes, c.Limits.StudyBytes = 2<<20, 3e9
		}},
		{"a size without unit is bytes", "limits: {header_bytes: 4096}", nil, func(c *config.Config) { c.Limits.HeaderBytes = 4096 }},
		{"digits stay text where text is wanted", "nats: {user: 0123, password: 0x10}", nil, func(c *config.Config) {
			c.NATS.User, c.NATS.Password = "0123", "0x10"
		}},
		{"threshold", "model: {thresholds: {glioma_review: 0.3}}", nil, func(c *config.Config) { c.Model.Thresholds.GliomaReview = &third }},
		{"threshold null is the card's", "model: {thresholds: {glioma_review: null}}", nil, func(*config.Config) {}},
		{"empty variable takes the threshold back", "model: {thresholds: {glioma_review: 0.3}}",
			[]string{"NEUROTRIAGE_MODEL_THRESHOLDS_GLIOMA_REVIEW="}, func(*config.Config) {}},
		{"lists of the environment", "onnxruntime: {providers: [cuda, cpu]}", []string{"NEUROTRIAGE_ONNXRUNTIME_PROVIDERS=webgpu, cpu"},
			func(c *config.Config) { c.ONNXRuntime.Providers = []string{"webgpu", "cpu"} }},
		{"empty list over a list", "http: {allow: [10.0.0.0/8]}", []string{"NEUROTRIAGE_HTTP_ALLOW="}, func(*config.Config) {}},
		{"allow takes networks and addresses", "http: {allow: [10.1.2.3/8, '::1']}", nil, func(c *config.Config) {
			c.HTTP.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		}},
		{"anchors are followed", "state_dir: &d /srv/x\nmodel: {file: *d}", nil, func(c *config.Config) {
			c.StateDir, c.Model.File = "/srv/x", "/srv/x"
		}},
		{"reserved variables are none of ours", "", []string{"NEUROTRIAGE_DATA=x", "NEUROTRIAGE_CACHE=y", "NEUROTRIAGE_CI=1", "NEUROTRIAGE_TEST_CHILD=1"}, func(*config.Config) {}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := config.Default()
			want.StateDir = "/home/ana/.local/state/neurotriage"
			c.want(&want)
			got, err := config.Load(config.Options{File: write(t, c.file), Env: append(slices.Clone(home), c.env...)})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := exported(got), exported(want); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// exported drops the origins, which a literal cannot have.
func exported(c config.Config) []any {
	var fields []any
	value := reflect.ValueOf(c)
	for i := range value.NumField() {
		if value.Type().Field(i).IsExported() {
			fields = append(fields, value.Field(i).Interface())
		}
	}
	return fields
}

func TestLoadPaths(t *testing.T) {
	file := write(t, "model: {file: m/glioma.onnx}\nroots: {in: images}\nhttp: {auth: {token_file: /run/token}}")
	folder := filepath.Dir(file)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(config.Options{File: file, Env: append(slices.Clone(home), "NEUROTRIAGE_ONNXRUNTIME_LIBRARY=lib/ort.so")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"from the file's folder", got.Model.File, filepath.Join(folder, "m/glioma.onnx")},
		{"roots too", got.Roots["in"], filepath.Join(folder, "images")},
		{"from the working folder", got.ONNXRuntime.Library, filepath.Join(here, "lib/ort.so")},
		{"absolute", got.HTTP.Auth.TokenFile, "/run/token"},
		{"empty", got.NATS.Creds, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
}

func TestLoadStateDir(t *testing.T) {
	cases := []struct {
		name string
		env  []string
		want string
	}{
		{"home", []string{"HOME=/h"}, "/h/.local/state/neurotriage"},
		{"xdg over home", []string{"HOME=/h", "XDG_STATE_HOME=/x"}, "/x/neurotriage"},
		{"relative xdg is ignored", []string{"HOME=/h", "XDG_STATE_HOME=x"}, "/h/.local/state/neurotriage"},
		{"systemd over all", []string{"HOME=/h", "XDG_STATE_HOME=/x", "STATE_DIRECTORY=/var/lib/a:/var/lib/b"}, "/var/lib/a"},
		{"configured over systemd", []string{"STATE_DIRECTORY=/var/lib/a", "NEUROTRIAGE_STATE_DIR=/own"}, "/own"},
	}
	for _, c := range cases {
		got, err := config.Load(config.Options{Env: c.env})
		if err != nil || got.StateDir != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got.StateDir, err, c.want)
		}
	}
	if _, err := config.Load(config.Options{}); err == nil || !strings.Contains(err.Error(), "state_dir: needed") {
		t.Errorf("without any home: %v, want a complaint about state_dir", err)
	}
}

func TestLoadFileOfEnvironment(t *testing.T) {
	named, given := write(t, "log: {level: warn}"), write(t, "log: {level: error}")
	env := append(slices.Clone(home), "NEUROTRIAGE_CONFIG="+named)
	for _, c := range []struct{ file, want string }{{"", "warn"}, {given, "error"}} {
		got, err := config.Load(config.Options{File: c.file, Env: env})
		if err != nil || got.Log.Level != c.want {
			t.Errorf("with file %q: level %q, %v; want %q", c.file, got.Log.Level, err, c.want)
		}
	}
}

func TestLoadFaults(t *testing.T) {
	cases := []struct {
		name, file string
		env        []string
		flags      map[string]string
		want       string // the complaint, whole, with FILE for the file's path
	}{
		{"unknown key", "nats:\n  ulr: x\n", nil, nil, `nats.ulr: unknown key; did you mean nats.url? (FILE:2)`},
		{"unknown section", "nat: {url: x}", nil, nil, `nat: unknown key; did you mean nats? (FILE:1)`},
		{"key below a key", "log: {level: {x: y}}", nil, nil, `log.level = "a section": allowed is a single value (FILE:1)`},
		{"wrong case", "NATS: {url: x}", nil, nil, `NATS: unknown key (FILE:1)`},
		{"value for a section", "nats: on", nil, nil, `nats = "on": allowed is a section, that is keys with their values indented below (FILE:1)`},
		{"list at the top", "- nats", nil, nil, ` = "a list": allowed is a section, that is keys with their values indented below (FILE:1)`},
		{"doubled key", "log:\n  level: info\n  level: debug\n", nil, nil, `log.level: stands twice in its section (FILE:3)`},
		{"two documents", "log: {level: info}\n---\nlog: {level: debug}\n", nil, nil,
			`FILE: allowed is one YAML document; what follows the second --- would be passed over`},
		{"not yaml", "log: [", nil, nil, `FILE: not YAML: yaml: line 1: did not find expected node content`},
		{"not a choice", "log: {level: loud}", nil, nil, `log.level = "loud": allowed is one of debug, info, warn, error, not "loud" (FILE:1)`},
		{"not a boolean", "privacy: {patient_in_events: yes}", nil, nil, `privacy.patient_in_events = "yes": allowed is true or false (FILE:1)`},
		{"not a number", "work: {max_attempts: many}", nil, nil, `work.max_attempts = "many": allowed is a whole number (FILE:1)`},
		{"a fraction", "work: {max_attempts: 2.5}", nil, nil, `work.max_attempts = "2.5": allowed is a whole number (FILE:1)`},
		{"empty number", "work: {max_attempts: }", nil, nil, `work.max_attempts: allowed is a whole number (FILE:1)`},
		{"too small", "work: {max_attempts: 0}", nil, nil, `work.max_attempts = "0": allowed is from 1 to 100 (FILE:1)`},
		{"too large", "work: {max_attempts: 101}", nil, nil, `work.max_attempts = "101": allowed is from 1 to 100 (FILE:1)`},
		{"threshold above one", "model: {thresholds: {glioma_review: 17}}", nil, nil, `model.thresholds.glioma_review = "17": allowed is from 0 to 1 (FILE:1)`},
		{"threshold nan", "model: {thresholds: {glioma_review: .nan}}", nil, nil, `model.thresholds.glioma_review = ".nan": allowed is a number (FILE:1)`},
		{"threshold NaN", "", []string{"NEUROTRIAGE_MODEL_THRESHOLDS_GLIOMA_REVIEW=NaN"}, nil,
			`model.thresholds.glioma_review = "NaN": allowed is a number (environment NEUROTRIAGE_MODEL_THRESHOLDS_GLIOMA_REVIEW)`},
		{"duration without unit", "work: {overdue_after: 15}", nil, nil,
			`work.overdue_after = "15": allowed is a duration with its unit, such as "20s", "15m", "36h" or "90d" (FILE:1)`},
		{"size of nothing", "limits: {file_bytes: huge}", nil, nil,
			`limits.file_bytes = "huge": allowed is a size such as "20GB", "512MiB" or a number of bytes (FILE:1)`},
		{"single value for a list", "onnxruntime: {providers: cpu}", nil, nil, `onnxruntime.providers = "cpu": allowed is a list such as ["a", "b"] (FILE:1)`},
		{"list within a list", "onnxruntime: {providers: [[cpu]]}", nil, nil, `onnxruntime.providers = "a list": allowed is a list of single values (FILE:1)`},
		{"unknown provider", "onnxruntime: {providers: [tpu]}", nil, nil, `onnxruntime.providers = "tpu": allowed is one of cuda, webgpu, cpu, not "tpu" (FILE:1)`},
		{"list for a map", "roots: [a]", nil, nil, `roots = "a list": allowed is names with their values, such as {incoming: /srv/dicom} (FILE:1)`},
		{"pair without path", "", []string{"NEUROTRIAGE_ROOTS=a"}, nil, `roots = "a": allowed is pairs such as "incoming=/srv/dicom" (environment NEUROTRIAGE_ROOTS)`},
		{"not a network", "http: {allow: [10.0.0.0/33]}", nil, nil,
			`http.allow = "10.0.0.0/33": allowed is networks such as "10.20.0.0/16" or "2001:db8::/32", not "10.0.0.0/33" (FILE:1)`},
		{"secrets are not shown", "nats: {token: {hush: hush}}", nil, nil, `nats.token = "a section": allowed is a single value (FILE:1)`},
		{"unknown variable", "", []string{"NEUROTRIAGE_NATS_ULR=hush"}, nil,
			`NEUROTRIAGE_NATS_ULR: unknown variable of the environment; did you mean NEUROTRIAGE_NATS_URL?`},
		{"far from every variable", "", []string{"NEUROTRIAGE_SOMETHING=1"}, nil, `NEUROTRIAGE_SOMETHING: unknown variable of the environment`},
		{"unknown flag", "", nil, map[string]string{"nats.uri": "x"}, `nats.uri: unknown key; did you mean nats.url? (flag)`},
		{"bad flag", "", nil, map[string]string{"log.level": "x"}, `log.level = "x": allowed is one of debug, info, warn, error, not "x" (flag)`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, c.file)
			_, err := config.Load(config.Options{File: file, Env: append(slices.Clone(home), c.env...), Flags: c.flags})
			var fault *config.FaultError
			if !errors.As(err, &fault) {
				t.Fatalf("error %v, want a *FaultError", err)
			}
			if len(fault.Complaints) != 1 {
				t.Fatalf("want one complaint, got %v", err)
			}
			if got := strings.ReplaceAll(fault.Complaints[0].String(), file, "FILE"); got != c.want {
				t.Errorf("complaint\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestLoadReportsAllFaultsAtOnce(t *testing.T) {
	file := write(t, "log: {level: loud, colour: red}\nwork: {max_attempts: 0}\nhttp: {listen: '0.0.0.0:80'}\n")
	_, err := config.Load(config.Options{File: file, Env: append(slices.Clone(home), "NEUROTRIAGE_WRONG=1")})
	var fault *config.FaultError
	if !errors.As(err, &fault) {
		t.Fatalf("error %v, want a *FaultError", err)
	}
	got := make([]string, len(fault.Complaints))
	for i, complaint := range fault.Complaints {
		got[i] = complaint.Key
	}
	want := []string{"log.colour", "log.level", "work.max_attempts", "NEUROTRIAGE_WRONG", "http.listen"}
	if !slices.Equal(got, want) {
		t.Errorf("complaints about %q, want %q", got, want)
	}
	if text := err.Error(); !strings.HasPrefix(text, "configuration: 5 faults:\n") || strings.Count(text, "\n") != 5 {
		t.Errorf("error is not one line for each complaint:\n%s", text)
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := config.Load(config.Options{File: "/nowhere/neurotriage.yaml", Env: home})
	const want = "configuration: /nowhere/neurotriage.yaml: configuration file cannot be read: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}
