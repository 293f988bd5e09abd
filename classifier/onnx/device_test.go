//go:build device

package onnx

import (
	"errors"
	"testing"

	"neurotriage/classifier/model"
)

// These tests need a device and are run by hand, on a machine that has one:
//
//	go test -tags device -run Device -v ./classifier/onnx
//
// Software Vulkan is enough to check WebGPU's scores. What it is not is fast, so
// speed is not judged here.
func TestDeviceAgreesWithTheCPU(t *testing.T) {
	runner := openTiny(t, Options{Model: model.ONNX(), Providers: []string{"cpu"}})
	for _, provider := range []Provider{WebGPU, CUDA} {
		t.Run(string(provider), func(t *testing.T) {
			e, err := openSession(provider, runner.pkg)
			if err != nil {
				t.Skip(err)
			}
			defer e.close()
			millis, reason := judge(e, runner.cpu, 1e9, runner.pkg)
			if reason != "" {
				t.Error(reason)
			}
			t.Logf("%.2f ms a slice, the CPU takes %.2f", millis, runner.cpuMillis)
		})
	}
}

func TestDeviceIsChosenAndCanBeLost(t *testing.T) {
	runner := openTiny(t, Options{Model: model.ONNX()})
	report := runner.Report()
	t.Logf("%+v", report)
	if report.Provider == CPU {
		t.Skip("no provider but the CPU was accepted")
	}
	if err := runner.replace(runner.engine, report.Provider, errors.New("pulled out")); err != nil {
		t.Fatal(err)
	}
	if _, err := runner.Run(t.Context(), runner.pkg.Golden.Tensors(160), 4); err != nil || runner.Report().Degraded() == "" {
		t.Errorf("%v after %+v", err, runner.Report())
	}
}
