package daemon

import (
	"log/slog"
	"sync/atomic"

	"neurotriage"
	"neurotriage/config"
)

// settings are what a study is read with; each study takes them once, so that a
// change in the middle cannot mix two.
type settings struct {
	Thresholds neurotriage.Thresholds
	Warnings   []string // stand in every finding
}

// live holds the settings that may change while the daemon runs. config.Live
// reads and checks them, and writes the audit lines of changes.
type live struct {
	card    float64 // glioma review threshold of the model card
	log     *slog.Logger
	level   *slog.LevelVar // nil: the level is not ours to set
	meter   *meter
	current atomic.Pointer[settings]
}

func (l *live) settings() settings { return *l.current.Load() }

// start puts the configuration in force that the daemon starts with. A
// threshold above the card's is an error unless lower recall is accepted.
func (l *live) start(cfg config.Config) error {
	if err := l.set(cfg); err != nil {
		return err
	}
	for _, warning := range l.settings().Warnings {
		l.log.Warn("lower recall is accepted", "audit", true, "warning", warning,
			"set_by", cfg.Origin("model.thresholds.glioma_review"), "accepted_by", cfg.Origin("model.accept_lower_recall"))
	}
	return nil
}

// set puts a configuration in force, or changes nothing and says what is wrong.
func (l *live) set(cfg config.Config) error {
	threshold, warnings, err := cfg.Model.Threshold(l.card)
	if err != nil {
		return err
	}
	l.current.Store(&settings{Thresholds: neurotriage.Thresholds{GliomaReview: threshold}, Warnings: warnings})
	l.meter.threshold.Set(threshold)
	var level slog.Level
	if l.level != nil && level.UnmarshalText([]byte(cfg.Log.Level)) == nil { // config allows slog's own names only
		l.level.Set(level)
	}
	return nil
}
