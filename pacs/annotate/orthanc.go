package annotate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"neurotriage"
	"neurotriage/pacs"
)

// OrthancOptions say where Orthanc is and what it is to show.
type OrthancOptions struct {
	Web Web // Base is that of the REST API, such as http://orthanc:8042
	// Metadata is the number, or a name of Orthanc's UserMetadata, under which a
	// study's finding is kept as JSON; default 7700.
	Metadata string
	// Prefix begins our labels; default "triage-". Labels need Orthanc 1.12.
	Prefix string
}

// Orthanc marks studies in Orthanc itself: with a label where its version has
// labels, and always with metadata that tell the finding.
type Orthanc struct {
	opts OrthancOptions
	web  *web
}

// NewOrthanc makes a destination and connects to nothing.
func NewOrthanc(opts OrthancOptions) (*Orthanc, error) {
	web, err := newWeb(opts.Web)
	opts.Metadata = cmp.Or(opts.Metadata, "7700")
	opts.Prefix = cmp.Or(opts.Prefix, "triage-")
	return &Orthanc{opts: opts, web: web}, err
}

// mark is the metadata's content.
type mark struct {
	FindingID   string                  `json:"finding_id"`
	Disposition neurotriage.Disposition `json:"disposition"`
	// Raised is the most urgent disposition that a finding of the study has had,
	// which is what the label shows; and Priority the highest priority.
	Raised      neurotriage.Disposition `json:"raised"`
	Priority    neurotriage.Priority    `json:"priority,omitempty"` // empty: nobody gave one
	Probability *float64                `json:"glioma_probability,omitempty"`
	Threshold   float64                 `json:"threshold"`
	Model       string                  `json:"model"`
	Finished    time.Time               `json:"finished"`
	Notice      string                  `json:"notice"`
}

// Deliver marks the study, unless this finding or a newer one marks it already.
// What is raised stays raised; taking it down is a person's decision.
func (o *Orthanc) Deliver(ctx context.Context, parcel pacs.Parcel) error {
	if parcel.Superseded {
		return nil
	}
	study, err := o.find(ctx, parcel.Finding.StudyInstanceUID)
	if err != nil {
		return err
	}
	labels, err := o.labels(ctx)
	if err != nil {
		return err
	}
	former, tag, err := o.read(ctx, study)
	if err != nil {
		return err
	}
	if former.FindingID == parcel.Finding.ID || former.Finished.After(parcel.Finding.Finished) {
		return nil
	}
	now := marked(parcel, former)
	if labels {
		if err := o.label(ctx, study, now.Raised); err != nil {
			return err
		}
	}
	return o.write(ctx, study, now, tag) // last: it says that all is done
}

// urgencies orders dispositions, least urgent first. What was not read may hide
// anything, so it stands above what was read and not flagged.
var urgencies = []neurotriage.Disposition{
	"", neurotriage.NotFlagged, neurotriage.Refused, neurotriage.NotAssessable, neurotriage.TumourSuspected, neurotriage.GliomaReview,
}

var priorities = []neurotriage.Priority{"", neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat}

func marked(p pacs.Parcel, former mark) mark {
	f := p.Finding
	m := mark{
		FindingID: f.ID, Disposition: f.Disposition, Raised: f.Disposition, Priority: p.Job.Priority,
		Threshold: f.Thresholds.GliomaReview, Model: f.Model.Digest, Finished: f.Finished, Notice: "research software; not a diagnosis",
	}
	if probability, ok := f.Probabilities[neurotriage.Glioma]; ok {
		m.Probability = &probability
	}
	if f.Flags.GliomaReview { // whatever else is wrong with the study
		m.Raised, m.Priority = neurotriage.GliomaReview, p.Priority()
	}
	// Between what could not be read and what was read without a flag the newer
	// one counts: only what asks for a look stays.
	if at := slices.Index(urgencies, former.Raised); at >= slices.Index(urgencies, neurotriage.TumourSuspected) && at > slices.Index(urgencies, m.Raised) {
		m.Raised = former.Raised
	}
	if slices.Index(priorities, former.Priority) > slices.Index(priorities, m.Priority) {
		m.Priority = former.Priority
	}
	return m
}

// find gives Orthanc's own identifier of a study.
func (o *Orthanc) find(ctx context.Context, studyUID string) (string, error) {
	ask := request{method: http.MethodPost, path: "/tools/lookup", body: []byte(studyUID)}
	got, err := o.call(ctx, ask)
	if err != nil {
		return "", err
	}
	var found []struct{ ID, Type string }
	if err := json.Unmarshal(got.body, &found); err != nil {
		return "", fmt.Errorf("%s: the answer is not Orthanc's: %w", o.web.at(ask), err)
	}
	for _, one := range found {
		if one.Type == "Study" && safe(one.ID) {
			return one.ID, nil
		}
	}
	return "", fmt.Errorf("study %s is not in Orthanc (yet)", studyUID)
}

// safe lets nothing into a path that is not an identifier of Orthanc's.
func safe(id string) bool {
	return id != "" && strings.Trim(id, "0123456789abcdef-") == ""
}

// labels asks whether this Orthanc has them, since 1.12.0.
func (o *Orthanc) labels(ctx context.Context) (bool, error) {
	ask := request{method: http.MethodGet, path: "/system"}
	got, err := o.call(ctx, ask)
	if err != nil {
		return false, err
	}
	var system struct{ Version string }
	if err := json.Unmarshal(got.body, &system); err != nil {
		return false, fmt.Errorf("%s: the answer is not Orthanc's: %w", o.web.at(ask), err)
	}
	major, rest, _ := strings.Cut(system.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	first, err1 := strconv.Atoi(major)
	second, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil {
		return system.Version == "mainline", nil
	}
	return first > 1 || first == 1 && second >= 12, nil
}

// label shows the disposition, and takes away what it rises above.
func (o *Orthanc) label(ctx context.Context, study string, raised neurotriage.Disposition) error {
	at := "/studies/" + study + "/labels"
	if _, err := o.call(ctx, request{method: http.MethodPut, path: at + "/" + o.name(raised)}); err != nil {
		return err
	}
	got, err := o.call(ctx, request{method: http.MethodGet, path: at})
	if err != nil {
		return err
	}
	var there []string
	if err := json.Unmarshal(got.body, &there); err != nil {
		return fmt.Errorf("reading the labels of study %s: %w", study, err)
	}
	for _, other := range urgencies[1:] {
		if other != raised && slices.Contains(there, o.name(other)) {
			if _, err := o.call(ctx, request{method: http.MethodDelete, path: at + "/" + o.name(other)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Orthanc) name(d neurotriage.Disposition) string {
	return o.opts.Prefix + strings.ReplaceAll(string(d), "_", "-")
}

func (o *Orthanc) metadata(study string) string {
	return "/studies/" + study + "/metadata/" + o.opts.Metadata
}

// read gives the mark that is there and its tag of version, which a newer Orthanc
// wants to see again before it overwrites.
func (o *Orthanc) read(ctx context.Context, study string) (former mark, tag string, err error) {
	ask := request{method: http.MethodGet, path: o.metadata(study)}
	got, err := o.web.do(ctx, ask)
	switch {
	case err != nil:
		return former, "", err
	case got.status == http.StatusNotFound:
		return former, "", nil
	case !got.fine():
		return former, "", o.fault(ask, got)
	}
	if err := json.Unmarshal(got.body, &former); err != nil {
		return former, "", fmt.Errorf("metadata %s of study %s holds something that is not ours; configure another number: %w", o.opts.Metadata, study, pacs.ErrRejected)
	}
	return former, got.header.Get("ETag"), nil
}

func (o *Orthanc) write(ctx context.Context, study string, m mark, tag string) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing the metadata of study %s: %w", study, err)
	}
	put := request{method: http.MethodPut, path: o.metadata(study), body: body, header: map[string]string{}}
	if tag != "" {
		put.header["If-Match"] = tag
	}
	_, err = o.call(ctx, put)
	return err
}

// call makes a request that has to succeed.
func (o *Orthanc) call(ctx context.Context, r request) (reply, error) {
	got, err := o.web.do(ctx, r)
	if err == nil && !got.fine() {
		err = o.fault(r, got)
	}
	return got, err
}

// fault gives Orthanc's own words, which name no patient: paths and numbers.
func (o *Orthanc) fault(r request, got reply) error {
	var said struct{ Message, Details string }
	_ = json.Unmarshal(got.body, &said) // an answer of a proxy's is none
	return o.web.fault(r, got, scrub(strings.TrimSpace(said.Message+" "+said.Details), neurotriage.Patient{}))
}

// Check asks who is there.
func (o *Orthanc) Check(ctx context.Context) error {
	_, err := o.labels(ctx)
	return err
}
