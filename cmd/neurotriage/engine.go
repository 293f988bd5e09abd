package main

import (
	"context"
	"errors"
	"log/slog"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/model"
	"neurotriage/classifier/onnx"
	"neurotriage/config"
	"neurotriage/daemon"
)

// openONNX opens the network with ONNX Runtime: the one place of the program
// that knows it.
func openONNX(_ context.Context, options daemon.RunnerOptions) (classifier.Runner, neurotriage.Model, error) {
	data, err := modelBytes(options.File)
	if err != nil {
		return nil, neurotriage.Model{}, err
	}
	runner, card, err := onnx.Open(onnx.Options{
		Library: options.Library, Model: data, Providers: options.Providers, Workers: options.Threads, Logger: options.Logger,
	})
	if err != nil {
		return nil, neurotriage.Model{}, err // a nil *onnx.Runner would make an interface that is not nil
	}
	if options.File == "" {
		if err := model.Release(); err != nil && options.Logger != nil {
			options.Logger.Debug("the model's bytes stay in memory", "error", err)
		}
	}
	return runner, card, nil
}

func runnerOptions(settings config.Config, log *slog.Logger) daemon.RunnerOptions {
	return daemon.RunnerOptions{
		File: settings.Model.File, Library: settings.ONNXRuntime.Library, Providers: settings.ONNXRuntime.Providers,
		Threads: settings.ONNXRuntime.Threads, Logger: log,
	}
}

// engine is an open model, ready to read.
type engine struct {
	classifier *classifier.Classifier
	runner     classifier.Runner
	model      neurotriage.Model
}

func (a *app) engine(ctx context.Context, settings config.Config) (*engine, error) {
	runner, card, err := a.open(ctx, runnerOptions(settings, a.quietLog()))
	if err != nil {
		return nil, err
	}
	reader, err := classifier.New(card, runner, classifier.Options{})
	if err != nil {
		return nil, errors.Join(err, runner.Close())
	}
	return &engine{classifier: reader, runner: runner, model: card}, nil
}

// close releases the model; nothing is left that could be lost.
func (e *engine) close() { _ = e.runner.Close() }

// ref names the model as findings do.
func (e *engine) ref() neurotriage.ModelRef {
	return neurotriage.ModelRef{Name: e.model.Name, Version: e.model.Version, Digest: e.model.Digest, Runtime: e.runner.Info().Runtime}
}
