// Package onnx runs the model on ONNX Runtime. It is the only room that knows
// it, and the only one that needs cgo.
//
// Promises:
//   - A runner that opened has answered the model's golden inputs rightly on the
//     CPU, and a faster provider was taken only when it agreed with the CPU.
//   - Tensors live in C memory: Go's collector can neither move nor free what
//     the runtime is reading. (A tensor freed during a run gives wrong scores
//     and no error.)
//   - Telemetry is off before the runtime starts.
//   - A provider lost in the middle is replaced by the next, and the report says so.
//
// ONNX Runtime's environment is one per process. Runners share it, and it ends
// with the last of them; all of them must name the same library.
package onnx
