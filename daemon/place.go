package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"neurotriage"
)

// glanceTime is how long a root may take to show its first entry. A share whose
// server died does not fail, it hangs, and nothing can end that but the server.
const glanceTime = 5 * time.Second

// place is a configured root.
type place struct {
	name, folder string

	mu    sync.Mutex
	going *glance // nil when nobody looks
}

// glance is one look into a root.
type glance struct {
	done chan struct{}
	err  error
}

func placesOf(roots map[string]string) []*place {
	places := make([]*place, 0, len(roots))
	for name, folder := range roots {
		places = append(places, &place{name: name, folder: folder})
	}
	slices.SortFunc(places, func(a, b *place) int { return strings.Compare(a.name, b.name) })
	return places
}

func names(places []*place) []string {
	list := make([]string, len(places))
	for i, p := range places {
		list[i] = p.name
	}
	return list
}

// check reports why studies cannot be read from the root now. It returns within
// glanceTime, and however often it is asked, at most one look hangs.
func (p *place) check() error {
	timer := time.NewTimer(glanceTime)
	defer timer.Stop()
	for {
		look, own := p.glance()
		select {
		case <-look.done:
			if own { // another one's look may have begun before what made us ask
				return look.err
			}
		case <-timer.C:
			return fmt.Errorf("root %q (%s) has not answered for %s, as a share whose server is gone", p.name, p.folder, glanceTime)
		}
	}
}

// glance begins a look, unless one is going on.
func (p *place) glance() (look *glance, own bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.going != nil {
		return p.going, false
	}
	look = &glance{done: make(chan struct{})}
	p.going = look
	go func() {
		look.err = p.look()
		p.mu.Lock()
		p.going = nil
		p.mu.Unlock()
		close(look.done)
	}()
	return look, true
}

// look reads the first entry. An empty root is what an unmounted share is.
func (p *place) look() error {
	folder, err := os.Open(p.folder)
	if err != nil {
		return fmt.Errorf("opening root %q: %w", p.name, err)
	}
	defer folder.Close()
	_, err = folder.ReadDir(1)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("root %q (%s): %w", p.name, p.folder, errEmptyRoot)
	}
	if err != nil {
		return fmt.Errorf("listing root %q: %w", p.name, err)
	}
	return nil
}

var errEmptyRoot = errors.New("the folder is empty, as an unmounted share is")

// fault is an error of the surroundings that is over when the root can be read.
func (p *place) fault(err error) error { return &fault{err: err, over: p.check} }

// judge holds an error against the study only while its root is well: a share
// that goes away in the middle looks like missing and broken files.
func (p *place) judge(err error) error {
	if r := refusal(err); errors.Is(err, context.Canceled) || r != nil && r.Reason == neurotriage.PathNotAllowed {
		return err
	}
	if gone := p.check(); gone != nil {
		// Only the text of err: whoever looked for its refusal would find one.
		return p.fault(fmt.Errorf("%w (met as: %v)", gone, err)) //nolint:errorlint // see above
	}
	if errors.Is(err, neurotriage.ErrSurroundings) || errors.Is(err, fs.ErrPermission) && refusal(err) == nil {
		return p.fault(err)
	}
	return err
}
