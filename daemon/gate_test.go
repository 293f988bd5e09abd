package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// gateRig is a gate in a bubble of its own time, with a probe that fails until
// it is told otherwise.
type gateRig struct {
	*gate
	well   atomic.Bool
	probes atomic.Int32
	log    bytes.Buffer
	told   []bool
}

func inGateBubble(t *testing.T, body func(t *testing.T, g *gateRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rig := &gateRig{}
		rig.gate = newGate(slog.New(slog.NewTextHandler(&rig.log, nil)), func(context.Context) error {
			rig.probes.Add(1)
			if rig.well.Load() {
				return nil
			}
			return errors.New("still away")
		}, func(paused bool) { rig.told = append(rig.told, paused) })
		ctx, cancel := context.WithCancel(t.Context())
		go rig.run(ctx)
		synctest.Wait()
		body(t, rig)
		cancel()
		synctest.Wait()
	})
}

// passes reports whether a worker gets through at once.
func (g *gateRig) passes() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	return g.wait(ctx) == nil
}

func (g *gateRig) wantLines(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	if got := strings.Count(g.log.String(), "\n"); got != want {
		t.Errorf("%d log lines, want %d:\n%s", got, want, &g.log)
	}
}

func TestGatePausesUntilTheProbeIsWell(t *testing.T) {
	inGateBubble(t, func(t *testing.T, g *gateRig) {
		if !g.passes() {
			t.Fatal("a new gate is shut")
		}
		for range 3 { // three workers meet the same fault
			g.shut(errors.New("no such device"))
		}
		time.Sleep(time.Hour)
		if g.passes() {
			t.Fatal("work goes on while the probe fails")
		}
		if since, cause := g.paused(); cause == nil || time.Since(since) < time.Hour {
			t.Errorf("paused: %v since %s", cause, since)
		}
		g.wantLines(t, 1)
		if n := g.probes.Load(); n < int32(time.Hour/lastProbe)-5 || n > int32(time.Hour/lastProbe)+5 {
			t.Errorf("%d probes in an hour, want one every %s after a quick start", n, lastProbe)
		}
		g.well.Store(true)
		time.Sleep(lastProbe)
		if !g.passes() {
			t.Fatal("still shut after a good probe")
		}
		g.passed()
		g.wantLines(t, 2)
		if _, cause := g.paused(); cause != nil {
			t.Errorf("still paused for %v", cause)
		}
		if len(g.told) != 2 || !g.told[0] || g.told[1] {
			t.Errorf("told %v, want pause and end", g.told)
		}
	})
}

func TestGateLogsAnEpisodeOnceHoweverOftenTheTrialFails(t *testing.T) {
	inGateBubble(t, func(t *testing.T, g *gateRig) {
		g.well.Store(true) // the probe sees nothing wrong, the work does
		g.shut(errors.New("the gpu is lost"))
		var waits []time.Duration
		for range 6 {
			start := time.Now()
			if err := g.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			waits = append(waits, time.Since(start))
			g.shut(errors.New("the gpu is lost"))
		}
		g.wantLines(t, 1)
		for i := 1; i < len(waits); i++ {
			if waits[i] < waits[i-1] || waits[i] > lastProbe {
				t.Errorf("waits %v do not grow up to %s", waits, lastProbe)
			}
		}
		if err := g.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(trialTime + time.Second)
		g.wantLines(t, 2)
	})
}

func TestGateBeginsAnewAfterAnEpisode(t *testing.T) {
	inGateBubble(t, func(t *testing.T, g *gateRig) {
		for range 2 {
			g.well.Store(true)
			g.shut(errors.New("away"))
			start := time.Now()
			if err := g.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != firstProbe {
				t.Errorf("the first probe came after %s, want %s", took, firstProbe)
			}
			time.Sleep(2 * trialTime)
		}
		g.wantLines(t, 4)
	})
}

// A fault that can be asked itself keeps the gate shut although all else is well.
func TestGateAsksTheFault(t *testing.T) {
	inGateBubble(t, func(t *testing.T, g *gateRig) {
		g.well.Store(true)
		var back atomic.Bool
		g.shut(&fault{err: errors.New("root away"), over: func() error {
			if back.Load() {
				return nil
			}
			return errors.New("root still away")
		}})
		time.Sleep(time.Minute)
		if g.passes() {
			t.Fatal("work goes on while the root is away")
		}
		back.Store(true)
		time.Sleep(lastProbe)
		if !g.passes() {
			t.Fatal("shut although the root is back")
		}
	})
}

func TestGateLetsGoOnStop(t *testing.T) {
	inGateBubble(t, func(t *testing.T, g *gateRig) {
		g.shut(errors.New("away"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.wait(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("wait gives %v", err)
		}
	})
}
