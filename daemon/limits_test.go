package daemon

import (
	"testing"

	"neurotriage/config"
	"neurotriage/dicomio"
)

// Every limit of the configuration reaches the reader, and its defaults are the
// reader's own.
func TestLimitsReachTheReader(t *testing.T) {
	if got, want := limits(config.Default().Limits), dicomio.DefaultLimits(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
