package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"neurotriage/pacs/dimse"
)

// taken is one round of one receiver.
type taken struct {
	rate   float64 // objects a second
	memory float64 // MB, 0 if not ours
}

// once starts a receiver, sends it everything, and looks whether all of it is
// there.
func once(ctx context.Context, o options, name string, quick bool, folder string) (t taken, err error) {
	folder = filepath.Join(folder, strings.NewReplacer(" ", "", ",", "-").Replace(name))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return t, err
	}
	start := startOurs
	if name == peer {
		start = startPeer
	}
	command, address, err := start(ctx, folder, name == oursSynced)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, stop(command)) }()
	syscall.Sync() // what earlier rounds left to write is not this round's
	began := time.Now()
	if err := send(ctx, address, quick, o.associations, o.objects); err != nil {
		return t, err
	}
	t.rate = float64(o.objects) / time.Since(began).Seconds()
	if name != peer {
		if t.memory, err = mostMemory(command.Process.Pid); err != nil {
			return t, err
		}
	}
	return t, complete(folder, o.objects)
}

// startOurs starts this program as receiver.
func startOurs(ctx context.Context, folder string, sync bool) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	command := exec.CommandContext(ctx, self, "-role", "receive", "-folder", folder, fmt.Sprintf("-sync=%t", sync))
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := command.Start(); err != nil {
		return nil, "", err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	return command, strings.TrimSpace(address), err
}

// startPeer starts storescp with its own defaults and waits until it answers.
func startPeer(ctx context.Context, folder string, _ bool) (*exec.Cmd, string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	command := exec.CommandContext(ctx, "storescp", "--fork", "--quiet", "--output-directory", folder, port)
	if err := command.Start(); err != nil {
		return nil, "", err
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := dimse.Dial(ctx, dimse.ClientOptions{Address: address, Calling: "BENCH", Called: "RECEIVER",
			Propose: []dimse.Proposal{{SOPClass: dimse.Verification}}})
		if err == nil {
			return command, address, c.Release(ctx)
		}
		if time.Now().After(until) {
			return command, "", errors.Join(err, stop(command))
		}
	}
}

func stop(command *exec.Cmd) error {
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := command.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return nil // by our signal
	}
	return err
}

// complete looks whether each object is there, with its own name within and all
// of its bytes.
func complete(folder string, objects int) error {
	pixels := newImage(0)
	pixels = pixels[len(pixels)-2*288*288:]
	found := map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		at := strings.Index(entry.Name(), uidRoot+"0")
		if err != nil || entry.IsDir() || at < 0 {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		uid := entry.Name()[at:][:len(instance(0))]
		if !bytes.HasSuffix(text, pixels) || !bytes.Contains(text, []byte(uid)) {
			return fmt.Errorf("%s is not what was sent", path)
		}
		found[uid] = true
		return nil
	})
	if err == nil && len(found) != objects {
		err = fmt.Errorf("%d objects are there where %d were sent", len(found), objects)
	}
	return err
}

// mostMemory is the peak resident size of a process in MB (10^6 bytes).
func mostMemory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kb * 1024 / 1e6, err
		}
	}
	return 0, errors.New("the system tells no peak of memory")
}
