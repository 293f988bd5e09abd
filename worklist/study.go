package worklist

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"neurotriage"
)

// studyPage is what study.html shows.
type studyPage struct {
	page
	Row     row
	Finding *neurotriage.Finding
	Bars    []bar
	Keys    []key
	Strips  []strip
	Labels  []string // to correct a finding to
	Desk    bool     // findings can be assessed
	Archive string   // the study in the PACS viewer
	Patient *person  // nil: nobody can say who it is
	Reports []sheetLink
	Figures measured // of the model that read it
}

// bar is one class of the study's probabilities.
type bar struct {
	Label     string
	Value     float64
	Threshold float64 // 0: none
}

// key is a key slice's picture.
type key struct{ Link, Alt, Caption string }

// strip shows how the probability of each class runs along the slices of a
// series, so that the eye goes to the right place.
type strip struct {
	Number       int // of the series in the reading, from 1
	Width        int
	Alt, Caption string
	Lines        []line
	Marks        []int // key slices, by their place
}

type line struct{ Label, Points string }

// sheetLink is a report of the finding that can be fetched.
type sheetLink struct{ Name, Link, SOPInstanceUID string }

func (b *Board) serveStudy(w http.ResponseWriter, r *http.Request) {
	entry, err := b.entry(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	p := studyPage{page: b.page(w, r, "Study"), Row: newRow(entry, b.now()), Desk: b.options.Desk != nil, Patient: b.patient(r, entry)}
	p.Archive = strings.ReplaceAll(b.options.Archive, "{study}", url.QueryEscape(entry.StudyInstanceUID))
	if entry.FindingID != "" {
		finding, err := b.store.Finding(r.Context(), entry.FindingID)
		if err != nil && !errors.Is(err, ErrNotFound) { // past its retention: the entry still tells
			b.fail(w, fmt.Errorf("reading the finding: %w", err))
			return
		}
		if err == nil {
			b.fill(r, &p, finding)
		}
	}
	b.render(w, "study.html", p)
}

// fill puts the finding on the page, with what there is beside it.
func (b *Board) fill(r *http.Request, p *studyPage, finding neurotriage.Finding) {
	uid := p.Row.StudyInstanceUID
	p.Finding, p.Bars, p.Keys, p.Labels = &finding, bars(finding), keys(uid, finding), labels(&finding)
	p.Figures = b.measured(finding.Model.Digest)
	p.Reports = b.reports(visitor(r), uid, finding)
	if reading, err := b.reading(r.Context(), finding.ID); err == nil {
		p.Strips = strips(reading)
	}
}

// bars lists the probabilities, largest first.
func bars(f neurotriage.Finding) []bar {
	list := make([]bar, 0, len(f.Probabilities))
	for label, value := range f.Probabilities {
		b := bar{Label: label, Value: value}
		if label == neurotriage.Glioma {
			b.Threshold = f.Thresholds.GliomaReview
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b bar) int {
		if a.Value != b.Value {
			if a.Value > b.Value {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Label, b.Label)
	})
	return list
}

func keys(uid string, f neurotriage.Finding) []key {
	list := make([]key, 0, len(f.KeySlices))
	for i, slice := range f.KeySlices {
		list = append(list, key{
			Link:    fmt.Sprintf("/study/%s/key/%d.png", uid, i+1),
			Alt:     fmt.Sprintf("Key slice %d with the activation map", i+1),
			Caption: fmt.Sprintf("Key slice %d of %d: probability %s", i+1, len(f.KeySlices), percent(slice.Probability)),
		})
	}
	return list
}

// strips draws the scores of a reading.
func strips(reading *neurotriage.Reading) []strip {
	var list []strip
	for number, series := range reading.Series {
		if s, ok := drawStrip(reading.Labels, series); ok {
			s.Number, s.Marks = number+1, marks(reading, series)
			s.Caption = fmt.Sprintf("%s: %d slices in order along the slice normal, probability 0 to 100 %%; the dots are key slices",
				title(reading, number), len(series.Slices))
			list = append(list, s)
		}
	}
	return list
}

// marks are the places of the key slices in a series.
func marks(reading *neurotriage.Reading, series neurotriage.SeriesReading) []int {
	var list []int
	for place, slice := range series.Slices {
		if slices.ContainsFunc(reading.Keys, func(k neurotriage.KeyImage) bool {
			return k.Slice.SOPInstanceUID == slice.SOPInstanceUID && k.Slice.Frame == slice.Frame
		}) {
			list = append(list, place)
		}
	}
	return list
}

func drawStrip(labels []string, series neurotriage.SeriesReading) (strip, bool) {
	s := strip{Width: max(len(series.Slices)-1, 1), Alt: "Probability of each class along the slices"}
	for column, label := range labels {
		var points strings.Builder
		for place, slice := range series.Slices {
			if column < len(slice.Probabilities) {
				fmt.Fprintf(&points, "%d,%s ", place, strconv.FormatFloat(100*(1-slice.Probabilities[column]), 'f', 1, 64))
			}
		}
		if points.Len() > 0 {
			s.Lines = append(s.Lines, line{Label: label, Points: strings.TrimSpace(points.String())})
		}
	}
	return s, len(s.Lines) > 0
}
