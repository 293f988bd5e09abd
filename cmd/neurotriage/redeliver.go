package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"neurotriage/events"
)

func (a *app) redeliverCommand() *cobra.Command {
	var url string
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "redeliver DESTINATION",
		Short: "Deliver findings again that a destination has not got",
		Long: `Hands the findings of the last hours to a destination of the configuration again:
those that were given up because it turned them away, and those from before it
was configured. What it has got already, by the worklist, is left out. A daemon
that has the destination goes on with it within seconds; the worklist shows how
far it comes.`,
		Example: `  neurotriage redeliver pacs
  neurotriage redeliver pacs --since 720h`,
		Args: cobra.ExactArgs(1),
		RunE: command(func(ctx context.Context, args []string) error {
			if since <= 0 {
				return usage(errors.New("--since: allowed is a duration such as 24h"))
			}
			return a.withBus(ctx, url, func(bus *events.Bus) error {
				feed := events.Feed{Name: args[0], Kind: events.FindingFeed}
				if err := bus.RewindFeed(ctx, feed, time.Now().Add(-since)); err != nil {
					return err
				}
				fmt.Fprintf(a.err, "%s gets what it has not got of the last %s\n", args[0], since)
				return nil
			})
		}),
	}
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far to go back")
	a.natsFlag(cmd, &url)
	return cmd
}
