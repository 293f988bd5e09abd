package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"neurotriage/classifier"
)

func (a *app) modelVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a model against its own card and golden scores",
		Long: `Checks an ONNX file: its card is whole and understood, the network's inputs and
outputs have the names and shapes of the card, the graph with its weights has the
digest that the export wrote down, and the network answers the golden inputs
(made by a formula) with the golden scores of the export. The SHA-256 that is
shown is the digest that findings carry.`,
		Example:           `  neurotriage model verify classifier/model/model.onnx`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFiles("onnx"),
		RunE: command(func(ctx context.Context, args []string) error {
			return a.verifyModel(ctx, args[0])
		}),
	}
}

func (a *app) verifyModel(ctx context.Context, file string) error {
	data, err := modelBytes(file)
	if err != nil {
		return err
	}
	pack, err := classifier.Unpack(data)
	if err != nil {
		return fmt.Errorf("verify %s: %w", file, err)
	}
	passed := func(format string, args ...any) {
		fmt.Fprintf(a.out, "%s %s\n", a.style.good("ok"), fmt.Sprintf(format, args...))
	}
	passed("card: %s %s, labels %v", pack.Model.Name, pack.Model.Version, pack.Model.Labels)
	passed("shapes: %s [N 1 %d %d] gives %s, %s and %s", pack.Model.Input.Name, pack.Model.Input.Size, pack.Model.Input.Size,
		pack.Model.Outputs.Logits, pack.Model.Outputs.CAMs, pack.Model.Outputs.OOD)
	if pack.Graph != "" {
		passed("weights: as exported, %s", pack.Graph)
	}
	settings, err := a.settings(overrides{keyModelFile: file})
	if err != nil {
		return err
	}
	runner, _, err := a.open(ctx, runnerOptions(settings, a.quietLog()))
	if err != nil {
		return fmt.Errorf("verify %s: %w", file, err)
	}
	defer runner.Close()
	worst, err := pack.Golden.Verify(ctx, pack.Model, runner)
	if err != nil {
		return fmt.Errorf("verify %s: the network does not answer as it did in training: %w", file, err)
	}
	passed("golden scores: %d inputs on %s, logits differ by %.1e at most (%.0e allowed)",
		pack.Golden.Count, runner.Info().Runtime, worst, classifier.GoldenTolerance)
	passed("digest: %s", pack.Model.Digest)
	return nil
}
