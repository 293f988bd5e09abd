package neurotriage

// Reading is a finding with what reports and the page need beside it. It stays
// inside the house: it holds the patient and pixels.
type Reading struct {
	Finding Finding         `json:"finding"`
	Study   Study           `json:"study"`
	Labels  []string        `json:"labels"` // column order of the probabilities below
	Series  []SeriesReading `json:"series"` // the eligible series, in study order
	Keys    []KeyImage      `json:"keys"`   // in the order of Finding.KeySlices
	// Replaced are the reports of the finding that Finding.Replaces names.
	Replaced []ReportRef `json:"replaced,omitempty"`
}

// SeriesReading holds the scores of one eligible series, slice by slice.
type SeriesReading struct {
	SeriesInstanceUID string       `json:"series_instance_uid"`
	Slices            []SliceScore `json:"slices"` // in the order of Series.Slices
	OOD               float64      `json:"ood"`    // the series' out-of-domain score
}

// SliceScore is what the model said of one slice.
type SliceScore struct {
	SOPInstanceUID string    `json:"sop_instance_uid"`
	Frame          int       `json:"frame"`
	Position       float64   `json:"position"`                // mm along the normal
	Probabilities  []float64 `json:"probabilities,omitempty"` // calibrated, in Reading.Labels order; nil when not scored
	OOD            float64   `json:"ood"`
	HeadAreaMM2    float64   `json:"head_area_mm2"`     // 0 when the spacing is unknown
	Skipped        string    `json:"skipped,omitempty"` // why the slice was left out, or empty
}

// KeyImage is a key slice with its pixels and activation map.
type KeyImage struct {
	Slice         Slice      `json:"slice"`
	Label         string     `json:"label"` // the label whose evidence the map shows
	Probabilities []float64  `json:"probabilities"`
	Window        [2]float64 `json:"window"` // modality units shown as black and as white
	Map           HeatMap    `json:"map"`
}

// HeatMap is a class activation map on the model's own grid, with the square of
// the slice that the grid covers. The square may reach beyond the slice.
type HeatMap struct {
	Rows    int        `json:"rows"`
	Columns int        `json:"columns"`
	Values  []float32  `json:"values"` // not negative, row by row
	Origin  [2]float64 `json:"origin"` // row and column of the square's corner, in slice pixels
	Size    [2]float64 `json:"size"`   // height and width of the square, in slice pixels
}
