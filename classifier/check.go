package classifier

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"neurotriage"
)

// The versions of the card, the recipe and the pooling rule that this room
// applies. A card that names others is refused: guessing would be silent.
const (
	cardSchema  = "model.v1"
	recipeKind  = "head-crop.v1"
	poolingRule = "top-mean.v1"
)

// Limits of what a card may ask for, so that a broken card cannot ask for a
// tensor of gigabytes.
const (
	minInputSize, maxInputSize = 16, 1024 // pixels a side
	minThumbnail, maxThumbnail = 8, 1024  // pixels
	maxSmooth                  = 99       // slices
)

// Check reports everything that makes a card unusable, each with the key, the
// value and what is allowed; nil when the card is sound.
func Check(model neurotriage.Model) error {
	err := errors.Join(
		checkIdentity(model), checkLabels(model), checkRecipe(model.Recipe), checkPooling(model.Pooling),
		checkThresholds(model.Thresholds), checkConformal(model), checkUse(model.IntendedUse),
	)
	if err != nil {
		return fmt.Errorf("checking the card of model %q %s: %w", model.Name, model.Version, err)
	}
	return nil
}

func checkIdentity(m neurotriage.Model) error {
	return errors.Join(
		oneOf("schema", m.Schema, cardSchema),
		present("name", m.Name), present("version", m.Version),
		present("input.name", m.Input.Name), present("outputs.logits", m.Outputs.Logits),
		present("outputs.cams", m.Outputs.CAMs), present("outputs.ood", m.Outputs.OOD),
		within("input.size", float64(m.Input.Size), minInputSize, maxInputSize),
		within("temperature", m.Temperature, 0.01, 100),
	)
}

func checkLabels(m neurotriage.Model) error {
	var errs []error
	for i, label := range m.Labels {
		if label == "" || slices.Contains(m.Labels[:i], label) {
			errs = append(errs, fmt.Errorf("labels[%d]: %q is empty or stands twice", i, label))
		}
	}
	for _, label := range []string{neurotriage.Glioma, neurotriage.Normal} {
		if !slices.Contains(m.Labels, label) {
			errs = append(errs, fmt.Errorf("labels: %q is missing, and the rules of a finding speak of it", label))
		}
	}
	return errors.Join(errs...)
}

func checkRecipe(r neurotriage.Recipe) error {
	err := errors.Join(
		oneOf("recipe.kind", r.Kind, recipeKind),
		within("recipe.percentile_low", r.PercentileLow, 0, 1), within("recipe.percentile_high", r.PercentileHigh, 0, 1),
		within("recipe.thumbnail", float64(r.Thumbnail), minThumbnail, maxThumbnail),
		within("recipe.head_threshold", r.HeadThreshold, 0, 0.99), // at 1 no cell would be above it
		within("recipe.margin", r.Margin, 0, 1),
		within("recipe.min_head_area_mm2", r.MinHeadAreaMM2, 0, 1e6),
	)
	if r.PercentileLow >= r.PercentileHigh {
		err = errors.Join(err, fmt.Errorf("recipe.percentile_low: %v is not below percentile_high %v", r.PercentileLow, r.PercentileHigh))
	}
	return err
}

func checkPooling(p neurotriage.Pooling) error {
	err := errors.Join(
		oneOf("pooling.rule", p.Rule, poolingRule),
		within("pooling.smooth", float64(p.Smooth), 1, maxSmooth),
		within("pooling.fraction", p.Fraction, 0, 1),
		within("pooling.min_slices", float64(p.MinSlices), 1, 1e6),
	)
	if p.Smooth%2 == 0 {
		err = errors.Join(err, fmt.Errorf("pooling.smooth: %d is even, and a centred mean needs an odd number", p.Smooth))
	}
	return err
}

func checkThresholds(t neurotriage.CardThresholds) error {
	return errors.Join(
		within("thresholds.glioma_review", t.GliomaReview, 0, 1),
		within("thresholds.glioma_review_slice", t.GliomaReviewSlice, 0, 1),
		within("thresholds.normal_bar", t.NormalBar, 0, 1),
		within("thresholds.out_of_domain", t.OutOfDomain, -math.MaxFloat32, math.MaxFloat32),
	)
}

func checkConformal(m neurotriage.Model) error {
	errs := []error{within("conformal.coverage", m.Conformal.Coverage, 0, 1)}
	for _, label := range m.Labels {
		quantile, ok := m.Conformal.Quantiles[label]
		if !ok {
			errs = append(errs, fmt.Errorf("conformal.quantiles: %q is missing", label))
			continue
		}
		errs = append(errs, within("conformal.quantiles."+label, quantile, 0, 1))
	}
	return errors.Join(errs...)
}

func checkUse(use neurotriage.IntendedUse) error {
	err := errors.Join(present("intended_use.modality", use.Modality), present("intended_use.body_part", use.BodyPart))
	if len(use.Read)+len(use.RaiseOnly) == 0 {
		err = errors.Join(err, errors.New("intended_use.read: no sequence is named, so nothing could be read"))
	}
	return err
}

func present(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: missing", key)
	}
	return nil
}

func oneOf(key, value, allowed string) error {
	if value != allowed {
		return fmt.Errorf("%s: %q is not known here, only %q is", key, value, allowed)
	}
	return nil
}

// within is written so that NaN fails too.
func within(key string, value, least, most float64) error {
	if !(value >= least && value <= most) {
		return fmt.Errorf("%s: %v is not in %v to %v", key, value, least, most)
	}
	return nil
}
