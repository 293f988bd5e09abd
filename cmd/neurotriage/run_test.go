package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Command lines that end before any work begins, and some that do a little.
func TestExitCodes(t *testing.T) {
	empty := t.TempDir()
	broken := write(t, empty, "broken.yaml", []byte("nats:\n  urll: nats://localhost\n"))
	loose := write(t, empty, "loose.yaml", []byte("model:\n  thresholds:\n    glioma_review: 0.9\n"))
	text := filepath.Dir(write(t, t.TempDir(), "notes.txt", []byte("no image\n")))
	cases := []struct {
		line string
		code int
		want string // in standard error, or in standard output when the code is 0
	}{
		{"", 0, "serve"},
		{"--help", 0, "Available Commands"},
		{"classify --help", 0, "Exit code 0 if all studies were read"},
		{"version", 0, "neurotriage"},
		{"completion bash", 0, "complete"},
		{"config show", 0, "state_dir:"},
		{"config schema", 0, "$schema"},
		{"config sample", 0, "nats:"},
		{"config check", 0, "good"},
		{"model info", 0, "labels"},
		{"model", 0, "verify"},
		{"sevre", 2, "did you mean serve?"},
		{"model infos", 2, "did you mean info?"},
		{"deadletter", 0, "replay"},
		{"classify", 2, "name at least one file, folder or zip archive"},
		{"classify --no-such-flag x", 2, "unknown flag: --no-such-flag"},
		{"classify /no/such/study", 2, "/no/such/study"},
		{"classify " + text, 3, "no DICOM found"},
		{"classify " + text + " --model /no/model.onnx", 2, "/no/model.onnx"},
		{"classify " + text + " --set model.thresholds.glioma_review=0.9", 2, "accept_lower_recall"},
		{"submit " + text, 3, "no DICOM found"},
		{"submit /no/such/study", 2, "/no/such/study"},
		{"submit " + text + " --priority soon", 2, `--priority "soon": allowed are routine`},
		{"submit " + text + " --wait=soon", 2, "invalid argument"},
		{"submit " + text + " --nats http://localhost", 2, "nats.url"},
		{"evaluate", 2, "accepts 1 arg(s)"},
		{"evaluate /no/such/folder", 2, "/no/such/folder"},
		{"evaluate " + text, 2, "needs folders named glioma"},
		{"model verify " + broken, 1, "broken.yaml"},
		{"model verify /no/model.onnx", 2, "/no/model.onnx"},
		{"deadletter show", 2, "accepts 1 arg(s)"},
		{"deadletter replay", 2, "--all"},
		{"deadletter replay --all some-id", 2, "--all"},
		{"serve --config " + broken, 2, "did you mean"},
		{"serve --set nats.embedded.listen=0.0.0.0:4222", 2, "loopback"},
		{"serve --set http.listen", 2, "allowed is KEY=VALUE"},
		{"serve --set htpt.listen=x", 2, "unknown key"},
		{"serve extra", 2, "unknown command"},
		{"config check --config " + loose, 2, "model card's"},
		{"config check --config /no/file.yaml", 2, "/no/file.yaml"},
		{"config show --set log.level=loud", 2, "log.level"},
		{"doctor --config " + broken, 2, "unknown key"},
		{"watch --nats nats://127.0.0.1:1", 1, "--nats"},
		{"deadletter list --nats nats://127.0.0.1:1", 1, "neurotriage serve"},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			b := newBench(t)
			if strings.Contains(c.line, "/no/model.onnx") {
				b.open = openONNX // reads the file itself
			}
			got := b.run(strings.Fields(c.line)...).want(t, c.code)
			shown := got.err
			if c.code == 0 {
				shown = got.out
			} else if got.out != "" {
				t.Errorf("a failed command printed results: %q", got.out)
			}
			if !strings.Contains(shown, c.want) {
				t.Errorf("%q lacks %q", shown, c.want)
			}
		})
	}
}

func TestUsageErrorsPointToHelp(t *testing.T) {
	got := newBench(t).run("classify", "--no-such-flag").want(t, exitUsage)
	if !strings.Contains(got.err, "See 'neurotriage classify --help'") {
		t.Errorf("stderr %q", got.err)
	}
	got = newBench(t).run("classify", "/no/such/study").want(t, exitUsage)
	if strings.Contains(got.err, "--help") {
		t.Errorf("a wrong path is explained by a page of help: %q", got.err)
	}
}

// walk visits every command that a person can call.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	if cmd.Hidden || cmd.Name() == "help" {
		return
	}
	visit(cmd)
	for _, child := range cmd.Commands() {
		walk(child, visit)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	walk(newBench(t).app().root(), func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Runnable() && cmd.Example == "" {
			t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
		cmd.NonInheritedFlags().VisitAll(func(flag *pflag.Flag) {
			if flag.Usage == "" {
				t.Errorf("%s --%s has no description", cmd.CommandPath(), flag.Name)
			}
		})
	})
}

// Examples are the first thing that is copied: each must parse.
func TestExamplesParse(t *testing.T) {
	count := 0
	walk(newBench(t).app().root(), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			_, call, ours := strings.Cut(line, "neurotriage ")
			if !ours || strings.Contains(call, " -- ") {
				continue
			}
			count++
			call, _, _ = strings.Cut(call, "#")
			call, _, _ = strings.Cut(call, "|")
			call, _, _ = strings.Cut(call, "&&")
			call, _, _ = strings.Cut(call, ">")
			root := newBench(t).app().root()
			found, rest, err := root.Find(strings.Fields(call))
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil || found == root {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), strings.TrimSpace(line), err)
			}
		}
	})
	if count < 20 {
		t.Errorf("%d examples in all", count)
	}
}

func TestCompletionIsValidShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := newBench(t).run("completion", shell).want(t, exitDone).out
		if !strings.Contains(script, "neurotriage") {
			t.Errorf("%s: %d bytes without the program's name", shell, len(script))
		}
		path, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" {
			continue // not every machine has every shell
		}
		check := exec.Command(path, "-n") //nolint:gosec // one of three names
		check.Stdin = strings.NewReader(script)
		if text, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v: %s", shell, err, text)
		}
	}
}

func TestCompletionKnowsPriorities(t *testing.T) {
	got := newBench(t).run("__complete", "submit", "x", "--priority", "").want(t, exitDone)
	for _, word := range []string{"routine", "urgent", "asap", "stat"} {
		if !strings.Contains(got.out, word+"\n") {
			t.Errorf("%q lacks %s", got.out, word)
		}
	}
}

func TestNoColourWithoutATerminalOrAgainstTheWish(t *testing.T) {
	dir := place(t, brain("colour", "Gadovist"))
	b := newBench(t)
	if got := b.run("classify", dir).want(t, exitDone); strings.Contains(got.out+got.err, "\x1b") {
		t.Errorf("a pipe got colours: %q", got.out+got.err)
	}
	b.person = true
	if got := b.run("classify", dir).want(t, exitDone); !strings.Contains(got.out, "\x1b[1;31mGLIOMA REVIEW\x1b[0m") {
		t.Errorf("a terminal got no colours: %q", got.out)
	}
	for _, wish := range []string{"NO_COLOR=1", "TERM=dumb"} {
		a := newApp(nil, nil, nil, []string{wish})
		a.outIsTerm = true
		if a.style.colour {
			t.Errorf("%s does not switch colours off", wish)
		}
	}
}
