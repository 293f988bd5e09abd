package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"neurotriage"
	"neurotriage/cmd/neurotriage/evaluation"
	"neurotriage/config"
	"neurotriage/dicomio"
)

// evaluateFlags are the command's own.
type evaluateFlags struct {
	json  bool
	plot  string
	model string
}

func (a *app) evaluateCommand() *cobra.Command {
	var flags evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate DIR",
		Short: "Measure a model on labelled slices",
		Long: `Measures a model on DIR, which holds one folder per class of the model (glioma,
meningioma, normal, pituitary) with PNG, JPEG or DICOM files at any depth. One
file is one slice: the largest probability is the answer, nothing is pooled,
colour becomes luma. Folders with other names are an error; files that are no
pictures are skipped and counted.

The figures are those of scikit-learn's classification_report (zero_division=0)
and confusion_matrix, with the recall and flagged share of the review flag at
the card's threshold for slices, and the expected calibration error over 15
bins. Slices without anything on them are not scored and counted beside the
figures; slices foreign to the model are in the figures and counted too. Figures
on single slices say nothing about studies, and pictures from the training data
say nothing at all.`,
		Example: `  neurotriage evaluate testset/
  neurotriage evaluate testset/ --json > report.json
  neurotriage evaluate testset/ --plot report.png --model candidate.onnx`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFolders,
		RunE: command(func(ctx context.Context, args []string) error {
			return a.evaluate(ctx, args[0], flags)
		}),
	}
	cmd.Flags().BoolVar(&flags.json, "json", false, "print one JSON object with scikit-learn's keys")
	cmd.Flags().StringVar(&flags.plot, "plot", "", "draw confusion matrix and reliability diagram to this PNG `file`")
	a.modelFlag(cmd, &flags.model)
	return cmd
}

func (a *app) evaluate(ctx context.Context, dir string, flags evaluateFlags) error {
	settings, err := a.settings(overrides{keyModelFile: flags.model})
	if err != nil {
		return err
	}
	engine, err := a.engine(ctx, settings)
	if err != nil {
		return err
	}
	defer engine.close()
	files, missing, err := evaluation.List(dir, engine.model.Labels)
	switch {
	case errors.Is(err, evaluation.ErrLayout), errors.Is(err, os.ErrNotExist):
		return usage(err)
	case err != nil:
		return err
	case len(missing) > 0:
		a.warn("%s has no files of class %s: its figures count as 0 in the macro average", dir, strings.Join(missing, ", "))
	}
	report, err := a.measure(ctx, engine, settings, files)
	if err != nil {
		return err
	}
	if report.Scored() == 0 {
		a.warn("none of the %s in %s could be scored", plural(len(files), "file", "files"), dir)
		return quiet(exitNothing)
	}
	if flags.plot != "" {
		if err := savePlot(flags.plot, report); err != nil {
			return err
		}
	}
	if err := a.writeEvaluation(report, flags.json); err != nil {
		return err
	}
	return a.evaluationFaults(report)
}

// measure scores the files and makes the report.
func (a *app) measure(ctx context.Context, engine *engine, settings config.Config, files []evaluation.File) (evaluation.Report, error) {
	bar := a.progress(ctx, "scoring", "slices", len(files))
	defer bar.done()
	bounds := limits(settings)
	task := evaluation.Task{
		Scorer: engine.classifier, Limit: bounds.FileBytes, OutOfDomain: engine.model.Thresholds.OutOfDomain,
		Workers: runtime.GOMAXPROCS(0), Done: bar.step,
		DICOM: func(path string) (neurotriage.Slice, error) { return readSlice(path, bounds) },
	}
	outcomes, skipped, err := task.Score(ctx, files)
	if err != nil {
		return evaluation.Report{}, err
	}
	report := evaluation.Measure(engine.model.Labels, outcomes, engine.model.Thresholds.GliomaReviewSlice)
	report.Skipped, report.Model = skipped, engine.ref()
	return report, nil
}

func readSlice(path string, limits dicomio.Limits) (neurotriage.Slice, error) {
	file, err := os.Open(path)
	if err != nil {
		return neurotriage.Slice{}, fmt.Errorf("open the file: %w", err)
	}
	defer file.Close()
	return dicomio.ReadSlice(file, limits)
}

func savePlot(path string, report evaluation.Report) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the plot: %w", err)
	}
	return errors.Join(evaluation.Plot(file, report), file.Close())
}

// evaluationFaults tells what is not in the figures; files that could not be
// read fail the work, since the figures are not of the whole folder.
func (a *app) evaluationFaults(report evaluation.Report) error {
	if report.Skipped > 0 {
		a.note("skipped %s that are no pictures", plural(report.Skipped, "file", "files"))
	}
	for _, fault := range report.Unreadable {
		a.warn("%s: %s", fault.File, fault.Error)
	}
	if n := len(report.Unreadable); n > 0 {
		return fmt.Errorf("evaluate: %s could not be read and is not in the figures", plural(n, "file", "files"))
	}
	return nil
}

func (a *app) writeEvaluation(report evaluation.Report, asJSON bool) error {
	if asJSON {
		return writeJSON(a.out, report)
	}
	figures := table{head: []string{"", "PRECISION", "RECALL", "F1-SCORE", "SUPPORT"}}
	row := func(name string, class evaluation.Class) {
		figures.add(plainCell(name), numberCell(probability(class.Precision)), numberCell(probability(class.Recall)),
			numberCell(probability(class.F1)), numberCell(strconv.Itoa(class.Support)))
	}
	for i, label := range report.Labels {
		row(label, report.Classes[i])
	}
	row("macro avg", report.Macro)
	row("weighted avg", report.Weighted)
	if err := figures.write(a.out, a.style); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	confusion := table{head: append([]string{"FOLDER \\ ANSWER"}, report.Labels...)}
	for i, label := range report.Labels {
		cells := []cell{plainCell(label)}
		for j, count := range report.Confusion[i] {
			field := numberCell(strconv.Itoa(count))
			if i == j {
				field.paint = a.style.bold
			}
			cells = append(cells, field)
		}
		confusion.add(cells...)
	}
	if err := confusion.write(a.out, a.style); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	return a.evaluationSummary(report).write(a.out, a.style)
}

// evaluationSummary lists the single figures.
func (a *app) evaluationSummary(report evaluation.Report) *table {
	review, summary := report.Review, &table{}
	line := func(name, value string) { summary.add(cell{text: name, paint: a.style.faint}, plainCell(value)) }
	line("accuracy", fmt.Sprintf("%.3f of %s", report.Accuracy, plural(report.Scored(), "slice", "slices")))
	line("glioma review", fmt.Sprintf("recall %.3f, flags %.1f %% of the slices (threshold %.3g)", review.Recall, 100*review.FlaggedShare, review.Threshold))
	line("calibration error", fmt.Sprintf("%.3f (ECE, %d bins)", report.ECE, evaluation.Bins))
	line("out of domain", fmt.Sprintf("%s, in the figures", plural(report.Abstentions.OutOfDomain, "slice", "slices")))
	reasons := make([]string, 0, len(report.Abstentions.Unscored))
	for reason := range report.Abstentions.Unscored {
		reasons = append(reasons, reason)
	}
	sort.Strings(reasons)
	for _, reason := range reasons {
		line("not scored", fmt.Sprintf("%s: %s", plural(report.Abstentions.Unscored[reason], "slice", "slices"), reason))
	}
	line("model", fmt.Sprintf("%s %s %s on %s", report.Model.Name, report.Model.Version, report.Model.Digest, report.Model.Runtime))
	return summary
}
