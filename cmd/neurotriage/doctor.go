package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"neurotriage/config"
)

// level is how bad a diagnosis is.
type level string

const (
	fine   level = "OK"
	amiss  level = "WARN" // the daemon works, but not as it could
	broken level = "FAIL" // it does not
)

// diagnosis is one line of the doctor's.
type diagnosis struct {
	Name   string `json:"name"`
	Level  level  `json:"level"`
	Detail string `json:"detail"`         // what is so, or wrong
	Cure   string `json:"cure,omitempty"` // what to do about it
}

// checkup is what `doctor --json` prints.
type checkup struct {
	OK     bool        `json:"ok"` // nothing failed
	Checks []diagnosis `json:"checks"`
}

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	var url string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check library, model, GPU, NATS and storage",
		Long: `Checks what the daemon needs and says for each thing what is wrong and what to do
about it: the configuration, the ONNX Runtime library, the model and how fast it
runs, graphics devices, NATS and the daemon behind it, the state directory, the
roots, the destinations of findings and alerts. Nothing is changed. Exit code 1 if
anything fails.`,
		Example: `  neurotriage doctor
  neurotriage doctor --config /etc/neurotriage.yaml --json | jq '.checks[] | select(.level != "OK")'`,
		Args: cobra.NoArgs,
		RunE: command(func(ctx context.Context, _ []string) error {
			settings, err := a.settings(overrides{keyNATSURL: url})
			if err != nil {
				return err
			}
			return a.doctor(ctx, settings, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	a.natsFlag(cmd, &url)
	return cmd
}

func (a *app) doctor(ctx context.Context, settings config.Config, asJSON bool) error {
	result := checkup{OK: true, Checks: []diagnosis{}}
	checks := []func(context.Context, config.Config) []diagnosis{
		a.examineConfig, a.examineLibrary, a.examineModel, a.examineNATS, a.examineDaemon, a.examineStorage, a.examineDestinations, a.examineAlerts,
	}
	for _, check := range checks {
		for _, found := range check(ctx, settings) {
			result.Checks = append(result.Checks, found)
			result.OK = result.OK && found.Level != broken
			if !asJSON {
				a.writeDiagnosis(found)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if asJSON {
		if err := writeJSON(a.out, result); err != nil {
			return err
		}
	}
	if !result.OK {
		return quiet(exitFailed)
	}
	return nil
}

// nameWidth is the width of the longest usual name of a check.
const nameWidth = 13

func (a *app) writeDiagnosis(d diagnosis) {
	paint := map[level]func(string) string{fine: a.style.good, amiss: a.style.warn, broken: a.style.bad}[d.Level]
	fmt.Fprintf(a.out, "%s %s  %s\n", paint(fmt.Sprintf("%-4s", d.Level)), a.style.bold(fmt.Sprintf("%-*s", nameWidth, d.Name)), d.Detail)
	if d.Cure != "" {
		fmt.Fprintf(a.out, "%*s%s %s\n", nameWidth+7, "", a.style.faint("do:"), d.Cure)
	}
}
