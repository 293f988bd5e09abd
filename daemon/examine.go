package daemon

import (
	"context"
	"fmt"

	"neurotriage/config"
	"neurotriage/pacs"
	"neurotriage/pacs/dimse"
)

// CheckDestination tells what is wrong with the way to a destination of findings,
// delivering nothing: C-ECHO, a question to a service, or a connection. It needs
// no running daemon.
func CheckDestination(ctx context.Context, cfg config.Config, name string) error {
	destination, err := (&Daemon{cfg: cfg, commitments: pacs.NewCommitments()}).destination(name, cfg.PACS.Destinations[name])
	if err != nil {
		return err
	}
	switch one := destination.(type) {
	case *pacs.CStore:
		return echo(ctx, one.Peer)
	case *pacs.STOW:
		return one.Client.Well(ctx)
	case interface {
		Check(ctx context.Context) error
	}:
		return one.Check(ctx)
	}
	return fmt.Errorf("kind %q cannot be looked at", cfg.PACS.Destinations[name].Kind)
}

func echo(ctx context.Context, peer dimse.ClientOptions) error {
	peer.Propose = []dimse.Proposal{{SOPClass: dimse.Verification}}
	conn, err := dimse.Dial(ctx, peer)
	if err != nil {
		return fmt.Errorf("connecting to %s at %s: %w", peer.Called, peer.Address, err)
	}
	defer func() { _ = conn.Abort() }() // does nothing after a release
	if err := conn.Echo(ctx); err != nil {
		return fmt.Errorf("%s at %s: %w", peer.Called, peer.Address, err)
	}
	return conn.Release(ctx)
}
