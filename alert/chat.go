package alert

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// Chat sends messages to a chat or push service in the words of shoutrrr, such
// as slack://, teams://, mattermost://, matrix://, telegram:// or ntfy://. The
// address holds the service's secret.
type Chat struct {
	service string
	router  *router.ServiceRouter
	secrets []string
}

// Services that are not for people's eyes: the library's log, and mail, which has
// a kind of its own with rules about TLS.
var otherServices = []string{"logger", "smtp"}

// NewChat makes a sender and connects to nothing. Its errors do not hold the
// address.
func NewChat(address string) (*Chat, error) {
	address = strings.TrimSpace(address)
	service, _, _ := strings.Cut(address, "://")
	c := &Chat{service: service, secrets: addressSecrets(address)}
	if slices.Contains(otherServices, service) {
		return nil, fmt.Errorf("%s is no chat service; for mail use kind mail", service)
	}
	sender, err := shoutrrr.CreateSender(address) // without its log, which would hold messages
	if err != nil {
		return nil, fmt.Errorf("the address of a chat service is one of shoutrrr's, such as slack://hook:TOKEN@webhook or teams://…: %w", c.scrub(err))
	}
	sender.Timeout = sendTimeout
	c.router = sender
	return c, nil
}

// Send posts the message. The library knows no context; an attempt that hangs
// ends by itself after a minute.
func (c *Chat) Send(ctx context.Context, message Message) error {
	title := types.Params{"title": message.Subject()}
	answers := c.router.SendAsync(message.Subject()+"\n\n"+message.Text(), &title)
	for {
		select {
		case err, more := <-answers:
			if !more {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.service, c.scrub(err))
			}
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", c.service, context.Cause(ctx))
		}
	}
}

// Check can do no more than NewChat has done: what a service accepts is only
// known when something is posted.
func (c *Chat) Check(context.Context) error { return nil }

// scrub takes everything of the address out of an error: it is a secret, and
// services put it into the URLs that their errors quote.
func (c *Chat) scrub(err error) error {
	text := err.Error()
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return errors.New(text)
}

// addressSecrets are the parts of an address, the longest first.
func addressSecrets(address string) []string {
	_, rest, _ := strings.Cut(address, "://")
	parts := []string{address, rest}
	if decoded, err := url.PathUnescape(rest); err == nil {
		rest += " " + decoded
	}
	parts = append(parts, strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("/:@?&=, ", r) })...)
	parts = slices.DeleteFunc(parts, func(part string) bool { return len(part) < 6 })
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
	return parts
}
