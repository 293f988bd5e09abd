package annotate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"neurotriage"
	"neurotriage/pacs"
)

// FHIROptions say where bundles go.
type FHIROptions struct {
	Web Web // Base is the service's, such as https://fhir.example.org/r4
	// Query is the search for the study's DiagnosticReport, relative to Base.
	Query func(studyUID string) string
	// Bundle makes the transaction; id and version are those of the report that the
	// server holds, empty when it holds none.
	Bundle func(parcel pacs.Parcel, id, version string) ([]byte, error)
}

// FHIR posts one transaction for each finding.
type FHIR struct {
	opts FHIROptions
	web  *web
}

// NewFHIR makes a destination and connects to nothing.
func NewFHIR(opts FHIROptions) (*FHIR, error) {
	web, err := newWeb(opts.Web)
	return &FHIR{opts: opts, web: web}, err
}

const fhirJSON = "application/fhir+json"

// Deliver looks for the study's report and posts the transaction, unless that
// finding or a newer one is there already. The report is replaced in the version
// that was looked at: when somebody else was faster, the parcel comes again.
func (f *FHIR) Deliver(ctx context.Context, parcel pacs.Parcel) error {
	if parcel.Superseded {
		return nil
	}
	report, err := f.find(ctx, parcel)
	if err != nil || report.holds(parcel.Finding) {
		return err
	}
	version := ""
	if report.Meta.VersionID != "" {
		version = `W/"` + report.Meta.VersionID + `"` // R4 3.1.0.5
	}
	bundle, err := f.opts.Bundle(parcel, report.ID, version)
	if err != nil {
		return err
	}
	post := request{method: http.MethodPost, header: map[string]string{"Content-Type": fhirJSON, "Accept": fhirJSON}, body: bundle}
	got, err := f.web.do(ctx, post)
	if err != nil {
		return err
	}
	if !got.fine() {
		return f.web.fault(post, got, outcome(got.body, parcel.Study.Patient))
	}
	return settled(got.body, parcel.Study.Patient)
}

// held is what counts of a DiagnosticReport on the server.
type held struct {
	ResourceType string
	ID           string
	Meta         struct{ VersionID string }
	Identifier   []struct{ Value string }
	Issued       time.Time
}

// holds tells whether the report is that of the finding or of a later one.
func (h held) holds(finding neurotriage.Finding) bool {
	for _, id := range h.Identifier {
		if id.Value == finding.ID {
			return true
		}
	}
	return h.ID != "" && h.Issued.After(finding.Finished)
}

// find gives the newest report of the study, or one without an id.
func (f *FHIR) find(ctx context.Context, parcel pacs.Parcel) (held, error) {
	get := request{method: http.MethodGet, path: "/" + f.opts.Query(parcel.Finding.StudyInstanceUID), header: map[string]string{
		"Accept": fhirJSON, "Cache-Control": "no-cache",
	}}
	got, err := f.web.do(ctx, get)
	if err != nil {
		return held{}, err
	}
	var set struct {
		ResourceType string
		Entry        []struct{ Resource json.RawMessage }
	}
	if got.status != http.StatusOK {
		return held{}, f.web.fault(get, got, outcome(got.body, parcel.Study.Patient))
	}
	if err := json.Unmarshal(got.body, &set); err != nil || set.ResourceType != "Bundle" {
		return held{}, fmt.Errorf("%s: the answer is no Bundle of FHIR; is %s the base of the service?", f.web.at(get), f.opts.Web.Base)
	}
	var newest held
	for _, entry := range set.Entry {
		var one held // an OperationOutcome about the search may stand among them
		if json.Unmarshal(entry.Resource, &one) == nil && one.ResourceType == "DiagnosticReport" && !one.Issued.Before(newest.Issued) {
			newest = one
		}
	}
	return newest, nil
}

// settled reads a transaction's response: a server that answers 200 and says no
// inside has stored nothing.
func settled(body []byte, p neurotriage.Patient) error {
	var response struct {
		ResourceType string
		Entry        []struct {
			Response struct {
				Status  string
				Outcome json.RawMessage
			}
		}
	}
	if len(body) == 0 {
		return nil // Prefer: return=minimal may be a server's default
	}
	if err := json.Unmarshal(body, &response); err != nil {
		return fmt.Errorf("the answer to the transaction is no JSON: %w", err)
	}
	if response.ResourceType == "OperationOutcome" {
		return fmt.Errorf("the transaction is answered with an outcome only: %s", outcome(body, p))
	}
	for i, entry := range response.Entry {
		if status := entry.Response.Status; !strings.HasPrefix(status, "2") && !strings.HasPrefix(status, "304") {
			return fmt.Errorf("entry %d of the transaction is answered %q: %s", i+1, scrub(status, p), outcome(entry.Response.Outcome, p))
		}
	}
	return nil
}

// outcome puts an OperationOutcome into words; empty when there is none.
func outcome(body []byte, p neurotriage.Patient) string {
	var o struct {
		ResourceType string
		Issue        []struct {
			Severity, Code, Diagnostics string
			Details                     struct{ Text string }
			Expression                  []string
		}
	}
	if json.Unmarshal(body, &o) != nil || o.ResourceType != "OperationOutcome" {
		return ""
	}
	var said []string
	for _, issue := range o.Issue {
		words := []string{issue.Severity, issue.Code, issue.Details.Text, issue.Diagnostics}
		if len(issue.Expression) > 0 {
			words = append(words, "at "+strings.Join(issue.Expression, ", "))
		}
		said = append(said, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
	}
	return scrub(strings.Join(said, "; "), p)
}

// Check asks for the server's CapabilityStatement.
func (f *FHIR) Check(ctx context.Context) error {
	get := request{method: http.MethodGet, path: "/metadata", header: map[string]string{"Accept": fhirJSON}}
	got, err := f.web.do(ctx, get)
	if err == nil && !got.fine() {
		err = f.web.fault(get, got, outcome(got.body, neurotriage.Patient{}))
	}
	return err
}
