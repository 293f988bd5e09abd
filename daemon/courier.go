package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"neurotriage"
	"neurotriage/audit"
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
	post, couriers := newPost(d.bus, d.cfg), map[string]*pacs.Courier{}
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
			Name: name, Destination: audited{destination, d.book, name, c}, When: ruleOf(c.When), Attempts: c.Attempts, Timeout: c.Timeout,
			Post: post, Logger: d.deps.Logger.With("component", "delivery"), Metrics: metrics,
		})
		couriers[name] = courier
		d.background("the courier to "+name, courier.Run)
	}
	d.couriers.Store(&couriers)
	return nil
}

func feedOf(destination string) events.Feed {
	return events.Feed{Name: destination, Kind: events.FindingFeed}
}

// destinationParts tells of destinations that are not well. They do not make the
// daemon unready: studies are read, and what goes out waits.
func (d *Daemon) destinationParts() []Part {
	couriers := d.couriers.Load()
	if couriers == nil {
		return nil
	}
	var parts []Part
	for _, name := range slices.Sorted(maps.Keys(*couriers)) {
		part := Part{Name: "destination " + name, OK: true, Detail: "takes what it is given"}
		if since, cause := (*couriers)[name].Outage(); cause != nil {
			part.Detail = fmt.Sprintf("not well for %s, findings wait for it: %v", time.Since(since).Round(time.Second), cause)
		}
		parts = append(parts, part)
	}
	return parts
}

// audited notes in the log book what went out, and what was not taken. An outage
// is noted when it is over, by what then goes out.
type audited struct {
	pacs.Destination
	book *book
	name string
	to   config.Destination
}

// Deliver delivers and notes.
func (a audited) Deliver(ctx context.Context, parcel pacs.Parcel) error {
	err := a.Destination.Deliver(ctx, parcel)
	var postponed *pacs.Postponed
	if errors.Is(err, pacs.ErrNothing) || errors.Is(err, neurotriage.ErrSurroundings) || errors.As(err, &postponed) || ctx.Err() != nil {
		return err
	}
	e := audit.Event{
		Kind: audit.Export, Failed: err != nil, Peer: cmp.Or(a.to.AETitle, a.name), Address: cmp.Or(a.to.Address, a.to.URL),
		Studies: []audit.Study{{UID: parcel.Finding.StudyInstanceUID, PatientID: parcel.Study.Patient.ID}},
	}
	if a.to.Kind == "cstore" || a.to.Kind == "stow" {
		e.Kind = audit.Sent
	}
	if err != nil {
		e.Detail = err.Error()
	}
	a.book.note(e)
	return err
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
	case "hl7", "fhir", "ups", "orthanc":
		return d.annotation(name, c)
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
	var err error
	if cert != "" {
		if secure.Certificates, err = keyPair(cert, key); err != nil {
			return nil, err
		}
	}
	if ca != "" {
		if secure.RootCAs, err = authorities(ca, "the other side"); err != nil {
			return nil, err
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
