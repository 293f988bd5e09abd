package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"neurotriage/alert"
	"neurotriage/config"
	"neurotriage/daemon"
)

func (a *app) alertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alert",
		Short: "List and try the destinations of alerts",
		Long: `Alerts tell people by webhook, mail and chat that a study was flagged, that a
reading changed, or that a study waits too long; docs/ALERTS.md tells how.`,
		Example: `  neurotriage alert list
  neurotriage alert test reading-room --config /etc/neurotriage.yaml`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.alertListCommand(), a.alertTestCommand())
	return cmd
}

func (a *app) alertListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the destinations of alerts and when each is told",
		Example: `  neurotriage alert list --config /etc/neurotriage.yaml`,
		Args:    cobra.NoArgs,
		RunE: command(func(context.Context, []string) error {
			settings, err := a.settings(nil)
			if err != nil {
				return err
			}
			return a.listAlerts(settings.Alert)
		}),
	}
}

func (a *app) listAlerts(c config.Alert) error {
	if len(c.Destinations) == 0 {
		a.note("nobody is told of alerts; alert.destinations in the configuration says who is")
		return nil
	}
	view := table{head: []string{"NAME", "KIND", "ALERTS", "AFTER", "REMINDERS", "QUIET HOURS"}}
	for _, name := range slices.Sorted(maps.Keys(c.Destinations)) {
		d := c.Destinations[name]
		or := func(text, empty string) cell {
			if text == "" {
				text = empty
			}
			return plainCell(text)
		}
		every := func(t time.Duration, never string) cell {
			if t == 0 {
				return plainCell(never)
			}
			return plainCell(t.String())
		}
		view.add(plainCell(name), plainCell(d.Kind), or(strings.Join(d.Alerts, ", "), "all"), every(d.After, "at once"),
			every(d.Repeat, "none"), or(strings.Join(d.QuietHours, ", "), "none"))
	}
	return view.write(a.out, a.style)
}

func (a *app) alertTestCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "test (NAME... | --all)",
		Short: "Send a message that says it is a test",
		Long: `Sends a message that says it is a test to destinations of alerts in the
configuration, at once and whatever their quiet hours. No daemon is needed. Exit
code 1 if any of them does not take it.`,
		Example: `  neurotriage alert test reading-room
  neurotriage alert test --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("name destinations of alerts, or --all")
			}
			return nil
		},
		RunE: command(func(ctx context.Context, args []string) error {
			settings, err := a.settings(nil)
			if err != nil {
				return err
			}
			return a.testAlerts(ctx, settings.Alert, args)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every destination")
	return cmd
}

// testAlerts sends to the destinations named; none: to all.
func (a *app) testAlerts(ctx context.Context, c config.Alert, names []string) error {
	known := slices.Sorted(maps.Keys(c.Destinations))
	if len(known) == 0 {
		return usage(errors.New("nobody is told of alerts: the configuration has no alert.destinations"))
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return usage(fmt.Errorf("%q is no destination of alerts; there are %s", name, strings.Join(known, ", ")))
		}
	}
	if len(names) == 0 {
		names = known
	}
	failed := 0
	for _, name := range names {
		began := time.Now()
		if err := trial(ctx, name, c.Destinations[name]); err != nil {
			failed++
			fmt.Fprintf(a.out, "%s %s  %v\n", a.style.bad("FAIL"), a.style.bold(name), err)
			continue
		}
		fmt.Fprintf(a.out, "%s %s  took the message in %s\n", a.style.good("OK  "), a.style.bold(name), time.Since(began).Round(time.Millisecond))
	}
	if failed > 0 {
		return quiet(exitFailed)
	}
	return nil
}

// trialTime is how long a receiver may take.
const trialTime = 30 * time.Second

func trial(ctx context.Context, name string, c config.AlertDestination) error {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	sender, err := daemon.AlertSender(name, c)
	if err != nil {
		return err
	}
	return sender.Send(ctx, alert.Example(time.Now()))
}

// examineAlerts looks whether each destination of alerts could be reached.
func (a *app) examineAlerts(ctx context.Context, settings config.Config) []diagnosis {
	const name = "alerts"
	var found []diagnosis
	for _, destination := range slices.Sorted(maps.Keys(settings.Alert.Destinations)) {
		c := settings.Alert.Destinations[destination]
		detail, cure := a.examineAlert(ctx, destination, c)
		if cure != "" {
			found = append(found, diagnosis{name, broken, detail, cure})
			continue
		}
		found = append(found, ok(name, "%s (%s): %s", destination, c.Kind, detail))
	}
	if len(found) == 0 {
		return []diagnosis{ok(name, "nobody is told; alert.destinations says who is")}
	}
	return found
}

func (a *app) examineAlert(ctx context.Context, name string, c config.AlertDestination) (detail, cure string) {
	sender, err := daemon.AlertSender(name, c)
	if err != nil {
		return name + ": " + err.Error(), "correct alert.destinations." + name
	}
	ctx, cancel := context.WithTimeout(ctx, trialTime/3)
	defer cancel()
	if err := sender.Check(ctx); err != nil {
		return name + ": " + err.Error(), "mend the way to it; then 'neurotriage alert test " + name + "' sends a message"
	}
	if c.Kind == "chat" {
		return "its address can be read; 'neurotriage alert test " + name + "' tells whether it is taken", ""
	}
	return "answers", ""
}
