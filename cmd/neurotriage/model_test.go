package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/classifier/model"
	"neurotriage/classifier/onnx/library"
)

// needLibrary skips when ONNX Runtime is not in the cache.
func needLibrary(t *testing.T) {
	t.Helper()
	if _, err := library.Find(""); errors.Is(err, library.ErrMissing) {
		t.Skipf("needs ONNX Runtime: %v", err)
	}
}

func TestModelInfo(t *testing.T) {
	shown := newBench(t).run("model", "info", "--json").want(t, exitDone).out
	conform(t, "model.v1.json", shown)
	card := decode[neurotriage.Model](t, shown)
	if card.Schema != "model.v1" || len(card.Labels) != 4 || !strings.HasPrefix(card.Digest, "sha256:") {
		t.Errorf("card %+v", card)
	}
	text := newBench(t).run("model", "info").want(t, exitDone).out
	for _, want := range append(card.Labels, card.Digest, card.Version, "Intended use", "Limits", "T1 with contrast") {
		if !strings.Contains(text, want) {
			t.Errorf("the card for people lacks %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if len([]rune(line)) > 160 {
			t.Errorf("a line of %d characters: %q", len([]rune(line)), line)
		}
	}
}

func TestModelVerify(t *testing.T) {
	needLibrary(t)
	b := newBench(t)
	b.open = openONNX
	whole := write(t, t.TempDir(), "model.onnx", model.ONNX())
	got := b.run("model", "verify", whole).want(t, exitDone)
	card := decode[neurotriage.Model](t, b.run("model", "info", "--json").want(t, exitDone).out)
	for _, want := range []string{"ok card", "ok shapes", "ok golden scores", card.Digest} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q lacks %q", got.out, want)
		}
	}
}

// Damage of each kind is found before anything is read with the model.
func TestModelVerifyFindsDamage(t *testing.T) {
	needLibrary(t)
	data := model.ONNX()
	cases := []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"cut off", func(d []byte) []byte { return d[:len(d)/2] }, "protobuf"},
		{"no model at all", func([]byte) []byte { return []byte("hello") }, "ONNX"},
		{"another size on the card", func(d []byte) []byte {
			return replaceAfter(d, `"name":"input","size":`, '9')
		}, "input"},
		{"other golden scores", func(d []byte) []byte { return replaceAfter(d, `"logits":[[`, '9') }, "golden"},
		{"other weights", func(d []byte) []byte {
			d[len(d)/2] ^= 0x10 // the hidden layer's: golden scores would not tell
			return d
		}, "checking the weights"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.open = openONNX
			file := write(t, t.TempDir(), "model.onnx", c.damage(bytes.Clone(data)))
			got := b.run("model", "verify", file).want(t, exitFailed)
			if !strings.Contains(got.err, c.want) || !strings.Contains(got.err, file) {
				t.Errorf("stderr %q, want %q and the file's name", got.err, c.want)
			}
		})
	}
}

// replaceAfter puts a digit in the place of the first one after text.
func replaceAfter(data []byte, text string, digit byte) []byte {
	at := bytes.Index(data, []byte(text)) + len(text)
	for ; data[at] < '0' || data[at] > '9'; at++ {
	}
	if data[at] == digit {
		digit--
	}
	data[at] = digit
	return data
}

func TestModelFileOfTheConfigurationIsUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "other.onnx")
	if err := os.WriteFile(file, []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := newBench(t).run("model", "info", "--set", "model.file="+file).want(t, exitFailed)
	if got.out != "" {
		t.Errorf("another model's card is shown: %q", got.out)
	}
}
