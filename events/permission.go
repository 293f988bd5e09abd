package events

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// PermissionError names what the server denies to this user. docs/EVENTS.md
// lists what is needed.
type PermissionError struct {
	Operation string // publish or subscribe
	Subject   string
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("the nats user may not %s to %q: grant it (docs/EVENTS.md lists all permissions)", e.Operation, e.Subject)
}

var deniedPattern = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)"`)

// parseDenied reads the server's words, which are all that it tells.
func parseDenied(err error) *PermissionError {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	parts := deniedPattern.FindStringSubmatch(err.Error())
	if parts == nil {
		return &PermissionError{Operation: "publish or subscribe", Subject: err.Error()}
	}
	operation := "publish"
	if strings.EqualFold(parts[1], "subscription") {
		operation = "subscribe"
	}
	return &PermissionError{Operation: operation, Subject: parts[2]}
}

// denials keeps what the server denied. The server tells it beside the request,
// which then only times out, so the two are matched by time.
type denials struct {
	mu    sync.Mutex
	total int
	last  *PermissionError
	known []PermissionError // each once, in the order of its first denial
	next  func()
}

// maxDenials bounds what is kept; a user with too few rights is denied the same few.
const maxDenials = 256

func newDenials() *denials { return &denials{} }

// add says whether this was not known before.
func (d *denials) add(denied *PermissionError) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total++
	d.last = denied
	if d.next != nil {
		d.next()
	}
	if slices.Contains(d.known, *denied) || len(d.known) == maxDenials {
		return false
	}
	d.known = append(d.known, *denied)
	return true
}

func (d *denials) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total
}

// since is the last denial after the count, as an error.
func (d *denials) since(count int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total > count {
		return d.last
	}
	return nil
}

// onNext calls fn at each denial until the returned func is called.
func (d *denials) onNext(fn func()) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.next = nil
	}
}

func (d *denials) all() []PermissionError {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.known)
}
