package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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

var (
	semanticVersion = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$`)
	notInVersions   = regexp.MustCompile(`[^0-9A-Za-z-]+`)
)

// semantic gives a version in the form that NATS services demand; one that is
// not semantic, such as a commit, becomes build metadata (semver.org, 10).
func semantic(version string) string {
	version = strings.TrimPrefix(version, "v")
	if semanticVersion.MatchString(version) {
		return version
	}
	return "0.0.0+" + strings.Trim(notInVersions.ReplaceAllString(version, "-"), "-")
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
