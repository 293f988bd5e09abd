package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// table is the result as Markdown.
func (r result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# From files on disk to a finding\n\n%s, %d cores, study %s (%d slices), %s.\n\n",
		r.Machine, r.Cores, r.Study, r.Slices, r.When.Format("2006-01-02"))
	b.WriteString("| figure | measured | wanted | |\n|---|---:|---:|---|\n")
	for _, f := range r.Figures {
		bound, verdict := "≤", "reached"
		if f.Least {
			bound = "≥"
		}
		if !f.reached() {
			verdict = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %.2f%s | %s %g%s | %s |\n", f.Name, f.Value, f.Unit, bound, f.Limit, f.Unit, verdict)
	}
	b.WriteString("\n| time | seconds |\n|---|---:|\n")
	for _, name := range slices.Sorted(maps.Keys(r.Times)) {
		fmt.Fprintf(&b, "| %s | %.3f |\n", name, r.Times[name])
	}
	return b.String()
}

// processor names the processor as Linux does, or the architecture's silence.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
