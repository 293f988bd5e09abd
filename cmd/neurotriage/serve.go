package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"neurotriage/config"
	"neurotriage/daemon"
)

func (a *app) serveCommand() *cobra.Command {
	var model string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Runs the daemon until Ctrl-C or SIGTERM; a second one ends it at once. With no
configuration it brings its own NATS server on 127.0.0.1:4222 and the worklist
page on 127.0.0.1:8470, reads with the model inside the program and keeps its
state under $XDG_STATE_HOME/neurotriage. The chosen addresses stand in
addresses.json there, so port 0 (any free port) is allowed.

SIGHUP reads the configuration again: log level and thresholds change at once,
anything else is named as needing a restart. A configuration fault ends the
daemon with exit code 2, on which systemd does not restart it.`,
		Example: `  neurotriage serve
  neurotriage serve --config /etc/neurotriage.yaml
  neurotriage serve --set roots=incoming=/srv/dicom --set http.listen=127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: command(func(ctx context.Context, _ []string) error {
			return a.serve(ctx, model)
		}),
	}
	a.modelFlag(cmd, &model)
	return cmd
}

func (a *app) serve(ctx context.Context, model string) error {
	own := overrides{keyModelFile: model}
	settings, err := a.settings(own)
	if err != nil {
		return err
	}
	if err := settings.CheckFiles(); err != nil {
		return asUsage(err)
	}
	log, level := a.log(settings.Log)
	server, err := daemon.New(settings, daemon.Deps{
		OpenRunner: a.open, Logger: log, Level: level, Version: semantic(version), Load: a.loadOptions(own),
	})
	if err != nil {
		return asUsage(err)
	}
	if err := server.Start(ctx); err != nil {
		return asUsage(err)
	}
	a.banner(server)
	defer reloadOnHangup(func() { _, _ = server.Reload() })() // what is reloaded, or wrong, stands in the log
	return server.Wait(ctx)
}

// banner tells a person where to look; under systemd the log says it.
func (a *app) banner(server *daemon.Daemon) {
	if a.getenv("INVOCATION_ID") != "" { // systemd.exec(5)
		return
	}
	a.note("\n%s\nTry in a second terminal:  neurotriage submit STUDY.zip --wait\nStop with Ctrl-C.\n", server.Banner())
}

// log makes the daemon's log on standard error, and the level that can change.
func (a *app) log(settings config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	_ = level.UnmarshalText([]byte(settings.Level)) // the configuration allows known names only
	options := &slog.HandlerOptions{Level: level}
	if settings.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options)), level
	}
	return slog.New(slog.NewTextHandler(a.err, options)), level
}

// reloadOnHangup calls reload at each SIGHUP until the returned function is
// called.
func reloadOnHangup(reload func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangups {
			reload()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}
