package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"slices"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/events"
	"neurotriage/pacs"
	"neurotriage/pacs/dicomweb"
	"neurotriage/pacs/dimse"
)

// openCouriers starts a courier for each destination, before the first finding
// is made: a new destination gets what is found from then on.
func (d *Daemon) openCouriers(ctx context.Context) error {
	metrics, err := pacs.NewCourierMetrics(d.deps.Registry)
	if err != nil {
		return err
	}
	post := newPost(d.bus, d.cfg)
	for _, name := range slices.Sorted(maps.Keys(d.cfg.PACS.Destinations)) {
		c := d.cfg.PACS.Destinations[name]
		destination, err := d.destination(name, c)
		if err != nil {
			return fmt.Errorf("destination %q: %w", name, err)
		}
		if err := d.bus.PrepareFeed(ctx, feedOf(name)); err != nil {
			return fmt.Errorf("destination %q: %w", name, err)
		}
		courier := pacs.NewCourier(pacs.CourierOptions{
			Name: name, Destination: destination, When: ruleOf(c.When), Attempts: c.Attempts, Timeout: c.Timeout,
			Post: post, Logger: d.deps.Logger.With("component", "delivery"), Metrics: metrics,
		})
		d.couriers = append(d.couriers, courier)
		d.background("the courier to "+name, courier.Run)
	}
	return nil
}

func feedOf(destination string) events.Feed {
	return events.Feed{Name: destination, Kind: events.FindingFeed}
}

// destination makes the place that findings go to. A new kind is one more case,
// and one more word in the enum of config.Destination.
func (d *Daemon) destination(name string, c config.Destination) (pacs.Destination, error) {
	switch c.Kind {
	case "cstore":
		return d.cstore(c)
	case "stow":
		client, err := webDestination(name, c)
		return &pacs.STOW{Client: client, Kinds: c.Objects}, err
	}
	return nil, fmt.Errorf("kind %q is unknown", c.Kind)
}

func (d *Daemon) cstore(c config.Destination) (pacs.Destination, error) {
	peer := dimse.ClientOptions{Address: c.Address, Called: c.AETitle, Calling: c.Calling}
	if peer.Calling == "" {
		peer.Calling = d.cfg.PACS.Receive.AETitle
	}
	if c.TLS.On {
		secure, err := clientTLS(c.TLS.CA, c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, err
		}
		peer.TLS = dimse.SecureTLS(secure)
	}
	destination := &pacs.CStore{Peer: peer, Kinds: c.Objects}
	if c.Commit {
		destination.Commitments = d.commitments
	}
	return destination, nil
}

// webDestination makes the client of a service that the configuration names. Its
// address was chosen by an administrator and may lead anywhere.
func webDestination(name string, c config.Destination) (*dicomweb.Client, error) {
	user, password, token, err := c.Login(name)
	if err != nil {
		return nil, err
	}
	secure, err := clientTLS(c.TLS.CA, c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return nil, err
	}
	return dicomweb.New(dicomweb.Options{
		Root: c.URL, Guard: &dicomweb.Guard{Allow: []string{c.URL}, AnyAddress: true},
		User: user, Password: password, Token: token, TLS: secure, Attempts: 1, // the courier tries again
	})
}

// clientTLS is the daemon's side of a TLS connection; empty names leave the
// system's authorities and no certificate.
func clientTLS(ca, cert, key string) (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate %s and its key: %w", cert, err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	if ca != "" {
		authorities, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities of the other side: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("reading the authorities of the other side: %s holds no certificate", ca)
		}
	}
	return secure, nil
}

func ruleOf(when config.DestinationWhen) pacs.Rule {
	rule := pacs.Rule{Sources: when.Sources, Modalities: when.Modalities}
	for _, disposition := range when.Dispositions {
		rule.Dispositions = append(rule.Dispositions, neurotriage.Disposition(disposition))
	}
	return rule
}
