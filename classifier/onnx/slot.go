package onnx

import (
	"fmt"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"neurotriage/classifier"
)

// slot is the memory of one run, for up to a batch of tensors, in C memory: the
// runtime keeps the addresses between calls, which Go memory must not suffer.
type slot struct {
	input, logits, maps, ood []float32
	n                        int         // what the values below are shaped for
	values                   []ort.Value // input, logits, maps, ood over the first n
}

func newSlot(most, size, labels, rows, columns int) *slot {
	return &slot{
		input: cFloats(most * size * size), logits: cFloats(most * labels),
		maps: cFloats(most * labels * rows * columns), ood: cFloats(most),
	}
}

// shape lays runtime values over the first n tensors.
func (s *slot) shape(n, size, labels, rows, columns int) error {
	if s.n == n {
		return nil
	}
	s.drop()
	count := int64(n)
	for _, part := range []struct {
		data  []float32
		shape ort.Shape
	}{
		{s.input, ort.NewShape(count, 1, int64(size), int64(size))},
		{s.logits, ort.NewShape(count, int64(labels))},
		{s.maps, ort.NewShape(count, int64(labels), int64(rows), int64(columns))},
		{s.ood, ort.NewShape(count)},
	} {
		tensor, err := ort.NewTensor(part.shape, part.data)
		if err != nil {
			return fmt.Errorf("making tensors for %d slices: %w", n, err)
		}
		s.values = append(s.values, tensor)
	}
	s.n = n
	return nil
}

// output copies what a run wrote: the memory is about to serve another.
func (s *slot) output(n, labels, rows, columns int) classifier.Output {
	return classifier.Output{
		Logits: slices.Clone(s.logits[:n*labels]), CAMs: slices.Clone(s.maps[:n*labels*rows*columns]),
		OOD: slices.Clone(s.ood[:n]), MapRows: rows, MapColumns: columns,
	}
}

func (s *slot) drop() {
	for _, value := range s.values {
		_ = value.Destroy() // it frees memory and cannot fail
	}
	s.values, s.n = nil, 0
}

func (s *slot) free() {
	s.drop()
	for _, part := range [][]float32{s.input, s.logits, s.maps, s.ood} {
		cFree(part)
	}
}
