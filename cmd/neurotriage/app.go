package main

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"neurotriage/daemon"
)

// app is what every command has at hand: the streams, how they may be written
// to, the environment, and the flags that all commands share.
type app struct {
	in         io.Reader
	out, err   io.Writer
	environ    []string
	outIsTerm  bool // a person reads the results
	errIsTerm  bool // a person sees the progress
	style      style
	errStyle   style
	configFile string
	set        []string          // --set
	open       daemon.OpenRunner // opens the network; tests put a fake here
}

func newApp(stdin io.Reader, stdout, stderr io.Writer, environ []string) *app {
	a := &app{in: stdin, out: stdout, err: stderr, environ: environ, open: openONNX}
	a.outIsTerm, a.errIsTerm = isTerminal(stdout), isTerminal(stderr)
	plain := a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb" // https://no-color.org
	a.style = style{colour: a.outIsTerm && !plain}
	a.errStyle = style{colour: a.errIsTerm && !plain}
	return a
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) //nolint:gosec // a descriptor is small
}

// getenv looks a name up in the environment; the last of several counts.
func (a *app) getenv(name string) string {
	value := ""
	for _, entry := range a.environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// quietLog is what commands other than the daemon let the rooms say: that a
// connection was lost and is tried again, that a device was replaced.
func (a *app) quietLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
