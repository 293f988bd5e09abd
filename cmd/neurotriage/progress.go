package main

import (
	"context"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress is a bar on a terminal and nothing in a pipe: a nil progress is
// valid and silent.
type progress struct {
	container *mpb.Progress
	bar       *mpb.Bar
}

// refreshEvery is how often a bar is drawn.
const refreshEvery = 100 * time.Millisecond

// progress starts a bar of total steps, or a count without an end when total
// is 0; without a unit it only turns. The caller ends it with done.
func (a *app) progress(ctx context.Context, name, unit string, total int) *progress {
	if !a.errIsTerm {
		return nil
	}
	container := mpb.NewWithContext(ctx, mpb.WithOutput(a.err), mpb.WithWidth(48), mpb.WithRefreshRate(refreshEvery), mpb.WithAutoRefresh())
	label := mpb.PrependDecorators(decor.Name(name + " "))
	if total <= 0 {
		count := mpb.AppendDecorators()
		if unit != "" {
			count = mpb.AppendDecorators(decor.CurrentNoUnit("%d " + unit))
		}
		spinner := container.AddSpinner(0, label, count, mpb.BarRemoveOnComplete())
		return &progress{container: container, bar: spinner}
	}
	bar := container.New(int64(total), mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "), label,
		mpb.AppendDecorators(decor.CountersNoUnit("%d/%d "+unit), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), "")),
		mpb.BarRemoveOnComplete())
	return &progress{container: container, bar: bar}
}

// bytes starts a bar that counts bytes; total may be 0 for unknown.
func (a *app) bytes(ctx context.Context, name string) *progress {
	if !a.errIsTerm {
		return nil
	}
	container := mpb.NewWithContext(ctx, mpb.WithOutput(a.err), mpb.WithRefreshRate(refreshEvery), mpb.WithAutoRefresh())
	bar := container.AddSpinner(0, mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.CurrentKibiByte("% .1f"), decor.AverageSpeed(decor.SizeB1024(0), "  % .1f")), mpb.BarRemoveOnComplete())
	return &progress{container: container, bar: bar}
}

// step counts one; it may be called from several goroutines.
func (p *progress) step() {
	if p != nil {
		p.bar.Increment()
	}
}

// reader counts the bytes that go through.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return &countingReader{r: r, bar: p.bar}
}

type countingReader struct {
	r   io.Reader
	bar *mpb.Bar
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.bar.IncrBy(n)
	return n, err
}

// done removes the bar, whether or not it was full, and waits until the
// terminal is free.
func (p *progress) done() {
	if p != nil {
		p.bar.Abort(true) // twice does no harm
		p.container.Wait()
	}
}
