package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// environment is package state because ONNX Runtime's own is: one library, one
// environment and one set of globals in a process, whoever asks for them.
var environment struct {
	sync.Mutex
	users   int
	library string // in use, or empty
	kept    bool   // stays until the process ends
}

// acquireEnvironment starts ONNX Runtime from the library, or joins those who
// did. The telemetry switch is set before the library is even loaded: from
// release 1.29 on, a call afterwards would come too late.
func acquireEnvironment(library string) error {
	library, err := filepath.EvalSymlinks(library)
	if err != nil {
		return fmt.Errorf("finding the ONNX Runtime library: %w", err)
	}
	environment.Lock()
	defer environment.Unlock()
	if environment.library != "" {
		if environment.library != library {
			return fmt.Errorf("loading %s: this process runs %s already, and ONNX Runtime allows one; use the same for every runner",
				library, environment.library)
		}
		environment.users++
		return nil
	}
	if err := os.Setenv("ORT_DISABLE_TELEMETRY", "1"); err != nil {
		return fmt.Errorf("switching ONNX Runtime's telemetry off: %w", err)
	}
	preloaded := preload(filepath.Dir(library))
	ort.SetSharedLibraryPath(library)
	err = keepingSignals(func() error {
		// What goes wrong comes back as an error; the runtime's own lines on
		// standard error would say it twice, in colours.
		return ort.InitializeEnvironment(ort.WithLogLevelFatal())
	})
	if err != nil {
		return fmt.Errorf("loading ONNX Runtime from %s: %w", library, errors.Join(err, preloaded))
	}
	environment.users, environment.library = 1, library
	return nil
}

// keepEnvironment lets ONNX Runtime live until the process ends. Release 1.27
// jumps to address zero when it is ended after WebGPU found no device, and a
// device's driver is best not unloaded either.
func keepEnvironment() {
	environment.Lock()
	defer environment.Unlock()
	environment.kept = true
}

// releaseEnvironment ends ONNX Runtime when its last user leaves, unless it is
// kept.
func releaseEnvironment() error {
	environment.Lock()
	defer environment.Unlock()
	if environment.users--; environment.users > 0 || environment.kept {
		return nil
	}
	environment.library = ""
	if err := ort.DestroyEnvironment(); err != nil {
		return fmt.Errorf("ending ONNX Runtime: %w", err)
	}
	return nil
}
