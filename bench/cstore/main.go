// Cstore measures how fast objects are received by C-STORE: by our server without
// and with syncing every object to disk, and by dcmtk's `storescp --fork`, all
// from one fast sender in the same run. Receivers are processes of their own.
//
//	go run ./bench/cstore -out bench/results
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	out, role, folder             string
	objects, associations, rounds int
	sync                          bool
}

// result is written as JSON. Rates are objects a second; memory is in MB (10^6
// bytes), the most that our receiver had resident.
type result struct {
	When         time.Time          `json:"when"`
	Machine      string             `json:"machine"`
	Cores        int                `json:"cores"`
	Objects      int                `json:"objects"`
	ObjectBytes  int                `json:"object_bytes"`
	Associations int                `json:"associations"`
	Rounds       int                `json:"rounds"`
	Rates        map[string]float64 `json:"rates"`
	Spread       map[string]string  `json:"spread"`
	Figures      []figure           `json:"figures"`
}

// figure is one ratio or size beside what it should reach.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Least bool    `json:"least"` // Limit is the least allowed, not the most
	Unit  string  `json:"unit,omitempty"`
}

func (f figure) reached() bool {
	if f.Least {
		return f.Value >= f.Limit
	}
	return f.Value <= f.Limit
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "bench/results", "folder for cstore.json and cstore.md")
	flag.IntVar(&o.objects, "objects", 1600, "objects a round")
	flag.IntVar(&o.associations, "associations", 16, "associations at once")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of which the median counts")
	flag.StringVar(&o.folder, "folder", "", "where receivers store, on the disk to be measured; empty: the temporary folder")
	flag.StringVar(&o.role, "role", "", "receive: be our receiver (used by the program itself)")
	flag.BoolVar(&o.sync, "sync", false, "with -role receive: sync each object before it is answered")
	flag.Parse()
	run := measure
	if o.role == "receive" {
		run = receive
	}
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "cstore:", err)
		os.Exit(1)
	}
}

// Receivers by the names that results give them.
const (
	ours       = "neurotriage"
	oursSynced = "neurotriage, each object synced"
	peer       = "storescp --fork"
)

// Senders by the names that results give them. Of storescp's answers, head and
// content are written apart without TCP_NODELAY: a kernel that acknowledges late
// keeps the content back for 40 ms. Our sender asks for early acknowledgement;
// most others do not.
const (
	lateSender  = "late acknowledgement"
	quickSender = "early acknowledgement"
)

// measure has each receiver take the same objects from each sender, in turns.
func measure(ctx context.Context, o options) error {
	folder, err := os.MkdirTemp(o.folder, "neurotriage-cstore-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	r := result{
		When: time.Now().UTC(), Machine: processor(), Cores: runtime.GOMAXPROCS(0), Objects: o.objects, ObjectBytes: len(newImage(0)),
		Associations: o.associations, Rounds: o.rounds, Rates: map[string]float64{}, Spread: map[string]string{},
	}
	rates, memory := map[string][]float64{}, 0.0
	for round := range o.rounds {
		for _, row := range rows() {
			place := filepath.Join(folder, "round")
			got, err := once(ctx, o, row.receiver, row.sender == quickSender, place)
			if err != nil {
				return fmt.Errorf("%s: %w", row, err)
			}
			if err := os.RemoveAll(place); err != nil {
				return err
			}
			rates[row.String()] = append(rates[row.String()], got.rate)
			memory = max(memory, got.memory)
			fmt.Fprintf(os.Stderr, "round %d: %-60s %6.0f objects/s\n", round+1, row, got.rate)
		}
	}
	for name, all := range rates {
		slices.Sort(all)
		r.Rates[name] = all[len(all)/2]
		r.Spread[name] = fmt.Sprintf("%.0f–%.0f", all[0], all[len(all)-1])
	}
	for _, sender := range []string{lateSender, quickSender} {
		rate := func(receiver string) float64 { return r.Rates[combination{receiver, sender}.String()] }
		r.Figures = append(r.Figures,
			figure{Name: "synced, as fast as " + peer + ", " + sender, Value: rate(oursSynced) / rate(peer), Limit: 1, Least: true},
			figure{Name: "not synced, as fast as " + peer + ", " + sender, Value: rate(ours) / rate(peer), Limit: 2, Least: true})
	}
	r.Figures = append(r.Figures, figure{Name: "memory of our receiver", Value: memory, Limit: 150, Unit: "MB"})
	return write(o.out, r)
}

// combination is a row of the table.
type combination struct{ receiver, sender string }

func (c combination) String() string { return c.receiver + "; " + c.sender }

func rows() []combination {
	var all []combination
	for _, sender := range []string{lateSender, quickSender} {
		for _, receiver := range []string{ours, oursSynced, peer} {
			all = append(all, combination{receiver, sender})
		}
	}
	return all
}

func write(folder string, r result) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	fmt.Print(r.table())
	if err := os.WriteFile(filepath.Join(folder, "cstore.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "cstore.md"), []byte(r.table()), 0o644)
}

// table is the result as Markdown.
func (r result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Reception by C-STORE\n\n%s, %d cores, %s. %d objects of %d bytes over %d associations from one sender on the same machine; "+
		"median of %d rounds; nothing lost.\n\n| receiver | sender | objects/s | range |\n|---|---|---:|---:|\n",
		r.Machine, r.Cores, r.When.Format("2006-01-02"), r.Objects, r.ObjectBytes, r.Associations, r.Rounds)
	for _, row := range rows() {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %s |\n", row.receiver, row.sender, r.Rates[row.String()], r.Spread[row.String()])
	}
	fmt.Fprint(&b, "\n| figure | value | limit | |\n|---|---:|---:|---|\n")
	for _, f := range r.Figures {
		sign, verdict := "≤", "missed"
		if f.Least {
			sign = "≥"
		}
		if f.reached() {
			verdict = "reached"
		}
		fmt.Fprintf(&b, "| %s | %.2f %s | %s %g %s | %s |\n", f.Name, f.Value, cmp.Or(f.Unit, "×"), sign, f.Limit, cmp.Or(f.Unit, "×"), verdict)
	}
	return b.String()
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return runtime.GOARCH
}
