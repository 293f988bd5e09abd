package worklist

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// figure is one number of a model's card, in words.
type figure struct{ Name, Value string }

// measured is how good the model of a finding was found to be.
type measured struct {
	Head []figure // what a reader asks first
	All  []figure // the card's evaluation, whole
}

// headline words what a reader asks first. A card that measured none of it, or
// called it otherwise, has its figures in the whole list still.
var headline = []struct{ Path, Name string }{
	{"studies.glioma_flagged", "studies with a glioma that are flagged"},
	{"studies.others_flagged", "studies without a glioma that are flagged, too"},
	{"macro_recall", "slices named right, mean of the classes"},
	{"recall.glioma", "slices of gliomas named right"},
	{"recall.normal", "slices without a tumour named right"},
	{"ece", "expected error of a probability"},
}

// measured gives the figures of the model in force; those of a former one went
// with it.
func (b *Board) measured(digest string) measured {
	if b.options.Evaluation == nil || b.options.Model == nil || b.options.Model().Digest != digest {
		return measured{}
	}
	card := b.options.Evaluation()
	m := measured{All: evaluated(card)}
	for _, one := range headline {
		if value, ok := wordFigure(inside(card, one.Path)); ok {
			m.Head = append(m.Head, figure{one.Name, value})
		}
	}
	return m
}

// inside follows a dotted path into nested values; nil when it leads nowhere.
func inside(values map[string]any, path string) any {
	head, rest, more := strings.Cut(path, ".")
	if !more {
		return values[head]
	}
	inner, _ := values[head].(map[string]any)
	return inside(inner, rest)
}

// wordFigure words a share, with its interval where the card gives one.
func wordFigure(value any) (string, bool) {
	switch v := value.(type) {
	case float64:
		return percent(v), true
	case map[string]any:
		mean, ok := v["mean"].(float64)
		low, lowOK := v["low"].(float64)
		high, highOK := v["high"].(float64)
		if ok && lowOK && highOK {
			return fmt.Sprintf("%s (%s to %s)", percent(mean), percent(low), percent(high)), true
		}
		return percent(mean), ok
	}
	return "", false
}

// evaluated lists a card's evaluation without what is there to compare with.
func evaluated(card map[string]any) []figure {
	card = maps.Clone(card)
	delete(card, "reference")
	return figures("", card)
}

// figures lists the values of a card's evaluation, nested names joined.
func figures(under string, values map[string]any) []figure {
	var list []figure
	for name, value := range values {
		name = strings.ReplaceAll(strings.TrimSpace(under+" "+name), "_", " ")
		switch v := value.(type) {
		case map[string]any:
			list = append(list, figures(name, v)...)
		case float64:
			list = append(list, figure{name, fmt.Sprintf("%.4g", v)})
		case string, bool:
			list = append(list, figure{name, fmt.Sprint(v)})
		}
	}
	slices.SortFunc(list, func(a, b figure) int { return strings.Compare(a.Name, b.Name) })
	return list
}
