package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"neurotriage"
	"neurotriage/classifier"
	"neurotriage/classifier/model"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Show or check a model",
		Long: `A model is one ONNX file: the network with its card (labels, recipe, thresholds,
intended use, training data, measured figures) and golden scores in its metadata.`,
		Example: `  neurotriage model info
  neurotriage model verify candidate.onnx`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.modelInfoCommand(), a.modelVerifyCommand())
	return cmd
}

func (a *app) modelInfoCommand() *cobra.Command {
	var asJSON bool
	var file string
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Show the model's card",
		Long: `Shows the card of the model in use: what it is for, how it was trained, what it
was measured at, and its limits. ONNX Runtime is not needed.`,
		Example: `  neurotriage model info
  neurotriage model info --json | jq .thresholds
  neurotriage model info --model candidate.onnx`,
		Args: cobra.NoArgs,
		RunE: command(func(context.Context, []string) error {
			settings, err := a.settings(overrides{keyModelFile: file})
			if err != nil {
				return err
			}
			data, err := modelBytes(settings.Model.File)
			if err != nil {
				return err
			}
			pack, err := classifier.Unpack(data)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, pack.Model)
			}
			return a.writeCard(a.out, pack.Model)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the card as JSON")
	a.modelFlag(cmd, &file)
	return cmd
}

// modelBytes reads a model file, or gives the one inside the program.
func modelBytes(file string) ([]byte, error) {
	if file == "" {
		return model.ONNX(), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usage(fmt.Errorf("read the model: %w", err))
	}
	return data, nil
}

// modelFlag adds --model to a command that reads with one.
func (a *app) modelFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "model", "", "ONNX `file` to use instead of the model inside the program")
	_ = cmd.MarkFlagFilename("model", "onnx") // fails only for flags that do not exist
}

// writeCard prints the card for a person.
func (a *app) writeCard(w io.Writer, card neurotriage.Model) error {
	facts := &table{}
	line := func(name, format string, args ...any) {
		facts.add(cell{text: name, paint: a.style.faint}, plainCell(fmt.Sprintf(format, args...)))
	}
	use, at := card.IntendedUse, card.Thresholds
	line("model", "%s %s", card.Name, card.Version)
	line("digest", "%s", card.Digest)
	line("labels", "%s", strings.Join(card.Labels, ", "))
	line("reads", "%s of the %s: %s", use.Modality, use.BodyPart, sequences(use.Read))
	line("may only raise on", "%s", sequences(use.RaiseOnly))
	line("input", "%d x %d, recipe %s", card.Input.Size, card.Input.Size, card.Recipe.Kind)
	line("pooling", "%s over %.3g of the slices, at least %d, smoothed over %d", card.Pooling.Rule, card.Pooling.Fraction, card.Pooling.MinSlices, card.Pooling.Smooth)
	line("glioma review", "study p(glioma) >= %.4g (single slices: %.4g)", at.GliomaReview, at.GliomaReviewSlice)
	line("not flagged", "needs p(normal) >= %.4g and prediction set {normal}", at.NormalBar)
	line("out of domain", "score above %.4g", at.OutOfDomain)
	line("prediction sets", "cover %.3g %% of each class", 100*card.Conformal.Coverage)
	if err := facts.write(w, a.style); err != nil {
		return err
	}
	sections := []struct {
		title string
		value any
	}{{"Intended use", use.Statement}, {"Evaluation", card.Evaluation}, {"Training", card.Training}, {"Limits", card.Limits}}
	for _, section := range sections {
		if lines := outline(section.value, "  "); len(lines) > 0 {
			fmt.Fprintf(w, "\n%s\n", a.style.bold(section.title))
			for _, line := range lines {
				fmt.Fprintln(w, wrap(line, cardWidth))
			}
		}
	}
	return nil
}

// cardWidth is where the card's sentences are broken, in runes.
const cardWidth = 96

// wrap breaks a line at blanks; what follows is indented like its text.
func wrap(line string, width int) string {
	indent := len(line) - len(strings.TrimLeft(line, " -"))
	var out strings.Builder
	column := 0
	for i, word := range strings.Fields(line[indent:]) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			out.WriteString(line[:indent])
			column = indent
		case column+1+length > width:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += length
	}
	return out.String()
}

func sequences(kinds []neurotriage.SequenceKind) string {
	names := map[neurotriage.SequenceKind]string{neurotriage.T1C: "T1 with contrast", neurotriage.T1: "T1 without contrast"}
	shown := []string{}
	for _, kind := range kinds {
		name := names[kind]
		if name == "" {
			name = string(kind)
		}
		shown = append(shown, name)
	}
	if len(shown) == 0 {
		return "nothing"
	}
	return strings.Join(shown, ", ")
}

// outline turns the free part of a card into indented lines, keys sorted.
func outline(value any, indent string) []string {
	var lines []string
	switch typed := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(typed)) {
			if inner, small := scalar(typed[key]); small {
				lines = append(lines, indent+key+": "+inner)
				continue
			}
			lines = append(lines, indent+key+":")
			lines = append(lines, outline(typed[key], indent+"  ")...)
		}
	case []any:
		for _, item := range typed {
			if inner, small := scalar(item); small {
				lines = append(lines, indent+"- "+inner)
				continue
			}
			nested := outline(item, indent+"  ")
			if len(nested) > 0 {
				nested[0] = indent + "- " + strings.TrimSpace(nested[0])
			}
			lines = append(lines, nested...)
		}
	case []string:
		for _, item := range typed {
			lines = append(lines, indent+"- "+item)
		}
	case string:
		if typed != "" {
			lines = append(lines, indent+typed)
		}
	}
	return lines
}

// scalar gives what fits on one line: values, and short lists of values.
func scalar(value any) (string, bool) {
	switch typed := value.(type) {
	case map[string]any:
		return "", false
	case []any:
		parts := []string{}
		for _, item := range typed {
			part, small := scalar(item)
			if !small {
				return "", false
			}
			parts = append(parts, part)
		}
		text := strings.Join(parts, ", ")
		return text, len(text) <= 72
	case string:
		return typed, true
	}
	text, err := json.Marshal(value)
	return string(text), err == nil
}
