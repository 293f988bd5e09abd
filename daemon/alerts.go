package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"neurotriage"
	"neurotriage/alert"
	"neurotriage/config"
	"neurotriage/events"
)

// alertHands handle alerts of one destination side by side: what was held back
// goes out together as far as they hold it.
const alertHands = 8

// openAlerts starts a bell for each destination of alerts.
func (d *Daemon) openAlerts(ctx context.Context) error {
	metrics, err := alert.NewMetrics(d.deps.Registry)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Alert.Destinations)) {
		bell, err := d.bell(name, metrics)
		if err != nil {
			return fmt.Errorf("alert destination %q: %w", name, err)
		}
		feed := events.Feed{Name: name, Kind: events.AlertFeed}
		if err := d.bus.PrepareFeed(ctx, feed); err != nil {
			return fmt.Errorf("alert destination %q: %w", name, err)
		}
		d.background("the alerts to "+name, func(ctx context.Context) { d.ring(ctx, feed, bell) })
	}
	return nil
}

func (d *Daemon) bell(name string, metrics *alert.Metrics) (*alert.Bell, error) {
	c := d.cfg.Alert.Destinations[name]
	sender, err := AlertSender(name, c)
	if err != nil {
		return nil, err
	}
	quiet, err := alert.ParseWindows(c.QuietHours, d.cfg.Alert.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("quiet_hours: %w", err)
	}
	return alert.New(alert.Options{
		Name: name, Sender: sender, Ledger: &ledger{bus: d.bus, post: newPost(d.bus, d.cfg)}, Kinds: kindsOf(c.Alerts),
		After: c.After, Repeat: c.Repeat, Quiet: quiet, QuietBreak: kindsOf(c.QuietBreaks), Burst: c.Burst, Interval: c.Interval,
		Patient: d.cfg.Alert.Patient, Link: d.cfg.Alert.Link, Logger: d.deps.Logger.With("component", "alert"), Metrics: metrics,
	}), nil
}

func kindsOf(texts []string) []alert.Kind {
	kinds := make([]alert.Kind, len(texts))
	for i, text := range texts {
		kinds[i] = alert.Kind(text)
	}
	return kinds
}

// AlertSender makes what brings alerts to a destination, for the daemon and for
// an administrator's trial of it. It connects to nothing.
func AlertSender(name string, c config.AlertDestination) (alert.Sender, error) {
	secrets, err := c.Secrets(name)
	if err != nil {
		return nil, err
	}
	secure, err := clientTLS(c.TLS.CA, c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return nil, err
	}
	switch c.Kind {
	case "webhook":
		return alert.NewWebhook(alert.WebhookOptions{URL: secrets.URL, Secret: secrets.Secret, Token: secrets.Token, TLS: secure})
	case "mail":
		return alert.NewMail(alert.MailOptions{
			Address: c.Address, Security: alert.MailSecurity(c.Security), User: c.User, Password: secrets.Password,
			From: c.From, To: c.To, TLS: secure,
		})
	case "chat":
		return alert.NewChat(secrets.URL)
	}
	return nil, fmt.Errorf("kind %q is unknown", c.Kind)
}

// ring hands the feed's alerts to the bell until ctx ends.
func (d *Daemon) ring(ctx context.Context, feed events.Feed, bell *alert.Bell) {
	var hands sync.WaitGroup
	for range alertHands {
		hands.Go(func() {
			_ = d.bus.Follow(ctx, feed, func(ctx context.Context, notice events.Notice) error { // ends with ctx
				err := bell.Handle(ctx, alertOf(notice), notice.Attempt > 1)
				if again, ok := errors.AsType[*alert.Again](err); ok {
					return events.Later(again.After)
				}
				return err
			})
		})
	}
	hands.Wait()
}

// alertOf translates an event into the words of the room alert.
func alertOf(notice events.Notice) alert.Alert {
	a := notice.Alert
	return alert.Alert{
		Kind: alert.Kind(a.Kind), StudyInstanceUID: a.StudyInstanceUID, FindingID: a.FindingID, Text: a.Text, Raised: notice.Time,
		Priority: a.Priority, Disposition: a.Disposition, Flagged: a.Flagged, Probability: a.Probability, Threshold: a.Threshold,
		Replaces: a.Replaces, EventID: a.EventID, AccessionNumber: a.AccessionNumber,
	}
}

// ledger answers a bell's questions from the worklist.
type ledger struct {
	bus  *events.Bus
	post *post
}

// Standing looks at the study's entry. A newer finding has alerts of its own, so
// the former one's escalation is over with it.
func (l *ledger) Standing(ctx context.Context, a alert.Alert) (alert.Standing, error) {
	entry, _, err := l.bus.Entry(ctx, a.StudyInstanceUID)
	if err != nil {
		return alert.Standing{}, err
	}
	about := func(judged *events.Assessed) bool {
		return judged != nil && a.FindingID != "" && judged.FindingID == a.FindingID
	}
	return alert.Standing{
		Acknowledged: about(entry.Acknowledged) || about(entry.Assessed),
		Over:         entry.Finding != nil && overtaken(*entry.Finding, a),
	}, nil
}

func overtaken(f events.FindingSummary, a alert.Alert) bool {
	later := f.Finished.After(a.Raised)
	if a.FindingID == "" {
		return f.Announcement.EventID == a.EventID || later
	}
	return f.ID != a.FindingID && later
}

// Patient reads the headers that lie beside the finding.
func (l *ledger) Patient(ctx context.Context, a alert.Alert) (neurotriage.Patient, error) {
	if a.FindingID == "" {
		return neurotriage.Patient{}, nil // the study has not been opened
	}
	study, err := l.post.study(ctx, neurotriage.Finding{ID: a.FindingID, StudyInstanceUID: a.StudyInstanceUID})
	return study.Patient, err
}
