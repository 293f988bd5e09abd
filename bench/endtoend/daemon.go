package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const megabyte = 1e6

// measureDaemon starts the daemon on free ports, times it until it is ready,
// reads its memory when idle and after the study, and stops it.
func measureDaemon(ctx context.Context, o options, r *result) error {
	state, err := os.MkdirTemp("", "neurotriage-bench-state-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	environment := append(os.Environ(),
		"NEUROTRIAGE_STATE_DIR="+state,
		"NEUROTRIAGE_NATS_EMBEDDED_LISTEN=127.0.0.1:0",
		"NEUROTRIAGE_PACS_RECEIVE_LISTEN=127.0.0.1:0",
		"NEUROTRIAGE_HTTP_LISTEN=127.0.0.1:0")
	daemon := exec.CommandContext(ctx, o.binary, "serve")
	daemon.Env = environment
	begin := time.Now()
	if err := daemon.Start(); err != nil {
		return err
	}
	defer func() { _ = daemon.Process.Signal(os.Interrupt); _ = daemon.Wait() }()
	listening, err := untilReady(ctx, filepath.Join(state, "addresses.json"))
	if err != nil {
		return err
	}
	r.Times["start to ready"] = time.Since(begin).Seconds()
	time.Sleep(3 * time.Second) // idle is what remains after the start's garbage
	idle, err := memory(daemon.Process.Pid, "VmRSS")
	if err != nil {
		return err
	}
	submit := exec.CommandContext(ctx, o.binary, "submit", o.study, "--wait=120s", "--nats", listening.NATS)
	submit.Env, submit.Stderr = environment, os.Stderr
	if err := submit.Run(); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	peak, err := memory(daemon.Process.Pid, "VmHWM")
	if err != nil {
		return err
	}
	r.Figures = append(r.Figures,
		figure{Name: "start to ready", Value: r.Times["start to ready"], Limit: 1, Unit: " s"},
		figure{Name: "memory of the idle daemon", Value: idle, Limit: 120, Unit: " MB"},
		figure{Name: "peak memory after the study", Value: peak, Limit: 400, Unit: " MB"})
	return nil
}

// addresses is what the daemon writes of where it listens.
type addresses struct {
	NATS string `json:"nats"`
	HTTP string `json:"http"`
}

// untilReady waits until the daemon has written where it listens and says that
// it is ready.
func untilReady(ctx context.Context, path string) (addresses, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var listening addresses
		if json.Unmarshal(data, &listening) != nil {
			continue
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(listening.HTTP, "/")+"/readyz", nil)
		if err != nil {
			return addresses{}, err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return listening, nil
			}
		}
	}
	return addresses{}, errors.New("it was not ready within 30 s")
}

// memory reads a line of /proc/PID/status, in MB.
func memory(pid int, name string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name+":" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			return kilobytes * 1024 / megabyte, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", name, pid)
}
