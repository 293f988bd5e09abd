package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"neurotriage"
	"neurotriage/events"
)

func (a *app) watchCommand() *cobra.Command {
	var asJSON bool
	var url string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show findings as they come",
		Long: `Shows each finding as it is published, from now on and without a gap over
restarts of the daemon, until Ctrl-C.`,
		Example: `  neurotriage watch
  neurotriage watch --json | jq --unbuffered 'select(.flags.glioma_review)'
  neurotriage watch --nats nats://nats.example.org:4222`,
		Args: cobra.NoArgs,
		RunE: command(func(ctx context.Context, _ []string) error {
			return a.watch(ctx, url, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one finding a line as JSON (docs/schemas/finding.v1.json)")
	a.natsFlag(cmd, &url)
	return cmd
}

func (a *app) watch(ctx context.Context, url string, asJSON bool) error {
	return a.withBus(ctx, url, func(bus *events.Bus) error { return a.follow(ctx, bus, asJSON) })
}

// follow prints findings until ctx ends or nobody reads them any more.
func (a *app) follow(ctx context.Context, bus *events.Bus, asJSON bool) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var broken error // of writing: nobody reads any more
	err := bus.Watch(ctx, func(finding neurotriage.Finding) {
		if broken = a.writeFinding(finding, asJSON); broken != nil {
			stop(broken)
		}
	})
	switch {
	case broken != nil:
		return broken
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return nil // Ctrl-C is how a watch ends
	}
	return err
}

// writeFinding prints one finding on one line.
func (a *app) writeFinding(finding neurotriage.Finding, asJSON bool) error {
	if asJSON {
		return writeLine(a.out, finding)
	}
	verdict, paint := a.verdict(finding.Disposition)
	if paint == nil {
		paint = a.style.bold
	}
	detail := string(finding.Reason)
	if finding.Probabilities != nil {
		detail = fmt.Sprintf("%s %.3f  glioma %.3f  %s", finding.Predicted, finding.Probabilities[finding.Predicted],
			finding.Probabilities[neurotriage.Glioma], detail)
	}
	_, err := fmt.Fprintf(a.out, "%s  %s  %s  %s\n", a.style.faint(finding.Finished.Local().Format(time.TimeOnly)),
		paint(fmt.Sprintf("%-17s", verdict)), finding.StudyInstanceUID, detail)
	return err
}
