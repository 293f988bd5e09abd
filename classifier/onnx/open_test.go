package onnx

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neurotriage/classifier/onnx/library"
)

func TestOpenTellsWhatIsWrong(t *testing.T) {
	needLibrary(t)
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"not a model":        {Options{Model: []byte("hello")}, "reading the ONNX file"},
		"no card":            {Options{Model: read(t, "testdata/tiny.onnx")}, `"neurotriage.card" is missing`},
		"unknown provider":   {Options{Model: tiny(t, nil), Providers: []string{"cpu", "tpu"}}, `providers[1]: "tpu" is not one of`},
		"provider twice":     {Options{Model: tiny(t, nil), Providers: []string{"cpu", "cpu"}}, "each once"},
		"library missing":    {Options{Model: tiny(t, nil), Library: "/nowhere/libonnxruntime.so"}, "/nowhere/libonnxruntime.so"},
		"library is no such": {Options{Model: tiny(t, nil), Library: "testdata/tiny.onnx"}, "loading ONNX Runtime from"},
		"wrong golden": {Options{Model: tiny(t, func(_, golden map[string]any) {
			golden["logits"].([]any)[2].([]any)[1] = 0.123
		})}, "golden input 2: logit of meningioma"},
		"wrong golden domain score": {Options{Model: tiny(t, func(_, golden map[string]any) {
			golden["ood"].([]any)[0] = 9.0
		})}, "golden input 0: domain score"},
	} {
		t.Run(name, func(t *testing.T) {
			runner, _, err := Open(test.options)
			if err == nil {
				runner.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not say %q", err, test.want)
			}
		})
	}
	if environment.users != 0 {
		t.Errorf("%d users hold the environment after failures", environment.users)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCPURunsAndReports(t *testing.T) {
	runner := openTiny(t, Options{Workers: 3})
	report, info := runner.Report(), runner.Info()
	if report.Provider != CPU || report.Workers != 3 || report.Version != library.Version || report.Degraded() != "" {
		t.Errorf("report %+v", report)
	}
	if len(report.Attempts) != 3 || report.Attempts[0].Reason == "" || !report.Attempts[2].Accepted {
		t.Errorf("attempts %+v", report.Attempts)
	}
	if info.Runtime != "cpu" || info.Workers != 3 || info.Gather {
		t.Errorf("info %+v", info)
	}
	p := unpack(t, tiny(t, nil))
	tensors := p.Golden.Tensors(p.Model.Input.Size)
	out, err := runner.Run(t.Context(), tensors, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range p.Golden.Logits {
		for j, want := range row {
			if got := out.Logits[i*4+j]; math.Abs(float64(got)-want) > 1e-4 {
				t.Errorf("logit %d of input %d is %v, want %v", j, i, got, want)
			}
		}
	}
	if len(out.CAMs) != 4*4*8*8 || out.MapRows != 8 || out.MapColumns != 8 || len(out.OOD) != 4 {
		t.Errorf("%d map values of %d×%d, %d domain scores", len(out.CAMs), out.MapRows, out.MapColumns, len(out.OOD))
	}
}

func TestRunRefusesWhatItCannotDo(t *testing.T) {
	runner := openTiny(t, Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	whole := make([]float32, 32*32)
	for name, test := range map[string]struct {
		ctx     context.Context
		tensors []float32
		n       int
	}{
		"no tensor":      {t.Context(), whole, 0},
		"short tensor":   {t.Context(), whole[1:], 1},
		"second missing": {t.Context(), whole, 2},
		"ended context":  {ended, whole, 1},
	} {
		if _, err := runner.Run(test.ctx, test.tensors, test.n); err == nil {
			t.Errorf("%s: ran", name)
		}
	}
}

func TestTwoRunnersInOneProcess(t *testing.T) {
	first := openTiny(t, Options{})
	second := openTiny(t, Options{})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := first.Run(t.Context(), make([]float32, 32*32), 1); err == nil {
		t.Error("a closed runner ran")
	}
	if _, err := second.Run(t.Context(), make([]float32, 32*32), 1); err != nil {
		t.Errorf("the other one stopped too: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openTiny(t, Options{}).Run(t.Context(), make([]float32, 32*32), 1); err != nil {
		t.Errorf("after all were closed: %v", err)
	}
}

func TestAnotherLibraryInOneProcessIsRefused(t *testing.T) {
	openTiny(t, Options{})
	path, err := library.Find("")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(other, read(t, path), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Options{Model: tiny(t, nil), Library: other}); err == nil || !strings.Contains(err.Error(), "allows one") {
		t.Errorf("err = %v", err)
	}
}
