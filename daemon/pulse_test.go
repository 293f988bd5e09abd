package daemon

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		steps := []struct {
			what  string
			do    func()
			alive bool
			idle  bool
		}{
			{"nobody has worked yet", func() { time.Sleep(24 * time.Hour) }, true, true},
			{"a worker took a study", func() { p.beat(0); time.Sleep(stallLimit - time.Second) }, true, false},
			{"it read a slice", func() { p.beat(0); time.Sleep(stallLimit - time.Second) }, true, false},
			{"it is silent", func() { time.Sleep(time.Second) }, false, false},
			{"another one being lively does not help", func() { p.beat(1) }, false, false},
			{"it lives after all", func() { p.beat(0) }, true, false},
			{"both wait for work for long", func() { p.rest(0); p.rest(1); time.Sleep(24 * time.Hour) }, true, true},
		}
		for _, s := range steps {
			s.do()
			if alive, silence := p.alive(); alive != s.alive || p.idle() != s.idle {
				t.Errorf("%s: alive %v after a silence of %s, idle %v", s.what, alive, silence, p.idle())
			}
		}
	})
}
