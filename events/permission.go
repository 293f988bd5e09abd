package events

import (
	"errors"
	"fmt"
	"regexp"
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
	known []denial // each permission once, in the order of its first denial
	next  func()
}

type denial struct {
	err  *PermissionError
	last int // the total when it was denied last
}

// maxDenials bounds what is kept; a user with too few rights is denied the same few.
const maxDenials = 256

func newDenials() *denials { return &denials{} }

// add says whether this was not known before.
func (d *denials) add(denied *PermissionError) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total++
	if d.next != nil {
		d.next()
	}
	for i := range d.known {
		if *d.known[i].err == *denied {
			d.known[i].last = d.total
			return false
		}
	}
	if len(d.known) < maxDenials {
		d.known = append(d.known, denial{denied, d.total})
	}
	return true
}

func (d *denials) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total
}

// since is a denial after the count of a subject that holds part, as an error.
func (d *denials) since(count int, part string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.known {
		if one.last > count && strings.Contains(one.err.Subject, part) {
			return one.err
		}
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
	var list []PermissionError
	for _, one := range d.known {
		list = append(list, *one.err)
	}
	return list
}
