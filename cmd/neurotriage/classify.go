package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/dicomio"
)

// classifyFlags are the command's own.
type classifyFlags struct {
	json  bool
	out   string
	model string
}

func (a *app) classifyCommand() *cobra.Command {
	var flags classifyFlags
	cmd := &cobra.Command{
		Use:   "classify PATH...",
		Short: "Read studies from disk, without NATS",
		Long: `Reads files, folders and zip archives and prints one finding per study, sorted
by study UID. What is not DICOM is skipped and counted. A study that cannot be
read becomes a finding that says why; studies that were not read, for whatever
reason, are shown as NOT READ.

With --out each study gets a folder named by its UID with finding.json,
reading.json (the probabilities of every slice) and its key images as PNG, none
of which names the patient, and with the DICOM objects for the archive, which
do: sr.dcm, key-image-N.dcm where a tumour is suspected, and key-object.dcm for
a flagged study.

Exit code 0 if all studies were read or are not assessable, 1 if any was
refused, 3 if there was no DICOM.`,
		Example: `  neurotriage classify study/
  neurotriage classify study.zip --json | jq '.[].disposition'
  neurotriage classify inbox/ --out results/`,
		Args: somePaths,
		RunE: command(func(ctx context.Context, args []string) error {
			return a.classify(ctx, args, flags)
		}),
	}
	cmd.Flags().BoolVar(&flags.json, "json", false, "print one JSON array of findings (docs/schemas/finding.v1.json)")
	cmd.Flags().StringVar(&flags.out, "out", "", "write findings, readings, key images and DICOM reports below this `folder`")
	_ = cmd.MarkFlagDirname("out") // fails only for flags that do not exist
	a.modelFlag(cmd, &flags.model)
	return cmd
}

func (a *app) classify(ctx context.Context, paths []string, flags classifyFlags) error {
	settings, err := a.settings(overrides{keyModelFile: flags.model})
	if err != nil {
		return err
	}
	engine, err := a.engine(ctx, settings)
	if err != nil {
		return err
	}
	defer engine.close()
	desk, err := newDesk(engine, settings)
	if err != nil {
		return err
	}
	studies, skipped, err := a.scan(ctx, paths, engine.model.IntendedUse, settings)
	if err != nil {
		return err
	}
	if skipped > 0 {
		a.note("skipped %s that are not DICOM", plural(skipped, "file", "files"))
	}
	if len(studies) == 0 {
		if flags.json {
			return errors.Join(writeJSON(a.out, []neurotriage.Finding{}), quiet(exitNothing))
		}
		a.warn("no DICOM found")
		return quiet(exitNothing)
	}
	findings, err := a.readAll(ctx, desk, studies, flags.out)
	if err != nil {
		return err
	}
	if flags.json {
		err = writeJSON(a.out, findings)
	} else {
		err = a.writeFindings(findings)
	}
	a.note("%s", a.tally(findings))
	if err == nil && anyRefused(findings) {
		return quiet(exitFailed)
	}
	return err
}

// scan opens every study below the paths.
func (a *app) scan(ctx context.Context, paths []string, use neurotriage.IntendedUse, settings config.Config) ([]*dicomio.Study, int, error) {
	bar := a.progress(ctx, "looking", "", 0)
	defer bar.done()
	studies, skipped, err := dicomio.Scan(ctx, dicomio.Paths(paths), dicomio.Options{Limits: limits(settings), IntendedUse: use})
	return studies, skipped.NotDICOM + skipped.Other, asNotFound(err)
}

// asNotFound makes a path that does not exist an error of the caller.
func asNotFound(err error) error {
	var refusal *neurotriage.Refusal
	if errors.As(err, &refusal) && refusal.Reason == neurotriage.StudyNotFound {
		return usage(refusal.Err)
	}
	return err
}

// limits translates the configured limits.
func limits(settings config.Config) dicomio.Limits {
	l := settings.Limits
	return dicomio.Limits{
		FileBytes: int64(l.FileBytes), HeaderBytes: int64(l.HeaderBytes), StudyBytes: int64(l.StudyBytes), Files: l.Files,
		Frames: l.Frames, StudyFrames: l.StudyFrames, FramePixels: l.FramePixels, ZipRatio: l.ZipRatio,
	}
}

// readAll reads the studies one after the other, closing each.
func (a *app) readAll(ctx context.Context, desk *desk, studies []*dicomio.Study, out string) ([]neurotriage.Finding, error) {
	total := 0
	for _, study := range studies {
		total += eligible(study.Study())
	}
	bar := a.progress(ctx, "reading", "slices", total)
	defer bar.done()
	var findings []neurotriage.Finding
	for i, study := range studies {
		reading, err := desk.read(ctx, study, bar.step)
		if err == nil && out != "" {
			reading.Finding, err = save(out, reading)
		}
		if err != nil {
			for _, rest := range studies[i:] {
				err = errors.Join(err, rest.Close())
			}
			return nil, err
		}
		if err := study.Close(); err != nil {
			return nil, fmt.Errorf("close study %s: %w", study.Study().UID, err)
		}
		findings = append(findings, reading.Finding)
	}
	return findings, nil
}

// eligible counts the slices that the model will read.
func eligible(study neurotriage.Study) int {
	count := 0
	for _, series := range study.Series {
		if series.Eligible {
			count += len(series.Slices)
		}
	}
	return count
}

func anyRefused(findings []neurotriage.Finding) bool {
	for _, finding := range findings {
		if finding.Status == neurotriage.StatusRefused {
			return true
		}
	}
	return false
}

// desk reads studies outside the daemon, by the same rules.
type desk struct {
	engine     *engine
	thresholds neurotriage.Thresholds
	warnings   []string // of every finding
	now        func() time.Time
}

func newDesk(engine *engine, settings config.Config) (*desk, error) {
	threshold, warnings, err := settings.Model.Threshold(engine.model.Thresholds.GliomaReview)
	if err != nil {
		return nil, asUsage(err)
	}
	return &desk{engine: engine, thresholds: neurotriage.Thresholds{GliomaReview: threshold}, warnings: warnings, now: time.Now}, nil
}

// read gives a study's reading. A study that cannot be read gives the finding of
// its refusal; an error is not the study's fault.
func (d *desk) read(ctx context.Context, study *dicomio.Study, step func()) (neurotriage.Reading, error) {
	started := d.now()
	if refusal := study.Refusal(); refusal != nil {
		return d.refused(study.Study(), refusal, started), nil
	}
	reading, err := d.engine.classifier.Classify(ctx, study.Study(), d.thresholds, counted(study.Slices(ctx), step))
	var refusal *neurotriage.Refusal
	switch {
	case ctx.Err() != nil:
		return neurotriage.Reading{}, context.Cause(ctx)
	case errors.As(err, &refusal):
		return d.refused(study.Study(), refusal, started), nil
	case err != nil:
		return neurotriage.Reading{}, err
	}
	reading.Finding.Warnings = append(reading.Finding.Warnings, d.warnings...)
	return reading, nil
}

func counted(slices iter.Seq2[neurotriage.Slice, error], step func()) iter.Seq2[neurotriage.Slice, error] {
	return func(yield func(neurotriage.Slice, error) bool) {
		for slice, err := range slices {
			step()
			if !yield(slice, err) {
				return
			}
		}
	}
}

// refused is the reading of a study of which nothing could be read. There is no
// event here, so the study's UID stands in for the event's id. The cause goes
// into the warnings: without a daemon there is no dead letter to hold it.
func (d *desk) refused(study neurotriage.Study, refusal *neurotriage.Refusal, started time.Time) neurotriage.Reading {
	key := neurotriage.FindingKey{
		Status: neurotriage.StatusRefused, Reason: refusal.Reason, StudyInstanceUID: study.UID,
		EventID: study.UID, ModelDigest: d.engine.model.Digest, Thresholds: d.thresholds,
	}
	return neurotriage.Reading{Study: study, Labels: d.engine.model.Labels, Finding: neurotriage.Finding{
		Schema: neurotriage.FindingSchema, ID: key.ID(), StudyInstanceUID: study.UID,
		Status: neurotriage.StatusRefused, Reason: refusal.Reason, Disposition: neurotriage.Refused,
		Thresholds: d.thresholds, PredictionSet: []string{}, Series: []neurotriage.SeriesFinding{},
		KeySlices: []neurotriage.KeySlice{}, Reports: []neurotriage.ReportRef{},
		Warnings: append([]string{refusal.Err.Error()}, d.warnings...), Model: d.engine.ref(),
		Started: started.UTC(), Finished: d.now().UTC(),
	}}
}
