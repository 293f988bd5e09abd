package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/onnx"
	"neurotriage/daemon"
)

// checkDoctor runs the doctor and gives its report.
func checkDoctor(t *testing.T, b *bench, code int, args ...string) checkup {
	t.Helper()
	got := b.run(append([]string{"doctor", "--json", "--set", "pacs.receive.listen=127.0.0.1:0", "--set", "pacs.receive.min_free=0", "--set", "http.listen=127.0.0.1:0", "--set", "nats.embedded.listen=127.0.0.1:0"}, args...)...)
	report := decode[checkup](t, got.want(t, code).out)
	if report.OK != (code == exitDone) {
		t.Errorf("ok is %t with exit code %d", report.OK, code)
	}
	for _, d := range report.Checks {
		if d.Name == "" || d.Detail == "" || d.Level != fine && d.Cure == "" {
			t.Errorf("a line that does not say what is wrong and what to do: %+v", d)
		}
	}
	return report
}

// anyFile stands for a library that is there; the fake network does not load it.
func anyFile(t *testing.T) []string {
	return []string{"--set", "onnxruntime.library=" + write(t, t.TempDir(), "libonnxruntime.so", []byte("x"))}
}

func TestDoctorOnAHealthyMachine(t *testing.T) {
	report := checkDoctor(t, newBench(t), exitDone, anyFile(t)...)
	for name, level := range map[string]level{"configuration": fine, "library": fine, "model": fine, "runtime": fine, "nats": amiss, "storage": fine, "received images": fine} {
		if d := find(t, report, name); d.Level != level {
			t.Errorf("%+v, want %s", d, level)
		}
	}
}

func TestDoctorFindsFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notWritable := write(t, t.TempDir(), "file", nil)
	lost := func(context.Context, daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
		return nil, neurotriage.Model{}, errors.New("golden scores are off")
	}
	cases := []struct {
		name  string
		open  daemon.OpenRunner
		args  []string
		line  string
		level level
		want  string // in detail or cure
	}{
		{"no library", nil, []string{"--set", "onnxruntime.library=/no/lib.so"}, "library", broken, "make run"},
		{"runtime without library", nil, []string{"--set", "onnxruntime.library=/no/lib.so"}, "runtime", broken, "not tried"},
		{"a network that does not run", lost, anyFile(t), "runtime", broken, "golden scores are off"},
		{"a model that is none", nil, append(anyFile(t), "--set", "model.file="+write(t, t.TempDir(), "m.onnx", []byte("no"))), "model", broken, "model verify"},
		{"a threshold above the card's", nil, append(anyFile(t), "--set", "model.thresholds.glioma_review=1"), "configuration", broken, "accept_lower_recall"},
		{"nats that is not there", nil, append(anyFile(t), "--nats", "nats://127.0.0.1:1"), "nats", broken, "start the NATS server"},
		{"a taken port", nil, append(anyFile(t), "--set", "http.listen="+taken.Addr().String()), "ports", broken, "stop what listens there"},
		{"the receiver's port is taken", nil, append(anyFile(t), "--set", "pacs.receive.listen="+taken.Addr().String()), "ports", broken, "pacs.receive.listen"},
		{"no room for images", nil, append(anyFile(t), "--set", "pacs.receive.min_free=1000TB"), "received images", broken, "pacs.receive.min_free"},
		{"a folder of images that cannot be", nil, append(anyFile(t), "--set", "pacs.receive.dir="+notWritable+"/received"), "received images", broken, "pacs.receive.dir"},
		{"a root that is missing", nil, append(anyFile(t), "--set", "roots=pacs=/no/such/share"), "root pacs", broken, "mount the share"},
		{"an empty root", nil, append(anyFile(t), "--set", "roots=pacs="+t.TempDir()), "root pacs", amiss, "unmounted"},
		{"a state directory below a file", nil, append(anyFile(t), "--set", "state_dir="+notWritable+"/state"), "storage", broken, "state_dir"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.open != nil {
				b.open = c.open
			}
			code := exitDone
			if c.level == broken {
				code = exitFailed
			}
			d := find(t, checkDoctor(t, b, code, c.args...), c.line)
			if d.Level != c.level || !strings.Contains(d.Detail+" "+d.Cure, c.want) {
				t.Errorf("%+v, want %s with %q", d, c.level, c.want)
			}
		})
	}
}

func TestDoctorForAPerson(t *testing.T) {
	got := newBench(t).run("doctor", "--set", "onnxruntime.library=/no/lib.so").want(t, exitFailed)
	for _, want := range []string{"FAIL library", "do: ", "OK   model"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q lacks %q", got.out, want)
		}
	}
}

func TestProvidersInWords(t *testing.T) {
	report := onnx.Report{Version: "1.27.0", Provider: onnx.CPU, Workers: 2, Attempts: []onnx.Attempt{
		{Provider: onnx.CUDA, Reason: "no NVIDIA device: neither …"},
		{Provider: onnx.WebGPU, Reason: "probabilities differ by 0.2"},
		{Provider: onnx.CPU, Accepted: true, SliceMillis: 2.5},
	}}
	want := map[string]level{"runtime": fine, "cuda": fine, "webgpu": amiss, "cpu": fine}
	for _, d := range examineProviders(report) {
		if d.Level != want[d.Name] || d.Detail == "" || d.Level == amiss && d.Cure == "" {
			t.Errorf("%+v, want %s", d, want[d.Name])
		}
	}
}

// TestDoctorLooksAtDestinations asks each kind's receiver, or finds nobody there.
func TestDoctorLooksAtDestinations(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("the doctor sends %s %s", r.Method, r.URL)
		}
		_, _ = io.WriteString(w, `{"Version": "1.12.4"}`)
	}))
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var file strings.Builder
	file.WriteString("pacs:\n  destinations:\n")
	for _, kind := range []string{"stow", "fhir", "ups", "orthanc"} {
		fmt.Fprintf(&file, "    %s-up: {kind: %s, url: %q}\n    %s-down: {kind: %s, url: 'http://127.0.0.1:1'}\n", kind, kind, server.URL, kind, kind)
	}
	fmt.Fprintf(&file, "    hl7-up: {kind: hl7, address: %q}\n    hl7-down: {kind: hl7, address: '127.0.0.1:1'}\n", listener.Addr())
	file.WriteString("    cstore-down: {kind: cstore, address: '127.0.0.1:1', ae_title: PACS}\n")
	path := write(t, t.TempDir(), "neurotriage.yaml", []byte(file.String()))
	report := checkDoctor(t, newBench(t), exitFailed, append(anyFile(t), "--config", path)...)
	looked := 0
	for _, d := range report.Checks {
		name, _, _ := strings.Cut(d.Detail, " ")
		if d.Name != "destinations" {
			continue
		}
		looked++
		if up := strings.HasSuffix(name, "-up"); (d.Level == fine) != up {
			t.Errorf("%s: %s %s", name, d.Level, d.Detail)
		}
	}
	if looked != 11 {
		t.Errorf("looked at %d destinations", looked)
	}
}
