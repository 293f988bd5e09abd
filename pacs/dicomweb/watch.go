package dicomweb

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watch ends a transfer of which no byte moves for a while. A large one may
// take as long as it needs.
type watch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func newWatch(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit+answerTime, func() { cancel(fmt.Errorf("nothing moved for %s", limit)) })
	return ctx, w
}

func (w *watch) moving() { w.timer.Reset(w.limit) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// sent is the body of a request: between two reads its bytes go out. At its end
// the archive may think for a while.
type sent struct {
	io.ReadCloser
	watch *watch
}

func (s *sent) Read(p []byte) (int, error) {
	s.watch.moving()
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		s.watch.timer.Reset(s.watch.limit + answerTime)
	}
	return n, err
}

// received is the body of an answer: its bytes come in during a read, and
// between two reads its receiver may take his time.
type received struct {
	io.ReadCloser
	watch *watch
	ctx   context.Context //nolint:containedctx // tells why a read failed
}

func (r *received) Read(p []byte) (int, error) {
	r.watch.moving()
	n, err := r.ReadCloser.Read(p)
	r.watch.timer.Stop()
	if cause := context.Cause(r.ctx); err != nil && err != io.EOF && cause != nil { //nolint:errorlint // the reader's own end, not one inside
		err = cause
	}
	return n, err
}

func (r *received) Close() error {
	defer r.watch.stop()
	return r.ReadCloser.Close()
}
