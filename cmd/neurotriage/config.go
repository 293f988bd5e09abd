package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"neurotriage/classifier"
	"neurotriage/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or check the configuration",
		Long: `The configuration comes from built-in defaults, a YAML file, the environment
(NEUROTRIAGE_ and the key in capitals, dots as underscores) and flags (--set), each
stronger than the one before.`,
		Example: `  neurotriage config show --config /etc/neurotriage.yaml
  neurotriage config sample > neurotriage.yaml`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.configShowCommand(), a.configCheckCommand(), a.configSchemaCommand(), a.configSampleCommand())
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the effective configuration, secrets masked",
		Long: `Shows every setting as YAML, and beside each that is not the default where it
comes from. Secrets are masked.`,
		Example: `  neurotriage config show
  NEUROTRIAGE_LOG_LEVEL=debug neurotriage config show --set http.listen=127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: command(func(context.Context, []string) error {
			settings, err := a.settings(nil)
			if err != nil {
				return err
			}
			text, err := settings.Show()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		}),
	}
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration as 'serve' would",
		Long: `Reports everything that is wrong with the configuration: unknown keys, bad values,
files that cannot be read, a threshold above the model card's. Exit code 2 if
anything is.`,
		Example: `  neurotriage config check --config /etc/neurotriage.yaml && systemctl reload neurotriage`,
		Args:    cobra.NoArgs,
		RunE: command(func(context.Context, []string) error {
			settings, err := a.settings(nil)
			if err != nil {
				return err
			}
			if err := a.checkConfig(settings); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, a.style.good("the configuration is good"))
			return err
		}),
	}
}

// checkConfig checks what Load has not: the files that are named, and the
// threshold against the model's card. It needs no ONNX Runtime.
func (a *app) checkConfig(settings config.Config) error {
	if err := settings.CheckFiles(); err != nil {
		return asUsage(err)
	}
	data, err := modelBytes(settings.Model.File)
	if err != nil {
		return err
	}
	pack, err := classifier.Unpack(data)
	if err != nil {
		return usage(fmt.Errorf("model.file: %w", err))
	}
	_, warnings, err := settings.Model.Threshold(pack.Model.Thresholds.GliomaReview)
	for _, warning := range warnings {
		a.warn("%s", warning)
	}
	return asUsage(err)
}

func (a *app) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the configuration file",
		Example: `  neurotriage config schema > neurotriage.schema.json`,
		Args:    cobra.NoArgs,
		RunE: command(func(context.Context, []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = a.out.Write(schema)
			return err
		}),
	}
}

func (a *app) configSampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "sample",
		Short:   "Print a configuration file with every key, its default and what it does",
		Example: `  neurotriage config sample > /etc/neurotriage.yaml`,
		Args:    cobra.NoArgs,
		RunE: command(func(context.Context, []string) error {
			_, err := a.out.Write(config.Sample())
			return err
		}),
	}
}
