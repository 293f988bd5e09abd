package classifier

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

const fixtures = "onnx/testdata/"

// tinyFile is the fixture network with card and golden scores, after edit.
func tinyFile(t testing.TB, edit func(card, golden map[string]any)) []byte {
	t.Helper()
	parts := map[string]map[string]any{}
	for _, name := range []string{"card", "golden"} {
		text, err := os.ReadFile(fixtures + "tiny." + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var part map[string]any
		if err := json.Unmarshal(text, &part); err != nil {
			t.Fatal(err)
		}
		parts[name] = part
	}
	if edit != nil {
		edit(parts["card"], parts["golden"])
	}
	onnx, err := os.ReadFile(fixtures + "tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		onnx = appendProperty(onnx, "neurotriage."+name, text)
	}
	return onnx
}

// appendProperty adds a metadata entry: messages laid end to end are merged.
func appendProperty(onnx []byte, key string, value []byte) []byte {
	entry := protowire.AppendTag(nil, propertyKey, protowire.BytesType)
	entry = protowire.AppendString(entry, key)
	entry = protowire.AppendTag(entry, propertyValue, protowire.BytesType)
	entry = protowire.AppendBytes(entry, value)
	return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(onnx), modelProperties, protowire.BytesType), entry)
}

func TestUnpack(t *testing.T) {
	p, err := Unpack(tinyFile(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if p.Model.Name != "tiny" || p.Golden.Count != 4 || !strings.HasPrefix(p.Model.Digest, "sha256:") || len(p.Model.Digest) != 71 {
		t.Errorf("%+v", p.Model)
	}
	other, err := Unpack(tinyFile(t, func(card, _ map[string]any) { card["version"] = "2" }))
	if err != nil || other.Model.Digest == p.Model.Digest {
		t.Errorf("two files have the digest %s (%v)", other.Model.Digest, err)
	}
}

func TestUnpackNamesTheFault(t *testing.T) {
	whole := tinyFile(t, nil)
	set := func(object, key string, value any) func(card, golden map[string]any) {
		return func(card, golden map[string]any) {
			into := map[string]map[string]any{"card": card, "golden": golden}
			if into[object] == nil {
				into[object] = card[object].(map[string]any)
			}
			into[object][key] = value
		}
	}
	bare, err := os.ReadFile(fixtures + "tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string][]byte{
		`"neurotriage.card" is missing`:                          bare,
		`reading "neurotriage.card" of the ONNX metadata`:        appendProperty(bare, "neurotriage.card", []byte("{")),
		`"neurotriage.golden" is missing`:                        appendProperty(bare, "neurotriage.card", []byte("{}")),
		"reading the ONNX file: not a protobuf message":          []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"reading the ONNX file: field":                           whole[:len(whole)-3],
		`input.name: the graph has no "image", only ["input"]`:   tinyFile(t, set("input", "name", "image")),
		`outputs.logits: the graph has no "scores"`:              tinyFile(t, set("outputs", "logits", "scores")),
		`input.name: "input" has shape [-1 1 32 32], [-1 1 48`:   tinyFile(t, set("input", "size", 48)),
		`outputs.ood: "logits" has shape [-1 4], [-1] is wanted`: tinyFile(t, set("outputs", "ood", "logits")),
		`outputs.cams: "ood" has shape [-1], [-1 4 -1 -1]`:       tinyFile(t, set("outputs", "cams", "ood")),
		`temperature: -1`: tinyFile(t, set("card", "temperature", -1)),
		`outputs.logits: "logits" has shape [-1 4], [-1 5] is`: tinyFile(t, set("card", "labels", []string{"glioma", "meningioma", "normal", "pituitary", "x"})),
		`golden.formula: "sine.v2" is not known`:               tinyFile(t, set("golden", "formula", "sine.v2")),
		"golden.count: 3 with 4 rows":                          tinyFile(t, set("golden", "count", 3)),
		"golden.count: 0":                                      tinyFile(t, set("golden", "count", 0)),
		"golden.logits[0]: 1 values for 4 labels":              tinyFile(t, set("golden", "logits", [][]float64{{1}, {1}, {1}, {1}})),
	} {
		if _, err := Unpack(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// Of a file that carries its graph's digest no weight can change unseen; one without is read as before.
func TestUnpackFindsDamagedWeights(t *testing.T) {
	bare := tinyFile(t, nil)
	read, err := readONNX(bare)
	if err != nil {
		t.Fatal(err)
	}
	sealed := appendProperty(bare, graphKey, []byte(digest(read.graph)))
	p, err := Unpack(sealed)
	if err != nil || p.Graph != digest(read.graph) {
		t.Fatalf("graph %q, %v", p.Graph, err)
	}
	at := bytes.Index(sealed, read.graph) + len(read.graph)/2
	for _, file := range [][]byte{sealed, bare} {
		damaged := bytes.Clone(file)
		damaged[at] ^= 1
		_, err := Unpack(damaged)
		if found := err != nil && strings.Contains(err.Error(), "checking the weights"); found != (len(file) == len(sealed)) {
			t.Errorf("of %d bytes, one damaged: %v", len(file), err)
		}
	}
}

// A model file comes from an administrator, but through many hands.
func FuzzUnpack(f *testing.F) {
	f.Add(tinyFile(f, nil))
	f.Add([]byte{})
	f.Add([]byte{0x3a, 0x02, 0x5a, 0x00})
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<16 {
			t.Skip("longer than a fuzzed file need be")
		}
		p, err := Unpack(file)
		if err == nil && (Check(p.Model) != nil || p.Golden.Count < 1) {
			t.Errorf("an unsound card came through: %+v", p.Model)
		}
	})
}
