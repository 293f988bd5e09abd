package neurotriage

// Model is the card of a classifier: everything that serving applies beside
// the network itself. It travels in the ONNX metadata, so a model file is whole
// in itself. Digest is not part of the card: it is computed from the file.
type Model struct {
	Schema      string         `json:"schema"` // "model.v1"
	Name        string         `json:"name"`
	Version     string         `json:"version"`
	Labels      []string       `json:"labels"` // column order of the scores
	Input       ModelInput     `json:"input"`
	Outputs     ModelOutputs   `json:"outputs"`
	Recipe      Recipe         `json:"recipe"`
	Temperature float64        `json:"temperature"` // p = softmax(logits / temperature)
	Pooling     Pooling        `json:"pooling"`
	Thresholds  CardThresholds `json:"thresholds"`
	Conformal   Conformal      `json:"conformal"`
	IntendedUse IntendedUse    `json:"intended_use"`
	Training    map[string]any `json:"training,omitempty"`
	Evaluation  map[string]any `json:"evaluation,omitempty"`
	Limits      []string       `json:"limits,omitempty"`

	Digest string `json:"digest,omitempty"` // "sha256:" and 64 hex digits of the file
}

// The labels that the daemon's rules speak of. A card may order them freely.
const (
	Glioma     = "glioma"
	Meningioma = "meningioma"
	Normal     = "normal"
	Pituitary  = "pituitary"
)

// ModelInput names the network's input, float32 [N,1,Size,Size] in 0..1.
type ModelInput struct {
	Name string `json:"name"`
	Size int    `json:"size"` // pixels a side
}

// ModelOutputs names the network's outputs.
type ModelOutputs struct {
	Logits string `json:"logits"` // [N, labels]
	CAMs   string `json:"cams"`   // [N, labels, h, w], class activation maps, not negative
	OOD    string `json:"ood"`    // [N], higher is more foreign to the training data
}

// Recipe turns one slice into one tensor; docs/RECIPE.md states the algorithm
// of each kind.
type Recipe struct {
	Kind           string  `json:"kind"` // "head-crop.v1"
	PercentileLow  float64 `json:"percentile_low"`
	PercentileHigh float64 `json:"percentile_high"`
	Thumbnail      int     `json:"thumbnail"`      // pixels of the longer side, about
	HeadThreshold  float64 `json:"head_threshold"` // fraction of the window
	Margin         float64 `json:"margin"`         // fraction of the head box on each side
	MinHeadAreaMM2 float64 `json:"min_head_area_mm2"`
}

// Pooling turns slice probabilities into a series'.
type Pooling struct {
	Rule      string  `json:"rule"`   // "top-mean.v1"
	Smooth    int     `json:"smooth"` // slices in the centred running mean
	Fraction  float64 `json:"fraction"`
	MinSlices int     `json:"min_slices"`
}

// CardThresholds are the operating points chosen in training.
type CardThresholds struct {
	GliomaReview      float64 `json:"glioma_review"`       // on the study's p(glioma)
	GliomaReviewSlice float64 `json:"glioma_review_slice"` // reported only
	NormalBar         float64 `json:"normal_bar"`          // least p(normal) of a study that may be not_flagged
	OutOfDomain       float64 `json:"out_of_domain"`       // most OOD score within the domain
}

// Conformal holds class-conditional quantiles: a label belongs to the
// prediction set when 1-p is at most its quantile.
type Conformal struct {
	Coverage  float64            `json:"coverage"`
	Quantiles map[string]float64 `json:"quantiles"`
}

// IntendedUse says what the model may read.
type IntendedUse struct {
	Modality  string         `json:"modality"`
	BodyPart  string         `json:"body_part"`
	Read      []SequenceKind `json:"read"`       // may raise and clear
	RaiseOnly []SequenceKind `json:"raise_only"` // may raise, never clear
	Statement string         `json:"statement"`
}

// Thresholds are the operating points in force: the card's, unless the
// configuration overrides them.
type Thresholds struct {
	GliomaReview float64 `json:"glioma_review"`
}
