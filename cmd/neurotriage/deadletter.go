package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"neurotriage"
	"neurotriage/events"
)

func (a *app) deadletterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "List, show or replay refused studies",
		Long: `A study that was refused or given up leaves a dead letter with the reason and the
event that announced it. Once the cause is mended, a replay announces the study
anew: a new event with replay_of.`,
		Example: `  neurotriage deadletter list
  neurotriage deadletter replay --all --reason gave_up`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.deadletterListCommand(), a.deadletterShowCommand(), a.deadletterReplayCommand())
	return cmd
}

func (a *app) deadletterListCommand() *cobra.Command {
	var asJSON bool
	var url string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the dead letters, oldest first",
		Example: `  neurotriage deadletter list
  neurotriage deadletter list --json | jq 'group_by(.reason) | map({(.[0].reason): length}) | add'`,
		Args: cobra.NoArgs,
		RunE: command(func(ctx context.Context, _ []string) error {
			return a.withBus(ctx, url, func(bus *events.Bus) error { return a.listDeadLetters(ctx, bus, asJSON) })
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	a.natsFlag(cmd, &url)
	return cmd
}

func (a *app) deadletterShowCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one dead letter with the event that led to it, as JSON",
		Example: `  neurotriage deadletter show 0f1e2d3c-… | jq .original`,
		Args:    cobra.ExactArgs(1),
		RunE: command(func(ctx context.Context, args []string) error {
			return a.withBus(ctx, url, func(bus *events.Bus) error {
				letter, err := bus.DeadLetter(ctx, args[0])
				if err != nil {
					return explainMissing(err)
				}
				return writeJSON(a.out, letter)
			})
		}),
	}
	a.natsFlag(cmd, &url)
	return cmd
}

func (a *app) deadletterReplayCommand() *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "replay (ID | --all)",
		Short: "Announce the study of a dead letter again",
		Long: `Announces the study of a dead letter again, as a new event. With --all it does so
once for each study whose dead letter is the last word on it: letters of studies
that were announced again since, and those whose event was no study event at
all, are left out and counted.`,
		Example: `  neurotriage deadletter replay 0f1e2d3c-…
  neurotriage deadletter replay --all --reason gave_up`,
		Args: func(cmd *cobra.Command, args []string) error {
			if flags.all == (len(args) == 1) || len(args) > 1 {
				return errors.New("name the ID of one dead letter, or --all")
			}
			return nil
		},
		RunE: command(func(ctx context.Context, args []string) error {
			return a.withBus(ctx, flags.nats, func(bus *events.Bus) error { return a.replay(ctx, bus, args, flags) })
		}),
	}
	cmd.Flags().BoolVar(&flags.all, "all", false, "replay every study that is refused still")
	cmd.Flags().StringVar(&flags.reason, "reason", "", "with --all: only letters of this `reason`")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print JSON on a terminal too, one object a line")
	a.natsFlag(cmd, &flags.nats)
	return cmd
}

// withBus runs do with a connection.
func (a *app) withBus(ctx context.Context, url string, do func(*events.Bus) error) error {
	settings, err := a.settings(overrides{keyNATSURL: url})
	if err != nil {
		return err
	}
	bus, err := a.connect(ctx, settings)
	if err != nil {
		return err
	}
	defer bus.Close()
	return do(bus)
}

func explainMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; 'neurotriage deadletter list' shows those there are", err)
	}
	return err
}

func (a *app) listDeadLetters(ctx context.Context, bus *events.Bus, asJSON bool) error {
	letters, err := bus.DeadLetters(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		if letters == nil {
			letters = []events.DeadLetter{}
		}
		return writeJSON(a.out, letters)
	}
	if len(letters) == 0 {
		a.note("no dead letters")
		return nil
	}
	view := table{head: []string{"ID", "TIME", "REASON", "TRIES", "STUDY", "CAUSE"}}
	for _, letter := range letters {
		view.add(plainCell(letter.ID), plainCell(letter.Time.Local().Format(time.DateTime)),
			cell{text: string(letter.Reason), paint: a.style.bad}, numberCell(strconv.Itoa(letter.Attempts)),
			plainCell(letter.StudyInstanceUID), plainCell(shortened(letter.Cause, 100)))
	}
	return view.write(a.out, a.style)
}

// shortened cuts a text to so many runes.
func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// replayFlags are the flags of deadletter replay.
type replayFlags struct {
	nats   string
	all    bool
	reason string
	json   bool
}

func (a *app) replay(ctx context.Context, bus *events.Bus, args []string, flags replayFlags) error {
	letters, err := a.lettersToReplay(ctx, bus, args, flags)
	if err != nil {
		return err
	}
	var jobs []neurotriage.Job
	for _, letter := range letters {
		job, err := bus.Replay(ctx, letter)
		if err != nil {
			return errors.Join(err, a.writeJobs(jobs, flags.json))
		}
		jobs = append(jobs, job)
	}
	return a.writeJobs(jobs, flags.json)
}

// lettersToReplay gives the one that was named, or with --all the newest letter
// of each study that is still refused.
func (a *app) lettersToReplay(ctx context.Context, bus *events.Bus, args []string, flags replayFlags) ([]events.DeadLetter, error) {
	if !flags.all {
		letter, err := bus.DeadLetter(ctx, args[0])
		return []events.DeadLetter{letter}, explainMissing(err)
	}
	letters, err := bus.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	var chosen []events.DeadLetter
	left := 0
	for i, letter := range letters {
		current, err := isCurrent(ctx, bus, letter, letters[i+1:])
		if err != nil {
			return nil, err
		}
		switch {
		case !current || letter.Original == nil:
			left++
		case flags.reason == "" || string(letter.Reason) == flags.reason:
			chosen = append(chosen, letter)
		}
	}
	if left > 0 {
		a.note("left out %s that are settled since or cannot be replayed", plural(left, "dead letter", "dead letters"))
	}
	if len(chosen) == 0 {
		a.note("nothing to replay")
	}
	return chosen, nil
}

// isCurrent tells whether the letter is the last word on its study: no later
// letter names it, and it was not announced again since.
func isCurrent(ctx context.Context, bus *events.Bus, letter events.DeadLetter, later []events.DeadLetter) (bool, error) {
	if letter.StudyInstanceUID == "" {
		return false, nil
	}
	for _, other := range later {
		if other.StudyInstanceUID == letter.StudyInstanceUID {
			return false, nil
		}
	}
	entry, found, err := bus.Entry(ctx, letter.StudyInstanceUID)
	if err != nil {
		return false, err
	}
	return !found || entry.Announcement.EventID == letter.EventID, nil
}
