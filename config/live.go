package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Live is the configuration in force while the daemon runs. The live keys
// (log.level, model.thresholds.glioma_review and model.accept_lower_recall)
// follow the file; all else keeps the value that the daemon started with.
type Live struct {
	options LiveOptions

	reloading sync.Mutex // held through a reload, its Apply included
	running   atomic.Pointer[Config]
}

// LiveOptions is what NewLive needs.
type LiveOptions struct {
	Load    Options      // as given to Load at the start
	Started Config       // what Load returned then
	Logger  *slog.Logger // takes the audit lines
	// Apply puts the new values in force: the log level, the threshold (see
	// Model.Threshold). It is called before a reload returns, never twice at once,
	// and only when a live key has changed. An error refuses the new file, so Apply
	// must not have changed anything then. Nil: nothing to do.
	Apply func(Config) error
}

// Change is what a reload did.
type Change struct {
	Applied     []KeyChange // live keys that have new values, in the order of the file
	NeedRestart []string    // keys that differ from the running ones and wait for a restart
}

// KeyChange is one setting's change, in the words of the file.
type KeyChange struct {
	Key, Old, New string
	Origin        string // of the new value
}

// NewLive begins with the configuration that the daemon started with.
func NewLive(options LiveOptions) *Live {
	live := &Live{options: options}
	live.running.Store(&options.Started)
	return live
}

// Config is what is in force now.
func (l *Live) Config() Config { return *l.running.Load() }

// Reload reads the configuration again, as SIGHUP asks. All or nothing: when
// anything in it is wrong, the error (a *FaultError) says what, the log too, and
// the running configuration stays. Every applied key makes one audit line.
func (l *Live) Reload() (Change, error) {
	l.reloading.Lock()
	defer l.reloading.Unlock()
	change, err := l.reload()
	if err != nil {
		err = fmt.Errorf("reload: %w; the running configuration stays", err)
		l.options.Logger.Error("configuration not reloaded", "error", err)
		return Change{}, err
	}
	l.report(change)
	return change, nil
}

func (l *Live) reload() (Change, error) {
	next, err := Load(l.options.Load)
	if err != nil {
		return Change{}, err
	}
	change, merged := merge(l.Config(), next)
	if len(change.Applied) > 0 && l.options.Apply != nil {
		if err := l.options.Apply(merged); err != nil {
			return Change{}, err
		}
	}
	l.running.Store(&merged)
	return change, nil
}

// merge takes the live keys of next into the running configuration.
func merge(running, next Config) (Change, Config) {
	var change Change
	merged := running
	merged.origins = make(map[string]string, len(running.origins))
	for _, k := range running.keys() {
		if k.name != "" && !k.inside(&next) {
			merged.origins[k.path] = running.Origin(k.path)
			continue // the table's own key tells that the entry is gone
		}
		before, after := k.texts(&running), k.texts(&next)
		origin := running.Origin(k.path)
		switch {
		case slices.Equal(before, after): // perhaps moved within the file, which is no change
		case k.live:
			k.get(&merged).Set(k.get(&next))
			origin = next.Origin(k.path)
			change.Applied = append(change.Applied, KeyChange{
				Key: k.path, Old: k.mask(strings.Join(before, ", ")), New: k.mask(strings.Join(after, ", ")), Origin: origin,
			})
		default:
			change.NeedRestart = append(change.NeedRestart, k.path)
		}
		merged.origins[k.path] = origin
	}
	return change, merged
}

func (l *Live) report(change Change) {
	for _, applied := range change.Applied {
		// At warn, so that no log level in daily use leaves the audit lines out.
		l.options.Logger.Warn("configuration changed", "audit", true, "key", applied.Key,
			"old", shown(applied.Key, applied.Old), "new", shown(applied.Key, applied.New), "by", applied.Origin)
	}
	if len(change.NeedRestart) > 0 {
		l.options.Logger.Warn("configuration change needs a restart", "keys", change.NeedRestart)
	}
}

// shown names an empty threshold for a reader of the log.
func shown(path, value string) string {
	if value == "" && path == "model.thresholds.glioma_review" {
		return "the model card's"
	}
	return value
}
