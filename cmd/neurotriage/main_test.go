package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test's own binary run as the program, so that signals and
// exit codes are those of a real process.
const asProgram = "RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program starts the program as a process of its own.
func (b *bench) program(args ...string) (*exec.Cmd, *locked, *locked) {
	b.t.Helper()
	out, err := &locked{}, &locked{}
	cmd := exec.Command(os.Args[0], args...) //nolint:gosec // this very test
	cmd.Env = append([]string{asProgram + "=1"}, b.environ...)
	cmd.Stdout, cmd.Stderr = out, err
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out, err
}

func TestExitCodeOfTheProcess(t *testing.T) {
	cmd, _, stderr := newBench(t).program("classify", "/no/such/study", "--model", "/no/such/model")
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(stderr.String(), "/no/such/model") {
		t.Errorf("exit code %d, stderr %q", cmd.ProcessState.ExitCode(), stderr)
	}
}

func TestInterruptEndsAWatch(t *testing.T) {
	b := newBench(t)
	b.serve()
	cmd, out, stderr := b.program("watch", "--json")
	for i := 0; out.String() == ""; i++ { // until it has begun
		b.run("submit", place(t, brain("probe"+string(rune('a'+i)), "Gadovist")), "--wait=20s").want(t, exitDone)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, stderr %q", err, stderr)
	}
}

// A pipe that nobody writes to stands for work that does not heed the first
// signal: opening it for reading never returns.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	stuck := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(stuck, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, _, stderr := newBench(t).program("model", "info", "--model", stuck)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for range 100 {
		select {
		case <-done:
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Errorf("ended by itself: %v: %s", cmd.ProcessState, stderr)
			}
			return
		case <-time.After(200 * time.Millisecond): // between two keystrokes
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended meanwhile
		}
	}
	t.Error("twenty seconds of interrupts do not end the program")
}
