package onnx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The proof that ONNX Runtime talks to nobody and leaves nothing behind: in a
// child process the kernel kills whoever opens a socket, makes a file or makes a
// folder, in any thread, from before the library is loaded. Two more children,
// which do just that, show that the trap works.
const childKey = "NEUROTRIAGE_TEST_CHILD"

func TestNoSocketAndNoFile(t *testing.T) {
	needLibrary(t)
	for child, dies := range map[string]bool{"model": false, "socket": true, "file": true} {
		home := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
		cmd.Env = append(os.Environ(), childKey+"="+child, "HOME="+home, "XDG_CACHE_HOME="+home, "TMPDIR="+home,
			"NEUROTRIAGE_TEST_LIBRARY="+libraryPath(t))
		said, err := cmd.CombinedOutput()
		if strings.Contains(string(said), "no trap") {
			t.Skipf("the kernel lets nobody set the trap: %s", said)
		}
		var exit *exec.ExitError
		if dies && (!errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGSYS) {
			t.Errorf("child %s: %v, want death by SIGSYS: %s", child, err, said)
		}
		if !dies && (err != nil || !strings.Contains(string(said), "scored with telemetry 1")) {
			t.Errorf("child %s: %v: %s", child, err, said)
		}
		if left, err := filepath.Glob(filepath.Join(home, "*")); err != nil || len(left) > 0 {
			t.Errorf("child %s left %v (%v)", child, left, err)
		}
	}
}

func libraryPath(t *testing.T) string {
	t.Helper()
	openTiny(t, Options{})
	return environment.library
}

// TestChild does the child's work; on its own it has none.
func TestChild(t *testing.T) {
	child := os.Getenv(childKey)
	if child == "" {
		return
	}
	model := tiny(t, nil)
	if err := setTrap(); err != nil {
		t.Fatalf("no trap: %v", err)
	}
	switch child {
	case "socket":
		_, _ = net.Dial("udp", "127.0.0.1:9")
	case "file":
		_ = os.WriteFile(filepath.Join(os.TempDir(), "x"), nil, 0o600)
	case "model":
		runner, _, err := Open(Options{Model: model, Library: os.Getenv("NEUROTRIAGE_TEST_LIBRARY")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := runner.Run(context.Background(), make([]float32, 32*32), 1); err != nil {
			t.Fatal(err)
		}
		if err := runner.Close(); err != nil {
			t.Fatal(err)
		}
		fmt.Println("scored with telemetry", os.Getenv("ORT_DISABLE_TELEMETRY"))
	}
}

// setTrap installs a seccomp filter in every thread.
func setTrap() error {
	const (
		number, flags = 0, 16 + 2*8 // offsets in seccomp_data: the call, and its third argument
		deny          = unix.SECCOMP_RET_KILL_PROCESS
	)
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	answer := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	program := []unix.SockFilter{
		load(number),
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 4, 0),
		jump(unix.BPF_JEQ, unix.SYS_MKDIRAT, 3, 0),
		jump(unix.BPF_JEQ, unix.SYS_OPENAT, 0, 3),
		load(flags),
		jump(unix.BPF_JSET, unix.O_CREAT, 0, 1),
		answer(deny),
		answer(unix.SECCOMP_RET_ALLOW),
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// A driver that takes over signals while it starts must not keep them.
func TestSignalsAreKept(t *testing.T) {
	before := disposition(t, syscall.SIGUSR2, nil)
	boom := errors.New("boom")
	err := keepingSignals(func() error {
		ignored := action{handler: 1} // SIG_IGN
		disposition(t, syscall.SIGUSR2, &ignored)
		if now := disposition(t, syscall.SIGUSR2, nil); now.handler != 1 {
			t.Fatalf("the test cannot change a handler: %+v", now)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("err = %v", err)
	}
	if after := disposition(t, syscall.SIGUSR2, nil); after.handler != before.handler {
		t.Errorf("handler is %x, was %x", after.handler, before.handler)
	}
}

// action is the kernel's struct sigaction on 64-bit Linux.
type action struct {
	handler, flags, restorer, mask uintptr
}

func disposition(t *testing.T, signal syscall.Signal, set *action) (old action) {
	t.Helper()
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return old
}
