package neurotriage_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "neurotriage"

// any lets a room import every other room.
const anyRoom = "*"

// arrows says which rooms a room may import beside the root package and itself
// (its own subfolders included). The most specific entry counts. A folder
// without an entry is a new room and has to be placed here first.
var arrows = map[string][]string{
	".":                       {},
	"cmd":                     {anyRoom, "classifier/onnx"},
	"daemon":                  {"events", "dicomio", "classifier", "pacs", "pacs/dimse", "report", "alert", "audit", "worklist", "worklist/login", "config"},
	"events":                  {},
	"dicomio":                 {},
	"dicomio/codec":           {}, // pure functions on bytes: not even dicomio
	"classifier":              {},
	"classifier/onnx":         {"classifier"},
	"classifier/onnx/library": {},
	"classifier/model":        {},
	"pacs":                    {"dicomio"},
	"pacs/dimse":              {}, // the upper layer: standard library only, not even the vocabulary
	"report":                  {"dicomio"},
	"alert":                   {},
	"audit":                   {},
	"worklist":                {},
	"worklist/login":          {"worklist"},
	"config":                  {},
	"internal/kit":            {"dicomio"},
	"bench":                   {anyRoom, "classifier/onnx"}, // measures, and nothing imports it
	"testdata":                {anyRoom},                    // programs that make fixtures
	"docs":                    {anyRoom},                    // programs that write tables and schemas from the code
}

// kit is what tests may import in addition, when they stand outside the package
// that they test (internal/kit imports dicomio, so inside it would be a cycle).
const kit = "internal/kit"

// outside says which rooms may use a library that marks a border of the house:
// one library for each concern, in one room. Tests may use what they like.
var outside = map[string][]string{
	"C":                                     {"classifier/onnx"},
	"github.com/yalue/onnxruntime_go":       {"classifier/onnx"},
	"github.com/nats-io/nats.go":            {"events", "internal/kit", "bench"},
	"github.com/nats-io/nats-server":        {"events", "internal/kit", "bench"},
	"github.com/cloudevents/sdk-go":         {"events"},
	"github.com/suyashkumar/dicom":          {"dicomio", "internal/kit"},
	"github.com/spf13/viper":                {"config"},
	"github.com/spf13/cobra":                {"cmd"},
	"github.com/vbauerster/mpb":             {"cmd"},
	"github.com/coreos/go-systemd":          {"daemon", "cmd"},
	"github.com/coreos/go-oidc":             {"worklist/login"},
	"golang.org/x/oauth2":                   {"worklist/login"},
	"gonum.org/v1/plot":                     {"cmd"},
	"github.com/prometheus":                 {"daemon", "events", "classifier", "dicomio", "pacs", "alert", "worklist", "cmd"},
	"github.com/wneessen/go-mail":           {"alert"},
	"github.com/nicholas-fedor/shoutrrr":    {"alert"},
	"go.uber.org/goleak":                    {},               // tests only
	"github.com/google/go-cmp":              {"internal/kit"}, // tests only
	"github.com/santhosh-tekuri/jsonschema": {"docs"},
}

// source is one Go file as far as the rules are concerned.
type source struct {
	file    string // path from the root, with slashes
	pkg     string // name in the package clause
	imports []string
}

func TestArrows(t *testing.T) {
	sources := readSources(t, os.DirFS("."))
	if len(sources) < 8 {
		t.Fatalf("read %d Go files from %s, want the repository's", len(sources), "the module's root")
	}
	for _, wrong := range wrongArrows(sources) {
		t.Error(wrong)
	}
}

// TestArrowsRefuse shows that each rule can fail.
func TestArrowsRefuse(t *testing.T) {
	cases := []struct {
		name   string
		source source
		want   string // part of the complaint; empty: allowed
	}{
		{"root may import std", source{"study.go", module, []string{"log/slog"}}, ""},
		{"root imports no room", source{"study.go", module, []string{"neurotriage/config"}}, "study.go: . may not import config"},
		{"root imports no library", source{"study.go", module, []string{"github.com/google/uuid"}}, "standard library only"},
		{"daemon imports events", source{"daemon/wire.go", "daemon", []string{"neurotriage", "neurotriage/events"}}, ""},
		{"daemon gets no cgo", source{"daemon/wire.go", "daemon", []string{"neurotriage/classifier/onnx"}}, "daemon may not import classifier/onnx"},
		{"cmd opens the runner", source{"cmd/neurotriage/serve.go", "main", []string{"neurotriage/classifier/onnx", "neurotriage/daemon"}}, ""},
		{"rooms do not import each other", source{"events/bus.go", "events", []string{"neurotriage/dicomio"}}, "events may not import dicomio"},
		{"rooms do not import the daemon", source{"worklist/page.go", "worklist", []string{"neurotriage/daemon"}}, "worklist may not import daemon"},
		{"pacs uses dicomio", source{"pacs/scp.go", "pacs", []string{"neurotriage/dicomio"}}, ""},
		{"config imports no room", source{"config/config.go", "config", []string{"neurotriage/events"}}, "config may not import events"},
		{"onnx uses classifier", source{"classifier/onnx/runner.go", "onnx", []string{"neurotriage/classifier", "neurotriage/classifier/onnx/library"}}, ""},
		{"classifier does not know onnx", source{"classifier/classifier.go", "classifier", []string{"neurotriage/classifier/onnx"}}, "classifier may not import classifier/onnx"},
		{"dicomio uses its codecs", source{"dicomio/codecs.go", "dicomio", []string{"neurotriage/dicomio/codec/jpegll"}}, ""},
		{"codecs do not know dicomio", source{"dicomio/codec/jpegll/scan.go", "jpegll", []string{"neurotriage/dicomio"}}, "dicomio/codec may not import dicomio"},
		{"cgo stays with onnx", source{"dicomio/fast.go", "dicomio", []string{"C"}}, "dicomio may not import C"},
		{"nats stays with events", source{"daemon/loop.go", "daemon", []string{"github.com/nats-io/nats.go/jetstream"}}, "daemon may not import github.com/nats-io/nats.go"},
		{"kit serves outer tests", source{"events/inbox_test.go", "events_test", []string{"neurotriage/internal/kit"}}, ""},
		{"kit does not serve inner tests", source{"events/inbox_test.go", "events", []string{"neurotriage/internal/kit"}}, "events may not import internal/kit"},
		{"kit does not serve programs", source{"events/inbox.go", "events", []string{"neurotriage/internal/kit"}}, "events may not import internal/kit"},
		{"tests obey the arrows", source{"events/inbox_test.go", "events_test", []string{"neurotriage/daemon"}}, "events may not import daemon"},
		{"tests choose their libraries", source{"daemon/loop_test.go", "daemon_test", []string{"github.com/nats-io/nats.go"}}, ""},
		{"tests use their whole room", source{"classifier/onnx/runner_test.go", "onnx_test", []string{"neurotriage/classifier/model"}}, ""},
		{"tests stay without cgo", source{"classifier/classify_test.go", "classifier_test", []string{"neurotriage/classifier/onnx"}}, "classifier may not import classifier/onnx"},
		{"a new room needs a place", source{"attic/box.go", "attic", []string{"fmt"}}, "attic/box.go: no room"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(wrongArrows([]source{c.source}), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("complaints %q, want %q", got, c.want)
			}
		})
	}
}

// wrongArrows returns a line for each import that the tables do not allow.
func wrongArrows(sources []source) []string {
	var wrong []string
	for _, s := range sources {
		room, ok := roomOf(path.Dir(s.file))
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: no room of the house holds it; place it in the table of imports_test.go", s.file))
			continue
		}
		for _, line := range s.imports {
			if why := forbidden(s, room, line); why != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %s may not import %s: %s", s.file, room, why, line))
			}
		}
	}
	return wrong
}

// forbidden returns what the import stands for and why it is wrong, or "".
func forbidden(s source, room, line string) string {
	test := strings.HasSuffix(s.file, "_test.go")
	if line == module {
		return ""
	}
	if target, inside := strings.CutPrefix(line, module+"/"); inside {
		return forbiddenRoom(s, room, target, test)
	}
	if test {
		return ""
	}
	for library, rooms := range outside {
		if line == library || strings.HasPrefix(line, library+"/") {
			if !covers(rooms, room) {
				return fmt.Sprintf("%s (belongs to %s)", library, strings.Join(rooms, ", "))
			}
			return ""
		}
	}
	if room == "." && strings.Contains(strings.SplitN(line, "/", 2)[0], ".") {
		return "libraries (standard library only)"
	}
	return ""
}

func forbiddenRoom(s source, room, folder string, test bool) string {
	target, ok := roomOf(folder)
	switch {
	case !ok:
		return folder + " (no such room)"
	case target == room, slices.Contains(arrows[room], target):
		return ""
	case strings.HasPrefix(target, room+"/") && target != "classifier/onnx":
		return "" // its own subfolder
	case slices.Contains(arrows[room], anyRoom) && target != "classifier/onnx":
		return ""
	case target == kit && test && strings.HasSuffix(s.pkg, "_test"):
		return ""
	case test && topOf(target) == topOf(room) && target != "classifier/onnx":
		return "" // tests may use the whole of their room, short of cgo
	}
	return target
}

func topOf(folder string) string { top, _, _ := strings.Cut(folder, "/"); return top }

// covers reports whether the room or one of its parents is in the list.
func covers(rooms []string, room string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return room == r || strings.HasPrefix(room, r+"/") })
}

// roomOf gives the most specific entry of arrows that holds the folder.
func roomOf(folder string) (string, bool) {
	for ; folder != "."; folder = path.Dir(folder) {
		if _, ok := arrows[folder]; ok {
			return folder, true
		}
		if path.Dir(folder) == "." {
			return "", false
		}
	}
	return ".", true
}

// readSources reads the import lines of every Go file below the root, without
// following links and without what git ignores or hides.
func readSources(t *testing.T, root fs.FS) []source {
	t.Helper()
	var sources []source
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{file: name, pkg: file.Name.Name}
		for _, line := range file.Imports {
			text, err := strconv.Unquote(line.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, text)
		}
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatalf("reading import lines: %v", err)
	}
	return sources
}
