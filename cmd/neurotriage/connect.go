package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/events"
)

// keyNATSURL is the setting behind --nats.
const keyNATSURL = "nats.url"

// fallbackNATS is where a daemon with its defaults listens.
const fallbackNATS = "nats://127.0.0.1:4222"

// natsFlag adds --nats to a command that speaks to a daemon.
func (a *app) natsFlag(cmd *cobra.Command, url *string) {
	cmd.Flags().StringVar(url, "nats", "", "NATS `url` (default: nats.url of the configuration, else that of the daemon running here, else "+fallbackNATS+")")
}

// connect opens a connection as a client of the daemon's NATS server.
func (a *app) connect(ctx context.Context, settings config.Config) (*events.Bus, error) {
	options, err := a.busOptions(settings)
	if err != nil {
		return nil, err
	}
	bus, err := events.Connect(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("%w\nIs a daemon running? Start one with 'neurotriage serve', or name the NATS server with --nats", err)
	}
	return bus, nil
}

// busOptions translates what a client needs of the configuration.
func (a *app) busOptions(settings config.Config) (events.Options, error) {
	n := settings.NATS
	user, password, err := n.Login()
	if err != nil {
		return events.Options{}, asUsage(err)
	}
	token, err := n.Bearer()
	if err != nil {
		return events.Options{}, asUsage(err)
	}
	url := n.URL
	if url == "" {
		url = cmp.Or(running(settings).NATS, fallbackNATS)
	}
	return events.Options{
		URL: url, Prefix: n.Prefix, Version: semantic(version), Logger: a.quietLog(),
		Creds: n.Creds, NKey: n.NKey, User: user, Password: password, Token: token,
		CA: n.TLS.CA, Cert: n.TLS.Cert, Key: n.TLS.Key,
	}, nil
}

// semantic gives a version in the form that NATS services demand (x.y.z).
func semantic(version string) string {
	if text := strings.TrimPrefix(version, "v"); strings.Count(text, ".") >= 2 {
		return text
	}
	return "0.0.0"
}

// running gives the addresses of the daemon with this state directory, if one
// has written them; they may be those of a daemon that was killed.
func running(settings config.Config) daemon.Addresses {
	var at daemon.Addresses
	text, err := os.ReadFile(filepath.Join(settings.StateDir, "addresses.json"))
	if err != nil || json.Unmarshal(text, &at) != nil {
		return daemon.Addresses{}
	}
	return at
}
