package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"neurotriage/config"
)

// overrides are settings that a command's own flags set, by key; empty values
// leave the setting alone.
type overrides map[string]string

// settings loads the configuration: defaults, file, environment, --set and the
// command's own flags, each stronger than the one before. Faults exit with 2.
func (a *app) settings(own overrides) (config.Config, error) {
	for _, pair := range a.set {
		if !strings.Contains(pair, "=") {
			return config.Config{}, usage(fmt.Errorf("--set %q: allowed is KEY=VALUE, such as http.listen=127.0.0.1:0", pair))
		}
	}
	loaded, err := config.Load(a.loadOptions(own))
	return loaded, asUsage(err)
}

// loadOptions says where the configuration comes from.
func (a *app) loadOptions(own overrides) config.Options {
	flags := map[string]string{}
	for _, pair := range a.set {
		key, value, _ := strings.Cut(pair, "=")
		flags[strings.TrimSpace(key)] = value
	}
	for key, value := range own {
		if value != "" {
			flags[key] = value
		}
	}
	return config.Options{File: a.configFile, Env: a.environ, Flags: flags}
}

// asUsage gives configuration faults their exit code.
func asUsage(err error) error {
	var fault *config.FaultError
	if errors.As(err, &fault) {
		return usage(err)
	}
	return err
}

// keyModelFile is the setting behind --model.
const keyModelFile = "model.file"

// configFlags adds the flags that every command with a configuration has.
func (a *app) configFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration `file` in YAML (default: the one that NEUROTRIAGE_CONFIG names, else none)")
	flags.StringArrayVar(&a.set, "set", nil, "set one configuration `key=value`, over file and environment; may be repeated")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml") // fails only for flags that do not exist
}
