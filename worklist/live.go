package worklist

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// quiet merges changes that come in a burst, so that a thousand studies do
	// not make a thousand reloads.
	quiet = 300 * time.Millisecond
	// breath keeps proxies from closing a silent stream, and finds viewers that left.
	breath = 20 * time.Second
)

// serveEvents tells the page, as server-sent events, that the list changed.
func (b *Board) serveEvents(w http.ResponseWriter, r *http.Request) {
	if b.announcer == nil {
		b.fail(w, fmt.Errorf("live renewal: %w", ErrNotFound))
		return
	}
	controller := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer cancel() // an announcer that fails ends the stream; the page connects anew
		err := b.announcer.Announce(ctx, func() {
			select {
			case changed <- struct{}{}:
			default: // one is waiting already, and it stands for this one too
			}
		})
		if err != nil && ctx.Err() == nil {
			b.options.Logger.Warn("live renewal stopped", "error", err)
		}
	}()
	pulse := time.NewTicker(breath)
	defer pulse.Stop()
	for text := ": hello\n\n"; ; {
		if err := send(w, controller, text); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-pulse.C:
			text = ": breath\n\n"
		case <-changed:
			text = "event: change\ndata: \n\n"
			select {
			case <-ctx.Done():
				return
			case <-time.After(quiet):
			}
		}
	}
}

// send writes within a deadline of its own, since the server's would end the stream.
func send(w io.Writer, controller *http.ResponseController, text string) error {
	if err := controller.SetWriteDeadline(time.Now().Add(breath)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return controller.Flush()
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
