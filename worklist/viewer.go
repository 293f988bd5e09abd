package worklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"neurotriage"
)

// Stack reads slices of a study where it lies.
type Stack interface {
	// Slice gives one slice as Pack writes it. An error that wraps ErrNotFound
	// says that the study, or this slice of it, cannot be reached any more.
	Slice(ctx context.Context, e Entry, s SliceRef) ([]byte, error)
}

// SliceRef names a slice by what cannot change: a study that was overwritten
// must not lend its pictures to scores of another one.
type SliceRef struct {
	SeriesInstanceUID, SOPInstanceUID string
	Frame                             int
}

// readings keeps the last few readings: they never change, and a person scrolls
// through one.
type readings struct {
	mu   sync.Mutex
	held map[string]*neurotriage.Reading
}

const readingsHeld = 8

func (b *Board) reading(ctx context.Context, findingID string) (*neurotriage.Reading, error) {
	b.readings.mu.Lock()
	held := b.readings.held[findingID]
	b.readings.mu.Unlock()
	if held != nil {
		return held, nil
	}
	data, err := b.store.Media(ctx, findingID, "reading.json")
	if err != nil {
		return nil, fmt.Errorf("reading the scores: %w", err)
	}
	fresh := &neurotriage.Reading{}
	if err := json.Unmarshal(data, fresh); err != nil {
		return nil, fmt.Errorf("reading the scores of finding %s: %w", findingID, err)
	}
	b.readings.mu.Lock()
	defer b.readings.mu.Unlock()
	if b.readings.held == nil || len(b.readings.held) >= readingsHeld {
		b.readings.held = map[string]*neurotriage.Reading{}
	}
	b.readings.held[findingID] = fresh
	return fresh, nil
}

// viewed is what the viewer's script needs beside pixels.
type viewed struct {
	Labels []string       `json:"labels"`
	Series []viewedSeries `json:"series"`
}

type viewedSeries struct {
	Title  string        `json:"title"`
	Slices []viewedSlice `json:"slices"`
	Keys   []viewedKey   `json:"keys"`
}

type viewedSlice struct {
	Link          string    `json:"link"`
	Position      float64   `json:"position"` // mm
	Probabilities []float64 `json:"probabilities"`
	Skipped       string    `json:"skipped,omitempty"`
}

type viewedKey struct {
	Slice  int                 `json:"slice"` // place in Slices
	Label  string              `json:"label"`
	Window [2]float64          `json:"window"`
	Map    neurotriage.HeatMap `json:"map"`
}

// entryReading finds the study that the address names, and its reading.
func (b *Board) entryReading(r *http.Request) (Entry, *neurotriage.Reading, error) {
	entry, err := b.entry(r)
	if err != nil {
		return Entry{}, nil, err
	}
	reading, err := b.reading(r.Context(), entry.FindingID)
	return entry, reading, err
}

func (b *Board) serveViewer(w http.ResponseWriter, r *http.Request) {
	entry, reading, err := b.entryReading(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := writeJSON(w, view(entry.StudyInstanceUID, reading)); err != nil {
		b.options.Logger.Debug("the viewer left", "error", err)
	}
}

func view(uid string, reading *neurotriage.Reading) viewed {
	v := viewed{Labels: reading.Labels}
	for number, series := range reading.Series {
		s := viewedSeries{Title: title(reading, number), Keys: []viewedKey{}}
		for place, slice := range series.Slices {
			s.Slices = append(s.Slices, viewedSlice{
				Link:     fmt.Sprintf("/study/%s/slice/%d/%d", uid, number+1, place+1),
				Position: slice.Position, Probabilities: slice.Probabilities, Skipped: slice.Skipped,
			})
			for _, key := range reading.Keys {
				if key.Slice.SOPInstanceUID == slice.SOPInstanceUID && key.Slice.Frame == slice.Frame {
					s.Keys = append(s.Keys, viewedKey{Slice: place, Label: key.Label, Window: key.Window, Map: key.Map})
				}
			}
		}
		v.Series = append(v.Series, s)
	}
	return v
}

// title names a series by codes and its place; its description is free text.
func title(reading *neurotriage.Reading, number int) string {
	uid := reading.Series[number].SeriesInstanceUID
	for _, header := range reading.Study.Series {
		if header.UID == uid {
			return fmt.Sprintf("Series %d: %s, %s", header.Number, header.Sequence, header.Plane)
		}
	}
	return fmt.Sprintf("Series %d", number+1)
}

// serveSlice gives a slice from where the study lies, else, for key slices,
// from what was stored beside the finding.
func (b *Board) serveSlice(w http.ResponseWriter, r *http.Request) {
	entry, reading, err := b.entryReading(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	ref, err := pick(reading, r.PathValue("series"), r.PathValue("slice"))
	if err != nil {
		b.fail(w, err)
		return
	}
	data, err := b.slice(r.Context(), entry, reading, ref)
	if err != nil {
		b.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := w.Write(data); err != nil {
		b.options.Logger.Debug("the viewer left", "error", err)
	}
}

func pick(reading *neurotriage.Reading, series, slice string) (SliceRef, error) {
	i, errSeries := strconv.Atoi(series)
	j, errSlice := strconv.Atoi(slice)
	if errors.Join(errSeries, errSlice) != nil || i < 1 || i > len(reading.Series) || j < 1 || j > len(reading.Series[i-1].Slices) {
		return SliceRef{}, fmt.Errorf("no slice %q of series %q: %w", slice, series, ErrNotFound)
	}
	s := reading.Series[i-1]
	return SliceRef{SeriesInstanceUID: s.SeriesInstanceUID, SOPInstanceUID: s.Slices[j-1].SOPInstanceUID, Frame: s.Slices[j-1].Frame}, nil
}

func (b *Board) slice(ctx context.Context, entry Entry, reading *neurotriage.Reading, ref SliceRef) ([]byte, error) {
	err := fmt.Errorf("no studies are at hand: %w", ErrNotFound)
	if b.options.Stack != nil {
		var data []byte
		if data, err = b.options.Stack.Slice(ctx, entry, ref); err == nil {
			return data, nil
		}
		if !errors.Is(err, ErrNotFound) {
			b.options.Logger.Warn("a slice cannot be read where the study lies", "study", entry.StudyInstanceUID, "error", err)
		}
	}
	for n, key := range reading.Keys {
		if key.Slice.SOPInstanceUID == ref.SOPInstanceUID && key.Slice.Frame == ref.Frame {
			packed, err := b.store.Media(ctx, entry.FindingID, KeysName)
			if err != nil {
				return nil, err
			}
			return unpackKey(packed, n)
		}
	}
	return nil, err
}
