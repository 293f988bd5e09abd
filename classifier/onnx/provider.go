package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// Provider is where ONNX Runtime works.
type Provider string

// The providers, in the order in which they are tried.
const (
	CUDA   Provider = "cuda"
	WebGPU Provider = "webgpu"
	CPU    Provider = "cpu"
)

// DefaultProviders is the order when none is configured.
func DefaultProviders() []Provider { return []Provider{CUDA, WebGPU, CPU} }

// Tensors of one run.
const (
	cpuBatch = 4 // a fifth faster than one by one: the weights are read once for all; more gains nothing and costs memory
	gpuBatch = 32
)

func (p Provider) batch() int {
	if p == CPU {
		return cpuBatch
	}
	return gpuBatch
}

func parseProviders(names []string) ([]Provider, error) {
	if len(names) == 0 {
		return DefaultProviders(), nil
	}
	var providers []Provider
	for i, name := range names {
		p := Provider(name)
		if !slices.Contains(DefaultProviders(), p) || slices.Contains(providers, p) {
			return nil, fmt.Errorf("providers[%d]: %q is not one of cuda, webgpu, cpu, each once", i, name)
		}
		providers = append(providers, p)
	}
	return providers, nil
}

// missing says why the provider cannot work on this machine, as far as a look at
// the device files tells; empty when it may. It spares the start-up of a runtime
// for a device that is not there, and rendering in software, which works but is
// never faster than the CPU provider.
func (p Provider) missing(root string) string {
	if p == CPU || runtime.GOOS != "linux" {
		return ""
	}
	patterns := []string{"dev/nvidiactl", "proc/driver/nvidia/version", "dev/dxg"}
	what := "no NVIDIA device: neither /dev/nvidiactl nor /proc/driver/nvidia is there"
	if p == WebGPU {
		patterns = append(patterns, "dev/dri/renderD*")
		what = "no graphics device: neither /dev/dri nor /dev/nvidiactl is there"
	}
	for _, pattern := range patterns {
		if found, err := filepath.Glob(filepath.Join(root, pattern)); err == nil && len(found) > 0 {
			return ""
		}
	}
	return what
}

// appendTo asks a session for the provider; the CPU is always in it.
func (p Provider) appendTo(options *ort.SessionOptions) error {
	switch p {
	case CPU:
		return nil
	case WebGPU:
		return options.AppendExecutionProvider("WebGPU", nil)
	}
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy() //nolint:errcheck // it frees memory and cannot fail
	// TensorFloat-32 rounds to ten bits, too coarse for scores that must agree to
	// a thousandth; an exhaustive search would start anew at every batch size.
	if err := cuda.Update(map[string]string{"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}); err != nil {
		return err
	}
	return options.AppendExecutionProviderCUDA(cuda)
}

// systemRoot is where device files are looked for.
func systemRoot() string { return string(os.PathSeparator) }
