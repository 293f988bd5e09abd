package onnx

import (
	"fmt"
	"log/slog"
	"strings"
)

// Report says what a runner works on, and why on nothing else: for the log,
// doctor, health and whoever asks why it is slow.
type Report struct {
	Library  string    `json:"library"` // path
	Version  string    `json:"version"` // of ONNX Runtime
	Provider Provider  `json:"provider"`
	Workers  int       `json:"workers"`
	Attempts []Attempt `json:"attempts"` // in the order tried
	Lost     []Attempt `json:"lost"`     // providers that worked and then did not; not null
}

// Attempt is one provider that was tried, or lost.
type Attempt struct {
	Provider    Provider `json:"provider"`
	Accepted    bool     `json:"accepted"`
	Reason      string   `json:"reason,omitempty"`       // why it was refused or lost
	SliceMillis float64  `json:"slice_millis,omitempty"` // warm, per slice and machine: lower is faster; 0 when not measured
}

// Degraded says in words that a provider was lost in the middle of the work, or
// is empty. Restarting the daemon tries the provider again.
func (r Report) Degraded() string {
	var parts []string
	for _, lost := range r.Lost {
		parts = append(parts, fmt.Sprintf("%s was lost and %s took over: %s", lost.Provider, r.Provider, lost.Reason))
	}
	return strings.Join(parts, "; ")
}

// LogValue gives the report to the log in one group.
func (r Report) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("provider", string(r.Provider)), slog.String("onnxruntime", r.Version),
		slog.String("library", r.Library), slog.Int("workers", r.Workers),
	}
	for _, a := range r.Attempts {
		text := a.Reason
		if a.Accepted {
			text = fmt.Sprintf("%.2f ms a slice", a.SliceMillis)
		}
		attrs = append(attrs, slog.String("tried_"+string(a.Provider), text))
	}
	return slog.GroupValue(attrs...)
}

// plainly cuts the place in the runtime's own source out of its words, and keeps
// what an operator can use.
func plainly(err error) string {
	text := err.Error()
	for _, mark := range []string{" was false. ", "with error: ", "[ONNXRuntimeError] : "} {
		if i := strings.LastIndex(text, mark); i >= 0 {
			return text[i+len(mark):]
		}
	}
	return text
}
