package model

import (
	"syscall"
	"unsafe"
)

// Release lets the system take back the memory that the model's bytes stand in,
// some 17 MB, once a runtime has made its own copy. They stay valid: the pages
// come back from the program's file when somebody reads them again. That holds
// because nobody ever writes to them.
func Release() error {
	page := uintptr(syscall.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(onnx)))
	skip := -start & (page - 1) // to the first page that is the model's alone
	if uintptr(len(onnx)) < skip+page {
		return nil
	}
	whole := (uintptr(len(onnx)) - skip) &^ (page - 1)
	return syscall.Madvise(onnx[skip:skip+whole], syscall.MADV_DONTNEED)
}
