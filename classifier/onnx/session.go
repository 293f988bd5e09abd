package onnx

import (
	"errors"
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"neurotriage"
	"neurotriage/classifier"
)

// engine is the network on one provider. Calls may overlap; close comes after
// the last of them.
type engine interface {
	run(tensors []float32, n int) (classifier.Output, error)
	batch() int // most tensors of one run
	close() error
}

// session is an engine made of one ONNX Runtime session, shared by all callers.
type session struct {
	model        neurotriage.Model
	ort          *ort.DynamicAdvancedSession
	most         int
	rows, column int // of the activation maps

	mutex sync.Mutex
	idle  []*slot
}

// openSession opens the model on one provider.
func openSession(provider Provider, p classifier.Package) (engine, error) {
	if provider != CPU {
		keepEnvironment()
	}
	s := &session{model: p.Model, most: provider.batch()}
	options, err := sessionOptions(provider)
	if err != nil {
		return nil, err
	}
	defer options.Destroy() //nolint:errcheck // it frees memory and cannot fail
	out := p.Model.Outputs
	s.ort, err = ort.NewDynamicAdvancedSessionWithONNXData(p.ONNX, []string{p.Model.Input.Name},
		[]string{out.Logits, out.CAMs, out.OOD}, options)
	if err != nil {
		return nil, fmt.Errorf("opening a session on %s: %w", provider, err)
	}
	if err := s.measureMaps(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// sessionOptions are the settings that measured fastest: every optimisation, one
// thread to a run (callers are the parallelism), and no thread that spins while
// it waits.
func sessionOptions(provider Provider) (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("making session options: %w", err)
	}
	err = errors.Join(
		options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll),
		options.SetIntraOpNumThreads(1),
		options.SetInterOpNumThreads(1),
		options.SetMemPattern(false), // 16 MB less at the same speed: batches differ in size
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		options.SetLogSeverityLevel(ort.LoggingLevelFatal),
	)
	if err == nil {
		err = provider.appendTo(options)
	}
	if err != nil {
		return nil, fmt.Errorf("setting up a session on %s: %w", provider, errors.Join(err, options.Destroy()))
	}
	return options, nil
}

// measureMaps runs one black slice and lets the runtime allocate the outputs:
// the graph need not state the extents of its maps.
func (s *session) measureMaps() error {
	size := s.model.Input.Size
	black := cFloats(size * size)
	defer cFree(black)
	input, err := ort.NewTensor(ort.NewShape(1, 1, int64(size), int64(size)), black)
	if err != nil {
		return fmt.Errorf("making a tensor: %w", err)
	}
	defer input.Destroy() //nolint:errcheck // it frees memory and cannot fail
	outputs := make([]ort.Value, 3)
	if err := s.ort.Run([]ort.Value{input}, outputs); err != nil {
		return fmt.Errorf("running a black slice: %w", err)
	}
	shape := outputs[1].GetShape()
	for _, output := range outputs {
		err = errors.Join(err, output.Destroy())
	}
	if len(shape) != 4 || shape[1] != int64(len(s.model.Labels)) || shape[2] < 1 || shape[3] < 1 {
		return errors.Join(err, fmt.Errorf("output %q came with shape %v, [N, %d, rows, columns] is wanted",
			s.model.Outputs.CAMs, shape, len(s.model.Labels)))
	}
	s.rows, s.column = int(shape[2]), int(shape[3])
	return err
}

func (s *session) batch() int { return s.most }

// run scores n tensors, at most batch.
func (s *session) run(tensors []float32, n int) (classifier.Output, error) {
	sl, err := s.take(n)
	if err != nil {
		return classifier.Output{}, err
	}
	defer s.giveBack(sl)
	copy(sl.input, tensors)
	if err := s.ort.Run(sl.values[:1], sl.values[1:]); err != nil {
		return classifier.Output{}, fmt.Errorf("running %d slices: %w", n, err)
	}
	return sl.output(n, len(s.model.Labels), s.rows, s.column), nil
}

// take gives a slot of n tensors; there come to be as many slots as callers ever
// run at once.
func (s *session) take(n int) (*slot, error) {
	s.mutex.Lock()
	var sl *slot
	if last := len(s.idle) - 1; last >= 0 {
		sl, s.idle = s.idle[last], s.idle[:last]
	}
	s.mutex.Unlock()
	if sl == nil {
		sl = newSlot(s.most, s.model.Input.Size, len(s.model.Labels), s.rows, s.column)
	}
	if err := sl.shape(n, s.model.Input.Size, len(s.model.Labels), s.rows, s.column); err != nil {
		sl.free()
		return nil, err
	}
	return sl, nil
}

func (s *session) giveBack(sl *slot) {
	s.mutex.Lock()
	s.idle = append(s.idle, sl)
	s.mutex.Unlock()
}

func (s *session) close() error {
	for _, sl := range s.idle {
		sl.free()
	}
	s.idle = nil
	if err := s.ort.Destroy(); err != nil {
		return fmt.Errorf("closing a session: %w", err)
	}
	return nil
}
