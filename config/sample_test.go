package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"neurotriage/config"
)

func TestSampleIsTheDefault(t *testing.T) {
	got, err := config.Load(config.Options{File: "neurotriage.yaml", Env: home})
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(config.Options{Env: home})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := exported(got), exported(want); !reflect.DeepEqual(got, want) {
		t.Errorf("sample\n%+v\ndefaults\n%+v", got, want)
	}
}

// TestSampleIsComplete compares with Show, which names every key of the struct.
func TestSampleIsComplete(t *testing.T) {
	defaults, err := config.Load(config.Options{Env: home})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := defaults.Show()
	if err != nil {
		t.Fatal(err)
	}
	got, want := paths(t, config.Sample()), paths(t, []byte(shown))
	for path := range want {
		if !got[path] {
			t.Errorf("%s is missing in the sample", path)
		}
	}
	for path := range got {
		if !want[path] {
			t.Errorf("%s of the sample is no key", path)
		}
	}
	if len(got) < 60 {
		t.Errorf("the sample has %d keys and sections, want at least 60", len(got))
	}
}

// paths lists the keys and sections of a YAML document.
func paths(t *testing.T, data []byte) map[string]bool {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var walk func(prefix string, node *yaml.Node)
	walk = func(prefix string, node *yaml.Node) {
		for i := 0; i+1 < len(node.Content); i += 2 {
			path := prefix + node.Content[i].Value
			found[path] = true
			if node.Content[i+1].Kind == yaml.MappingNode {
				walk(path+".", node.Content[i+1])
			}
		}
	}
	walk("", document.Content[0])
	return found
}

func TestSampleIsACopy(t *testing.T) {
	config.Sample()[0] = 'X'
	want, err := os.ReadFile("neurotriage.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(config.Sample(), want) {
		t.Error("a caller has changed the sample")
	}
}

const shown = `state_dir: /home/ana/.local/state/neurotriage # environment HOME
log:
  level: debug # flag
  format: text
nats:
  url: nats://********@one:4222,nats://two:4222 # environment NEUROTRIAGE_NATS_URL
`

func TestShow(t *testing.T) {
	secrets := []string{
		"NEUROTRIAGE_NATS_URL=nats://ana:hush@one:4222,nats://two:4222",
		"NEUROTRIAGE_NATS_TOKEN=hush",
	}
	file := write(t, "roots:\n  In.1: /srv/in\nmodel: {thresholds: {glioma_review: 0.1}}\nhttp: {allow: [10.0.0.0/8]}\n")
	loaded, err := config.Load(config.Options{File: file, Env: append(secrets, home...), Flags: map[string]string{"log.level": "debug"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := loaded.Show()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "hush") {
		t.Errorf("a secret is shown:\n%s", got)
	}
	got = strings.ReplaceAll(got, file, "FILE")
	if !strings.HasPrefix(got, shown) {
		t.Errorf("got\n%s\nwant it to begin with\n%s", got, shown)
	}
	for _, line := range []string{
		"\n  token: '********' # environment NEUROTRIAGE_NATS_TOKEN\n", "\n    findings: 90d\n", "\n    media_bytes: 20GB\n", "\n    work_bytes: 256MiB\n",
		"\n# FILE:2\nroots:\n  In.1: /srv/in\n", "\n    glioma_review: 0.1 # FILE:3\n", "\n  allow: [10.0.0.0/8] # FILE:4\n", "\n  accept_lower_recall: false\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("want %q in\n%s", line, got)
		}
	}
}

// TestShowLoads proves that what is shown means the same.
func TestShowLoads(t *testing.T) {
	file := write(t, "roots: {'yes': /srv/in}\nnats: {user: 'null', password_file: /p, prefix: '12'}\nwork: {overdue_after: 100ms}\n")
	if _, err := config.Load(config.Options{File: file, Env: home}); err == nil {
		t.Fatal("100 ms until overdue were accepted")
	}
	file = write(t, "roots: {'yes': /srv/in}\nnats: {user: 'null', password_file: /p, prefix: '12'}\nlimits: {file_bytes: 1234567}\n")
	first, err := config.Load(config.Options{File: file, Env: home})
	if err != nil {
		t.Fatal(err)
	}
	text, err := first.Show()
	if err != nil {
		t.Fatal(err)
	}
	second, err := config.Load(config.Options{File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := exported(second), exported(first); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSchema(t *testing.T) {
	schema := compile(t)
	cases := []struct {
		name, file string
		right      bool
	}{
		{"sample", string(config.Sample()), true},
		{"nothing", "{}", true},
		{"unknown key", "nats: {ulr: x}", false},
		{"unknown section", "nat: {}", false},
		{"not a choice", "log: {level: loud}", false},
		{"not a boolean", "privacy: {patient_in_events: 1}", false},
		{"too small", "work: {max_attempts: 0}", false},
		{"threshold", "model: {thresholds: {glioma_review: 0.2}}", true},
		{"threshold above one", "model: {thresholds: {glioma_review: 1.2}}", false},
		{"duration", "work: {overdue_after: 1d12h30m}", true},
		{"duration without unit", "work: {overdue_after: '15'}", false},
		{"size", "limits: {file_bytes: 1.5 GB}", true},
		{"size as a number", "limits: {file_bytes: 1500}", true},
		{"size of nothing", "limits: {file_bytes: huge}", false},
		{"unknown provider", "onnxruntime: {providers: [tpu]}", false},
		{"roots", "roots: {In.1: /srv/in}", true},
		{"root's name", "roots: {a/b: /srv/in}", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var value any
			if err := yaml.Unmarshal([]byte(c.file), &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(throughJSON(t, value)); (err == nil) != c.right {
				t.Errorf("schema says %v", err)
			}
			_, err := config.Load(config.Options{File: write(t, c.file), Env: home})
			if (err == nil) != c.right {
				t.Errorf("Load says %v", err)
			}
		})
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.v1.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("config.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// throughJSON gives the value the types that JSON has.
func throughJSON(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	result, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"description": "debug, info, warn or error. LIVE."`,
		`"description": "How long a stop may take; what is not done then is handed back. Allowed: from 1s to 10m."`,
		`"description": "Folder of the daemon's own data (embedded NATS, addresses.json).`,
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("schema lacks %s", want)
		}
	}
	if bytes.Contains(text, []byte(`"description": ""`)) {
		t.Error("a key has no description")
	}
}
