package onnx

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define SIGNALS 65

// Numbers the C library keeps for itself fail, and are passed over.
static void save_signals(struct sigaction *all) {
	for (int i = 1; i < SIGNALS; i++)
		if (sigaction(i, NULL, &all[i]) != 0) all[i].sa_flags = -1;
}
static void restore_signals(struct sigaction *all) {
	for (int i = 1; i < SIGNALS; i++)
		if (all[i].sa_flags != -1) sigaction(i, &all[i], NULL);
}
static void trim_heap(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"
)

// keepingSignals puts every signal handler back as it was before f. The CUDA
// driver installs its own as it starts; without Go's, a nil pointer is a crash
// of the process instead of a panic, and goroutines are no longer preempted.
// A signal that arrives while f runs may go to the driver's handler.
func keepingSignals(f func() error) error {
	all := (*C.struct_sigaction)(C.calloc(C.SIGNALS, C.sizeof_struct_sigaction))
	defer C.free(unsafe.Pointer(all))
	C.save_signals(all)
	defer C.restore_signals(all)
	return f()
}

// preloadOrder lists what the CUDA provider links to, each after what it needs
// itself. The provider has no search path of its own, and a library that is
// loaded already is found by its name.
var preloadOrder = []string{
	"libcudart.so.13", "libnvrtc-builtins.so.13.0", "libnvrtc.so.13", "libcublasLt.so.13", "libcublas.so.13",
	"libcurand.so.10", "libcufft.so.12", "libcudnn_graph.so.9", "libcudnn.so.9",
}

// preload loads the CUDA libraries that lie beside ONNX Runtime's. None need be
// there; the error says which were there and could not be loaded.
func preload(dir string) error {
	var errs []error
	for _, name := range preloadOrder {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		text := C.CString(path)
		if C.dlopen(text, C.RTLD_NOW|C.RTLD_GLOBAL) == nil {
			errs = append(errs, fmt.Errorf("loading %s: %s", path, C.GoString(C.dlerror())))
		}
		C.free(unsafe.Pointer(text))
	}
	return errors.Join(errs...)
}

// cFloats is float32 memory that the Go collector does not know of.
func cFloats(n int) []float32 {
	p := C.calloc(C.size_t(n), 4)
	if p == nil {
		panic(fmt.Sprintf("no memory for %d floats", n)) // as Go's own allocator would
	}
	return unsafe.Slice((*float32)(p), n)
}

func cFree(s []float32) { C.free(unsafe.Pointer(unsafe.SliceData(s))) }

// trimHeap gives freed C memory back to the system. Opening a model leaves some
// 15 MB of it behind, which the C library would keep.
func trimHeap() { C.trim_heap() }
