package worklist

import (
	"context"
	"math"
	"strconv"
	"time"

	"neurotriage"
)

// agreement compares findings with the last verdict on each.
type agreement struct {
	Findings                      int // that were assessed
	Accepted, Rejected, Corrected int
	Share                         string // accepted of all
	// Of the assessed findings whose truth the verdicts tell.
	FlaggedRight, FlaggedWrong, MissedGlioma, QuietRight int
}

// agree walks through the assessments: the last verdict on a finding counts.
func agree(ctx context.Context, desk Desk) (agreement, error) {
	last := map[string]Assessment{}
	err := desk.Assessments(ctx, func(a Assessment) error {
		if a.Verdict != "acknowledged" {
			last[a.FindingID] = a
		}
		return nil
	})
	var sum agreement
	for _, a := range last {
		sum.add(a)
	}
	if sum.Findings > 0 {
		sum.Share = percent(float64(sum.Accepted) / float64(sum.Findings))
	}
	return sum, err
}

func (g *agreement) add(a Assessment) {
	g.Findings++
	flagged := a.Disposition == neurotriage.GliomaReview
	glioma := flagged // what an accepted finding says
	switch a.Verdict {
	case "accepted":
		g.Accepted++
	case "rejected":
		g.Rejected++
		if !flagged {
			return // it was not a glioma finding: what it is nobody has said
		}
		glioma = false
	case "corrected":
		g.Corrected++
		glioma = a.Label == neurotriage.Glioma
	}
	switch {
	case flagged && glioma:
		g.FlaggedRight++
	case flagged:
		g.FlaggedWrong++
	case glioma:
		g.MissedGlioma++
	default:
		g.QuietRight++
	}
}

// driftBins divide the glioma probability for the comparison.
const driftBins = 10

// Bounds of the population stability index that are in common use.
const (
	driftSome = 0.1
	driftMuch = 0.25
	driftMin  = 50 // studies on each side; fewer say nothing
)

// drift compares the glioma probabilities of the last week with those before.
type drift struct {
	Recent, Before         int
	RecentMean, BeforeMean string
	Index                  string
	Verdict, Class         string
	Bins                   []driftBin
}

type driftBin struct {
	From           string
	Recent, Before float64 // shares, 0 to 1
}

const driftSpan = 7 * 24 * time.Hour

func drifted(entries []Entry, now time.Time) drift {
	var recent, before [driftBins]float64
	var recentSum, beforeSum float64
	d := drift{}
	for _, e := range entries {
		if !e.Scored || e.Finished.IsZero() {
			continue
		}
		bin := min(int(max(e.Glioma, 0)*driftBins), driftBins-1)
		if now.Sub(e.Finished) <= driftSpan {
			recent[bin]++
			d.Recent++
			recentSum += e.Glioma
		} else {
			before[bin]++
			d.Before++
			beforeSum += e.Glioma
		}
	}
	if d.Recent > 0 {
		d.RecentMean = percent(recentSum / float64(d.Recent))
	}
	if d.Before > 0 {
		d.BeforeMean = percent(beforeSum / float64(d.Before))
	}
	for i := range driftBins {
		d.Bins = append(d.Bins, driftBin{percent(float64(i) / driftBins), recent[i] / max(1, float64(d.Recent)), before[i] / max(1, float64(d.Before))})
	}
	index := stability(recent[:], before[:])
	d.Index = percentless(index)
	if d.Recent < driftMin || d.Before < driftMin {
		d.Verdict, d.Class, d.Index = "too few studies to tell (50 are needed on each side)", "waiting", ""
	} else {
		d.Verdict, d.Class = shift(index)
	}
	return d
}

// stability is the population stability index of two histograms with the same
// bins: 0 where they agree. Half a count in each bin keeps an empty one from
// making it infinite.
func stability(now, then []float64) float64 {
	var index, nowSum, thenSum float64
	for i := range now {
		nowSum, thenSum = nowSum+now[i], thenSum+then[i]
	}
	extra := float64(len(now)) / 2
	for i := range now {
		a, b := (now[i]+0.5)/(nowSum+extra), (then[i]+0.5)/(thenSum+extra)
		index += (a - b) * math.Log(a/b)
	}
	return index
}

// shift words an index.
func shift(index float64) (verdict, class string) {
	switch {
	case index >= driftMuch:
		return "shifted: look at scanners, protocols and the model", "review"
	case index >= driftSome:
		return "shifted a little", "suspected"
	}
	return "no shift", "calm"
}

func percentless(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
